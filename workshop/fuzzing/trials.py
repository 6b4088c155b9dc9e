"""Reads inputs in forked processes with limits of time and memory, and says how each reading ended.

A process reads one input after the other and reports each. Where it dies or hangs, the next one goes on after
the input at fault. Works on Linux.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from m3amba_zoo.errors import InputError
from workshop.fuzzing.mutations import Reader

READ, REFUSED = "read", "refused"
SEVERAL_LINES, NAMELESS = "several lines", "no file named"
TRACEBACK, CRASH, HANG, MEMORY = "traceback", "crash", "hang", "memory"
FAULTS = (SEVERAL_LINES, NAMELESS, TRACEBACK, CRASH, HANG, MEMORY)
WAITING = 300.0  # seconds without a word after which a process waits for something that never comes
BROKEN = 77  # exit code of a process that could not make its inputs
FRAMES = 2  # of a traceback, in the table


class Limits(NamedTuple):
    """What one input may take: seconds of processor time, and bytes beyond what the libraries take."""

    seconds: float = 10.0
    memory: int = 2 * 2**30


@dataclass
class Result:
    """How a reader did.

    Attributes:
        reader: its name.
        outcomes: number of inputs by ``READ``, ``REFUSED`` and ``FAULTS``.
        kept: the files of inputs at fault.
        details: number of faults by what was raised, and where.
        slowest: seconds of processor time of the slowest input.
    """

    reader: str
    outcomes: Counter[str] = field(default_factory=Counter)
    kept: list[Path] = field(default_factory=list)
    details: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    @property
    def faults(self) -> int:
        """The number of inputs that were neither read nor refused in one sentence."""
        return sum(self.outcomes[kind] for kind in FAULTS)


def fuzz(
    reader: Reader,
    inputs: int,
    seed: int,
    folder: Path,
    keep: Path,
    limits: Limits,
    first: int = 0,
    progress: Callable[[], object] = lambda: None,
) -> Result:
    """Try inputs of one reader.

    Args:
        reader: whose valid file is read first.
        inputs: how many.
        seed: of all of them.
        folder: empty; the inputs are written there.
        keep: where inputs at fault are kept, in a folder of the reader's name.
        limits: of one input.
        first: number of the first input.
        progress: is called after each input.

    Raises:
        RuntimeError: if the valid file cannot be read, so that the reader's own code is wrong.
    """
    path = reader.make(folder)
    valid = path.read_bytes()
    (_, kind, detail, _), *_ = _batch(reader, path, folder, [(0, valid)], limits)
    if kind != READ:
        raise RuntimeError(f"{reader.name}: the valid file {path} is not read: {kind}, {detail}")
    result = Result(reader.name)
    number = first
    while number < first + inputs:
        contents = ((k, reader.mutated(valid, seed, k)) for k in range(number, first + inputs))
        for number, kind, detail, seconds in _batch(reader, path, folder, contents, limits):
            result.outcomes[kind] += 1
            result.slowest = max(result.slowest, seconds)
            if kind in FAULTS:
                result.details[f"{kind}: {detail}"] += 1
                place = keep / reader.name / f"{number}-{kind.replace(' ', '_')}-{path.name}"
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(reader.mutated(valid, seed, number))
                result.kept.append(place)
            progress()
        number += 1
    return result


Trial = tuple[int, str, str, float]
"""The input's number, the kind of its end, what was raised and where, and seconds of processor time."""


def _batch(
    reader: Reader, path: Path, folder: Path, contents: Iterable[tuple[int, bytes]], limits: Limits
) -> Iterator[Trial]:
    """Yield the trials of one process, the last one that of the input that ended it."""
    receive, send = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(receive)
        _work(reader, path, folder, contents, limits, send)  # never returns
    os.close(send)
    current = -1
    with os.fdopen(receive, "rb") as stream:
        while True:
            ready, _, _ = select.select([stream], [], [], WAITING)
            line = stream.readline() if ready else b""
            if not line:
                break
            said = json.loads(line)
            if isinstance(said, int):
                current = said
            else:
                yield current, *said
                current = -1
    if not ready:
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    if os.waitstatus_to_exitcode(status) == BROKEN:
        raise RuntimeError(f"{reader.name}: an input cannot be made or written")
    if current >= 0:
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        if not ready or number == signal.SIGPROF:
            yield current, HANG, f"more than {limits.seconds:.0f} s" if ready else "waits", limits.seconds
        else:
            what = signal.Signals(number).name if number else f"exit {os.waitstatus_to_exitcode(status)}"
            yield current, CRASH, what, 0.0


def _work(
    reader: Reader, path: Path, folder: Path, contents: Iterable[tuple[int, bytes]], limits: Limits, send: int
) -> None:
    """Read inputs in a forked process and end it."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + limits.memory
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process, in whatever library it is
    try:
        for number, content in contents:
            path.write_bytes(content)
            os.write(send, f"{number}\n".encode())
            signal.setitimer(signal.ITIMER_PROF, limits.seconds)
            before = time.process_time()
            kind, detail = _judge(reader, path, folder)
            seconds = time.process_time() - before
            signal.setitimer(signal.ITIMER_PROF, 0)
            os.write(send, (json.dumps((kind, detail, seconds)) + "\n").encode())
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(BROKEN)


def _judge(reader: Reader, path: Path, folder: Path) -> tuple[str, str]:
    try:
        reader.read(path)
    except InputError as error:
        text = str(error)
        if len(text.splitlines()) != 1:
            return SEVERAL_LINES, text[:200]
        return (REFUSED, "") if str(folder) in text else (NAMELESS, text[:200])
    except MemoryError as error:
        return MEMORY, _place(error)
    except BaseException as error:
        return TRACEBACK, f"{type(error).__name__} {_place(error)}"
    return READ, ""


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "m3amba_zoo" in frame.filename or "workshop" in frame.filename]
    shown = [*ours[-FRAMES:], *([] if ours and ours[-1] is frames[-1] else frames[-1:])]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(shown))
