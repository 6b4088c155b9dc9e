"""Stopping when asked: what SIGINT, SIGTERM and SIGHUP mean to every command.

A signal raises ``Stopped`` where the command is. Inside of ``whole_steps`` it is noted only, and the work
there asks by ``check`` after each of its steps. Foreign code that meets the exception may make another one of
it, or swallow it (yapf and GDAL do): whoever has to know asks ``asked``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))
TOGETHER = 1.0  # s within which signals are one wish: a terminal and a launcher may both send one
LATER = "stopping after this step; {} stops at once\n"


class Stopped(KeyboardInterrupt):
    """The command was asked to stop.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int, hint: str = "") -> None:
        super().__init__(hint)
        self.number = number


class _State:
    """What was asked of this process."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.asked: int | None = None
        self.asked_at = 0.0
        self.in_steps = 0


_state = _State()


@contextlib.contextmanager
def listening() -> Iterator[list[str]]:
    """Take the signals for the time of the block; yield the names of those that this process is to ignore.

    What the process was started to ignore stays ignored: SIGHUP under ``nohup``, SIGINT in the background of
    a script. Outside of the main thread nothing is done, as Python takes signals there alone.
    """
    global _state
    if threading.current_thread() is not threading.main_thread():
        yield []
        return
    _state = _State()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    ignored = [number for number in SIGNALS if before[number] == signal.SIG_IGN]
    for number in SIGNALS:
        if number not in ignored:
            signal.signal(number, _take)
    try:
        yield [signal.Signals(number).name for number in ignored]
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: not installed from Python
                signal.signal(number, handler)


@contextlib.contextmanager
def whole_steps() -> Iterator[None]:
    """Let the work in the block finish its steps; it calls ``check`` after each. A second Ctrl-C cuts in."""
    _state.in_steps += 1
    try:
        yield
    finally:
        _state.in_steps -= 1


def asked() -> int | None:
    """Return the number of the signal that asked this process to stop; None if none has."""
    return _state.asked


def number_of(error: BaseException) -> int | None:
    """Return the number of the signal that led to an error; None if another cause did.

    Foreign code may have made another error of what a signal raised.
    """
    if isinstance(error, KeyboardInterrupt):
        return getattr(error, "number", _state.asked or signal.SIGINT)
    return _state.asked


def check() -> None:
    """Raise ``Stopped`` if this process was asked to stop."""
    if _state.asked is not None:
        raise Stopped(_state.asked)


def ignore() -> None:
    """Ignore the signals: the command is done, its exit code known; Python itself ends for a second."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def leave_to_parent() -> None:
    """Ignore the signals from now on, but a SIGTERM of the parent: in a helper that the parent ends.

    A terminal and a cluster send signals to helpers, too, which the parent needs for the rest of its step.
    macOS and Windows do not say who sent a signal: there every SIGTERM ends the helper.
    """
    for number in SIGNALS:
        if number != signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        threading.Thread(target=_wait_for_parent, args=(os.getppid(),), daemon=True).start()


def _wait_for_parent(parent: int) -> None:
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != parent:
        pass
    os._exit(0)  # as torch's workers do


def _take(number: int, frame: FrameType | None) -> None:
    if os.getpid() != _state.process:  # a process that this one has forked
        return
    first, now = _state.asked is None, time.monotonic()
    if first:
        _state.asked, _state.asked_at = number, now
        if number == getattr(signal, "SIGHUP", None):
            _let_go_of_the_terminal()
        if _state.in_steps:
            with contextlib.suppress(OSError):
                again = "Ctrl-C once more" if number == signal.SIGINT else f"kill -INT {_state.process}"
                os.write(2, LATER.format(again).encode())  # print may be at work, and cannot be entered twice
            return
    elif number != signal.SIGINT or now - _state.asked_at < TOGETHER:
        return
    raise Stopped(_state.asked or number)


def _let_go_of_the_terminal() -> None:
    """Send output nowhere whose terminal is gone, so that writing it fails no step."""
    for descriptor in (1, 2):
        try:
            os.write(descriptor, b"")
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
