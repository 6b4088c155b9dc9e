"""Locks that say who holds them: one process at a time has a work dir, writes a map or does a run."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from m3amba_zoo.errors import InputError
from m3amba_zoo.system import HOST, whole_file

WORK_DIR_LOCK = ".lock"
HOLDER = ".holder"  # beside the lock, which some versions of filelock empty when they try it


class BusyError(InputError):
    """Another process holds a lock; the message says what it holds and names the process."""


class NamedLock:
    """A lock on a file, which the system releases when its process ends, however it ends.

    A context; nothing of it stays on the disk after it.

    Args:
        path: of the lock's file.
        what: is locked, for messages.
        advice: what to do where another process has it.
    """

    def __init__(self, path: str | Path, what: str | Path, advice: str = "wait for it, or stop it") -> None:
        self.what, self.advice = what, advice
        self._lock, self._holder = FileLock(path), Path(f"{path}{HOLDER}")

    def __enter__(self) -> NamedLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            BusyError: if another process has it.
            InputError: if the file cannot be written.
        """
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise BusyError(f"{self.what}: is in use by {self._described()}; {self.advice}") from error
        except OSError as error:
            raise InputError(f"{self.what}: cannot be written ({error.strerror or error})") from error
        said = {
            "process": os.getpid(),
            "host": HOST,
            "since": time.strftime("%Y-%m-%d %H:%M:%S"),
            "command": shorten(" ".join([Path(sys.argv[0]).name, *sys.argv[1:]]), 120, placeholder=" ..."),
        }
        with whole_file(self._holder) as aside:
            aside.write_text(json.dumps(said), encoding="utf-8")

    def release(self) -> None:
        """Give the lock back; does nothing if it is not held."""
        if self._lock.is_locked:
            with contextlib.suppress(OSError):  # where open files cannot be deleted
                self._holder.unlink(missing_ok=True)
                Path(self._lock.lock_file).unlink(missing_ok=True)
            self._lock.release()

    def _described(self) -> str:
        try:
            said: Any = json.loads(self._holder.read_text(encoding="utf-8"))
            return f"process {said['process']} on {said['host']} since {said['since']} ({said['command']})"
        except (OSError, ValueError, KeyError, TypeError):  # it has not written it yet
            return "another process"


@contextlib.contextmanager
def work_dir_lock(work_dir: str | Path) -> Iterator[None]:
    """Hold the lock of a work dir, which is made if it is absent, and removed at the end if it is empty then.

    Raises:
        BusyError: if another process holds it.
        InputError: if it cannot be written.
    """
    work_dir = Path(work_dir).absolute()
    missing = [path for path in (work_dir, *work_dir.parents) if not path.exists()]
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{work_dir}: cannot be written ({error.strerror or error})") from error
    advice = "wait for it, stop it, or give another --work-dir"
    try:
        with NamedLock(work_dir / WORK_DIR_LOCK, work_dir, advice):
            yield
    finally:
        with contextlib.suppress(OSError):  # not empty, or gone
            for path in missing:
                path.rmdir()


def is_busy(work_dir: str | Path) -> bool:
    """Return whether a process holds a work dir."""
    if not (Path(work_dir) / WORK_DIR_LOCK).exists():
        return False
    try:
        with work_dir_lock(work_dir):
            return False
    except BusyError:
        return True
