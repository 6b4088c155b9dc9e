"""Kills its own process at a chosen change of the disk: ``python -m workshop.soak.faults N FOLDER train``."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from pathlib import Path
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR
COUNTED = "changes of the disk: "
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree")


def kill_at(change: int, folder: Path) -> None:
    """Have this process killed (SIGKILL) before its ``change``-th change of a file below a folder.

    0 never comes: the process says at its end how many changes there were.
    """
    left, below = change, str(folder.absolute())

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES
        if not (writes or event in CHANGES) or not os.path.abspath(str(arguments[0])).startswith(below):
            return
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    if change == 0:
        atexit.register(lambda: print(f"{COUNTED}{-left}", file=sys.stderr))


if __name__ == "__main__":
    from m3amba_zoo.cli.main import main

    kill_at(int(sys.argv[1]), Path(sys.argv[2]))
    sys.argv[1:3] = []
    main()
