"""Trains once in peace, then again and again killed or stopped, and compares what is left."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from m3amba_zoo.errors import InputError
from m3amba_zoo.locks import WORK_DIR_LOCK
from m3amba_zoo.models.weights import read_checkpoint, trained_weights
from workshop.soak.faults import COUNTED

EARLIEST = 0.5  # s: Python itself needs a moment to start, in which no program can answer
LATEST = 1.2  # signals come until this share of the time of an undisturbed training
LOGS = re.compile(r"\d{8}_\d{6}")
COMMAND = (sys.executable, "-m", "m3amba_zoo.cli.main")


@dataclass
class Tally:
    """What a kind of fault did to one training.

    Attributes:
        kind: of the fault.
        given: how many times it came.
        trainings: how many it was given to; the next begins where one is done before its faults have come.
        wrong: what it left wrong, in words.
    """

    kind: str
    given: int = 0
    trainings: int = 0
    wrong: list[str] = field(default_factory=list)


class Soak:
    """Trains a config under ``folder``, in processes of its own.

    Args:
        train: the arguments of ``m3amba train`` without the work dir: a config, its options.
        folder: for work dirs; new.
        seed: of the moments at which faults come.
    """

    def __init__(self, train: Sequence[str], folder: Path, seed: int) -> None:
        self.train, self.folder, self.random = list(train), folder, random.Random(seed)
        folder.mkdir(parents=True)
        began = time.monotonic()
        done = self._run(self._faulty(0, "whole"), "whole")  # which counts the changes of the disk
        if done.returncode:
            raise InputError(f"{self.train[0]}: does not train undisturbed: {done.stderr.strip()[-300:]}")
        self.seconds = time.monotonic() - began
        self.changes = int(done.stderr.rpartition(COUNTED)[2])

    def kills(self, number: int) -> Tally:
        """Kill trainings ``number`` times as they change the disk."""
        tally = Tally("SIGKILL while a file is written, renamed or removed")

        def disturbed(name: str) -> bool:
            done = self._run(self._faulty(self.random.randint(1, self.changes), name), name)
            if done.returncode not in (0, -signal.SIGKILL):
                tally.wrong.append(done.stderr.strip().splitlines()[-1])
            return done.returncode != 0

        self._disturb(tally, number, "killed", disturbed)
        return tally

    def signals(self, number: int, which: signal.Signals) -> Tally:
        """Send trainings ``number`` signals, each at any time."""
        tally = Tally(which.name)

        def disturbed(name: str) -> bool:
            command = [*COMMAND, "train", *self.train, *self._place(name)]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self.random.uniform(EARLIEST, LATEST * self.seconds))
            process.send_signal(which)  # nothing if it has ended
            said = process.communicate()[1]
            if process.returncode not in (0, 128 + which):
                tally.wrong.append(f"exit code {process.returncode}: {said.strip()[-200:]}")
            elif "Traceback" in said:
                tally.wrong.append(said.strip()[-200:])
            return process.returncode != 0

        with _not_ignored(which):
            self._disturb(tally, number, which.name, disturbed)
        return tally

    def _disturb(self, tally: Tally, number: int, kind: str, disturbed: Callable[[str], bool]) -> None:
        while tally.given < number and not tally.wrong:
            tally.trainings += 1
            name = f"{kind}{tally.trainings}"
            while tally.given < number and disturbed(name):
                tally.given += 1
                tally.wrong += self._unreadable(name)
            self._finish(tally, name)

    def _finish(self, tally: Tally, name: str) -> None:
        """Let a training go on to its end, and compare it with the undisturbed one."""
        done = self._run([*COMMAND], name)
        if done.returncode:
            tally.wrong.append(f"does not go on: {done.stderr.strip()[-200:]}")
            return
        if self._files(name) != self._files("whole"):
            more = set(self._files(name)) ^ set(self._files("whole"))
            tally.wrong.append(f"other files than undisturbed: {', '.join(sorted(more))}")
        if not self._same_weights(name):
            tally.wrong.append("other weights than undisturbed")

    def _run(self, command: list[str], name: str) -> subprocess.CompletedProcess[str]:
        place = [*command, "train", *self.train, *self._place(name)]
        return subprocess.run(place, capture_output=True, text=True, env=os.environ)

    def _faulty(self, change: int, name: str) -> list[str]:
        return [sys.executable, "-m", "workshop.soak.faults", str(change), str(self.folder / name)]

    def _place(self, name: str) -> list[str]:
        return ["--work-dir", str(self.folder / name), "--resume"]

    def _unreadable(self, name: str) -> list[str]:
        wrong = []
        for path in (self.folder / name).glob("*.pth"):
            try:
                read_checkpoint(path, "cpu")
            except InputError as error:
                wrong.append(str(error))
        return wrong

    def _files(self, name: str) -> list[str]:
        folder = self.folder / name
        files = (str(path.relative_to(folder)) for path in folder.rglob("*"))
        return sorted(file for file in files if not LOGS.match(file) and not file.startswith(WORK_DIR_LOCK))

    def _same_weights(self, name: str) -> bool:
        paths = [trained_weights(self.folder / run) for run in ("whole", name)]
        if None in paths:
            return False
        one, other = (read_checkpoint(path, "cpu")["state_dict"] for path in paths if path)
        return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@contextlib.contextmanager
def _not_ignored(which: signal.Signals) -> Iterator[None]:
    """Start processes that take a signal, even if this one was started to ignore it, as under nohup."""
    ignored = signal.getsignal(which) == signal.SIG_IGN
    if ignored:
        signal.signal(which, lambda *_: None)  # ignoring is inherited, a handler is not
    try:
        yield
    finally:
        if ignored:
            signal.signal(which, signal.SIG_IGN)
