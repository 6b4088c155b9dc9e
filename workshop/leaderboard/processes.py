"""Runs each training in its own process, several at a time, resumes interrupted ones and shows progress."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from filelock import FileLock, Timeout
from rich import get_console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from m3amba_zoo.cli.running import print_line
from m3amba_zoo.config import config_sha256, read_config
from m3amba_zoo.errors import InputError, one_line
from m3amba_zoo.evaluation.record import METRICS_FILE, read_record
from m3amba_zoo.evaluation.scores import SCORES
from m3amba_zoo.locks import is_busy
from workshop.leaderboard.plan import Run
from workshop.leaderboard.table import check_record

if TYPE_CHECKING:
    from distributed import Client

COMMAND = (sys.executable, "-m", "m3amba_zoo.cli.main", "train")
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
HANDED_ON = (*THREADS, "PYTHONPATH", "M3AMBA_DATA")
BETWEEN_LOOKS = 5.0  # s
_READING = threading.Lock()  # MMEngine imports a config as a module


class Result(NamedTuple):
    """A run's record, or the reason why there is none.

    Attributes:
        run: the run.
        record: the content of ``metrics.json``; None if there is none.
        reason: why the run failed; empty if it did not.
        busy: whether another leaderboard does the run or has done it.
    """

    run: Run
    record: dict[str, Any] | None = None
    reason: str = ""
    busy: bool = False


class Processes:
    """Starts a process for each run, ``jobs`` at a time, here or on the workers of a Dask cluster.

    Args:
        work_dirs: the folder that holds the runs' work dirs; all workers reach it.
        jobs: the number of runs at a time; each gets its share of the cores as threads.
        client: of a cluster, whose workers run the processes; None runs them here.
    """

    def __init__(self, work_dirs: Path, jobs: int, client: Client | None = None) -> None:
        self.work_dirs, self.jobs, self.client = work_dirs, jobs, client
        threads = str(max(1, cores() // jobs))
        self.environment = {**os.environ, **dict.fromkeys(THREADS, threads)}
        self._running: set[subprocess.Popen] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def results(
        self,
        runs: Iterable[tuple[Run, str]],
        started: Callable[[Run], None],
        done: Callable[[Run], bool],
    ) -> Iterable[Result]:
        """Run what is not done and yield each result when its run ends.

        An interrupt ends the processes, each after a step and a checkpoint.

        Args:
            runs: each run and the hash of its split.
            started: called in a thread when a run's process starts.
            done: called under the run's lock; returns whether another leaderboard has done the run.
        """
        pool = ThreadPoolExecutor(self.jobs)
        try:
            waiting = [pool.submit(self._one, run, sha256, started, done) for run, sha256 in runs]
            for future in as_completed(waiting):
                yield future.result()
        except BaseException:
            with self._lock:
                self._stopped = True
                for process in self._running:
                    process.terminate()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _one(
        self, run: Run, sha256: str, started: Callable[[Run], None], done: Callable[[Run], bool]
    ) -> Result:
        work_dir = self.work_dirs / run.place
        work_dir.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(f"{work_dir}.lock", timeout=0):
                if not self._is_free(run, work_dir):
                    return Result(run, reason="interrupted")
                if done(run):
                    return Result(run, busy=True)
                try:
                    return Result(run, _checked(work_dir, run, sha256))
                except InputError:  # the work dir has no record, or not of this run
                    pass
                started(run)
                reason = self._train(run, work_dir)
                try:
                    return Result(run, None if reason else _checked(work_dir, run, sha256), reason)
                except InputError as error:
                    return Result(run, reason=str(error))
        except Timeout:
            return Result(run, busy=True)

    def _is_free(self, run: Run, work_dir: Path) -> bool:
        """Wait for a training that a leaderboard left behind when it was killed; False if this one stops."""
        told = False
        while not self._stopped and is_busy(work_dir):
            if not told:
                print_line(f"{run}: a training of an earlier leaderboard is under way; waiting for its end")
            told = True
            time.sleep(BETWEEN_LOOKS)
        return not self._stopped

    def _train(self, run: Run, work_dir: Path) -> str:
        """Train and test; return the reason of a failure, else an empty string."""
        if not _resumable(work_dir, run) and (aside := _clear(work_dir)):
            print_line(f"{run}: its config or record no longer fits; its checkpoints are now in {aside}")
        # --resume starts a new training if there is nothing to resume
        command = [*COMMAND, *run.arguments, "--work-dir", str(work_dir), "--resume"]
        log = work_dir.with_name(f"{work_dir.name}.log")
        code = self._run_here(command, log) if self.client is None else self._run_on_worker(command, log)
        if isinstance(code, str):
            return code
        if code == 0:
            return ""
        lines = log.read_text(errors="replace").strip().splitlines()
        last = lines[-1].strip() if lines else "no output"
        return f"ended by signal {-code}; its last line: {last}" if code < 0 else last

    def _run_here(self, command: list[str], log: Path) -> int | str:
        """Return the exit code of a command, or why it was not started."""
        with log.open("wb") as file:
            with self._lock:
                if self._stopped:
                    return "interrupted"
                process = subprocess.Popen(
                    command, stdout=file, stderr=subprocess.STDOUT, env=self.environment
                )
                self._running.add(process)
            code = process.wait()
            with self._lock:
                self._running.discard(process)
        return code

    def _run_on_worker(self, command: list[str], log: Path) -> int | str:
        """Return the exit code of a command that a worker runs, or why it did not end."""
        assert self.client is not None
        with self._lock:
            if self._stopped:
                return "interrupted"
            environment = {name: self.environment[name] for name in self.environment if name in HANDED_ON}
            future = self.client.submit(
                _run, command, str(log.resolve()), os.getcwd(), environment, pure=False
            )
        try:
            return future.result()
        except Exception as error:  # what the cluster raises, such as KilledWorker, shares no base
            return one_line(error)


def _run(command: list[str], log: str, folder: str, environment: dict[str, str]) -> int:
    """Run a command on a worker and return its exit code."""
    with open(log, "wb") as file:
        return subprocess.run(
            command, stdout=file, stderr=subprocess.STDOUT, cwd=folder, env={**os.environ, **environment}
        ).returncode


class RunProgress:
    """Shows on a terminal a bar and the names of the current runs, and prints one line per finished run.

    Args:
        total: the number of runs to do.
        done: the number of runs that were done before.
        without: the runs without data, with the reasons.
    """

    def __init__(self, total: int, done: int, without: Sequence[tuple[Run, str]]) -> None:
        self.total, self.ends = total, 0
        self._started: dict[Run, float] = {}
        self._lock = threading.Lock()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[names]}"),
            console=get_console(),
            disable=not get_console().is_terminal,
        )
        self._task = self._bar.add_task("runs", total=total, names="")
        print_line(f"{total} runs to do, {done} done, {len(without)} without data here")
        for reason, runs in groupby(sorted(without, key=_reason), _reason):
            datasets = dict.fromkeys(run.dataset for run, _ in runs)
            print_line(f"not run: {', '.join(datasets)}, because {reason}")

    def __enter__(self) -> RunProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def started(self, run: Run) -> None:
        """Record the start of a run's process; called from its thread."""
        with self._lock:
            self._started[run] = time.monotonic()
            self._show()

    def ended(self, result: Result) -> None:
        """Print the result of a run."""
        with self._lock:
            self.ends += 1
            began = self._started.pop(result.run, None)
            self._show()
        if result.record is not None:
            outcome = ", ".join(f"{score} {result.record[score]:.4f}" for score in SCORES)
        else:
            outcome = "done by another leaderboard" if result.busy else f"failed: {result.reason}"
        seconds = f" ({time.monotonic() - began:.0f} s)" if began is not None else ""
        print_line(f"[{self.ends}/{self.total}] {result.run}: {outcome}{seconds}")

    def _show(self) -> None:
        names = ", ".join(str(run) for run in self._started)
        self._bar.update(self._task, completed=self.ends, names=names)


def _reason(skipped: tuple[Run, str]) -> str:
    return skipped[1]


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_jobs() -> int:
    """Return the default number of runs at a time: one if there is a GPU, else one per core."""
    return 1 if torch.cuda.is_available() else cores()


def _checked(work_dir: Path, run: Run, sha256: str) -> dict[str, Any]:
    record = read_record(work_dir / METRICS_FILE)
    check_record(record, run, sha256)
    return record


def _clear(work_dir: Path) -> Path | None:
    """Make room for a new training; return the folder to which a work dir with checkpoints was moved."""
    if next(work_dir.rglob("*.pth"), None) is None:
        shutil.rmtree(work_dir, ignore_errors=True)
        return None
    aside, number = work_dir.with_name(f"{work_dir.name}.before"), 1
    while aside.exists():
        number += 1
        aside = work_dir.with_name(f"{work_dir.name}.before{number}")
    return work_dir.rename(aside)


def _resumable(work_dir: Path, run: Run) -> bool:
    """Return whether a work dir holds an interrupted training of the same config."""
    if (work_dir / METRICS_FILE).exists():  # the training ended, but its record was refused
        return False
    try:
        with _READING:
            return config_sha256(read_config(work_dir / Path(run.config).name)) == run.config_sha256
    except InputError:
        return False
