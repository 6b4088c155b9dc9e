"""Runs a call in a process of its own that is killed at a chosen change of the disk."""

import os
from pathlib import Path

from workshop.soak.faults import kill_at


def killed_at(change, folder, call):
    """Fork, and kill the child before its ``change``-th change of the disk below ``folder``.

    Returns:
        Whether it was killed, rather than done before.
    """
    process = os.fork()
    if process == 0:
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            kill_at(change, Path(folder))
            call()
        finally:
            os._exit(0)
    _, status = os.waitpid(process, 0)
    return os.WIFSIGNALED(status)


def files_in(folder):
    """Return the names of all files and folders below a folder, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*"))
