"""Runs as processes of ``tools/train.py``: several at a time, resumed where they were interrupted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock, Timeout

from m3amba_zoo.config import config_sha256, read_config
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.record import read_record
from workshop.leaderboard.plan import Run
from workshop.leaderboard.record import check_record

COMMAND = (sys.executable, "-m", "m3amba_zoo.cli.main", "train")
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
METRICS = "metrics.json"
_READING = threading.Lock()  # MMEngine imports a config as a module


class Result(NamedTuple):
    """What became of a run: its record, or why there is none (``busy``: another leaderboard is at it)."""

    run: Run
    record: dict[str, Any] | None = None
    reason: str = ""
    busy: bool = False


class Processes:
    """Runs things in processes of their own, ``jobs`` at a time.

    Args:
        work_dirs: the root of the runs' work dirs.
        jobs: how many at a time; each gets its share of the cores as threads.
    """

    def __init__(self, work_dirs: Path, jobs: int) -> None:
        self.work_dirs, self.jobs = work_dirs, jobs
        threads = str(max(1, cores() // jobs))
        self.environment = {**os.environ, **dict.fromkeys(THREADS, threads)}
        self._running: set[subprocess.Popen] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def results(
        self,
        runs: Iterable[tuple[Run, str | None]],
        started: Callable[[Run], None],
        done: Callable[[Run], bool],
    ) -> Iterable[Result]:
        """Run what is not done and yield each result as it comes; an interrupt ends the processes.

        Args:
            runs: with the hash of each one's split, None where it is not known.
            started: called in a thread when a run's process starts.
            done: whether a run has a result by now, from another leaderboard; asked under the run's lock.
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
        self, run: Run, sha256: str | None, started: Callable[[Run], None], done: Callable[[Run], bool]
    ) -> Result:
        work_dir = self.work_dirs / run.place
        work_dir.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(f"{work_dir}.lock", timeout=0):
                if done(run):
                    return Result(run, busy=True)
                try:
                    return Result(run, _checked(work_dir, run, sha256))
                except InputError:  # nothing there, or not of this run
                    pass
                started(run)
                reason = self._train(run, work_dir)
                try:
                    return Result(run, None if reason else _checked(work_dir, run, sha256), reason)
                except InputError as error:
                    return Result(run, reason=str(error))
        except Timeout:
            return Result(run, busy=True)

    def _train(self, run: Run, work_dir: Path) -> str:
        """Train and test; return why that failed, empty if it did not."""
        if not _resumable(work_dir, run):
            shutil.rmtree(work_dir, ignore_errors=True)
        # --resume starts anew where there is nothing to resume
        command = [*COMMAND, *run.arguments, "--work-dir", str(work_dir), "--resume"]
        log = work_dir.with_name(f"{work_dir.name}.log")
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
        if code == 0:
            return ""
        lines = log.read_text(errors="replace").strip().splitlines()
        last = lines[-1].strip() if lines else "it said nothing"
        return f"ended by signal {-code}; its last line: {last}" if code < 0 else last


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_jobs() -> int:
    """Return how many runs go at a time where nobody says: one where there is a GPU, else one a core."""
    return 1 if torch.cuda.is_available() else cores()


def _checked(work_dir: Path, run: Run, sha256: str | None) -> dict[str, Any]:
    record = read_record(work_dir / METRICS)
    check_record(record, run, sha256)
    return record


def _resumable(work_dir: Path, run: Run) -> bool:
    """Whether a work dir holds an interrupted training of this very config."""
    if (work_dir / METRICS).exists():  # it ended, and what it ended with was refused
        return False
    try:
        with _READING:
            return config_sha256(read_config(work_dir / Path(run.config).name)) == run.config_sha256
    except InputError:
        return False
