"""Shows how far the runs are: a bar on a terminal, a line a run elsewhere."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from rich import get_console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from m3amba_zoo.evaluation.scores import SCORES
from workshop.leaderboard.plan import Run
from workshop.leaderboard.processes import Result


class RunProgress:
    """Counts runs that end and names those that are on their way.

    Args:
        total: runs to do.
        done: runs that were done before.
        without: runs without data.
    """

    def __init__(self, total: int, done: int, without: int) -> None:
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
        _print(f"{total} runs to do, {done} done, {without} without data here")

    def __enter__(self) -> RunProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def started(self, run: Run) -> None:
        """Note that a run's process starts; called from its thread."""
        with self._lock:
            self._started[run] = time.monotonic()
            self._show()

    def ended(self, result: Result) -> None:
        """Print what became of a run."""
        with self._lock:
            self.ends += 1
            began = self._started.pop(result.run, None)
            self._show()
        if result.record is not None:
            said = ", ".join(f"{score} {result.record[score]:.4f}" for score in SCORES)
        else:
            said = "done by another leaderboard" if result.busy else f"failed: {result.reason}"
        seconds = f" ({time.monotonic() - began:.0f} s)" if began is not None else ""
        _print(f"[{self.ends}/{self.total}] {result.run}: {said}{seconds}")

    def _show(self) -> None:
        names = ", ".join(str(run) for run in self._started)
        self._bar.update(self._task, completed=self.ends, names=names)


def _print(line: str) -> None:
    get_console().print(line, markup=False, highlight=False, soft_wrap=True)
