"""Runs a call in a process of its own that is killed at a chosen change of the disk."""

import os
import signal
import sys
from pathlib import Path

WRITES = os.O_WRONLY | os.O_RDWR
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree")


def killed_at(change, folder, call):
    """Fork, and kill the child before its ``change``-th change of the disk below ``folder``.

    Returns:
        Whether it was killed, rather than done before.
    """
    process = os.fork()
    if process == 0:
        left = change

        def count(event, arguments):
            nonlocal left
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES
            if not (writes or event in CHANGES) or not str(arguments[0]).startswith(str(folder)):
                return
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            sys.addaudithook(count)
            call()
        finally:
            os._exit(0)
    _, status = os.waitpid(process, 0)
    return os.WIFSIGNALED(status)


def files_in(folder):
    """Return the names of all files and folders below a folder, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*"))
