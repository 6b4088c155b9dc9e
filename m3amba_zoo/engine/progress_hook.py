"""Shows how far training and evaluation are: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich import get_console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from m3amba_zoo.registry import HOOKS

LOSS_WINDOW = 20  # iterations over which the loss shown is averaged


@HOOKS.register_module()
class ProgressHook(Hook):
    """Progress with epoch, loss, iterations a second and remaining time.

    Args:
        interval: seconds between two lines where the output is not a terminal.
    """

    priority = "LOW"

    def __init__(self, interval: float = 10.0) -> None:
        self.interval = interval
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._total = self._start = self._done = 0
        self._started = self._shown = 0.0

    def before_train(self, runner: Runner) -> None:
        """Start at the iteration that the run begins with."""
        self._open("train", runner.max_iters, runner.iter)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Advance by one iteration."""
        loss = runner.message_hub.get_scalar("train/loss").mean(LOSS_WINDOW)
        self._advance(f"epoch {runner.epoch + 1}/{runner.max_epochs}", f"loss {loss:.4f}")

    def after_train(self, runner: Runner) -> None:
        """Close the bar."""
        self.after_stop(runner)

    def before_test_epoch(self, runner: Runner) -> None:
        """Start the test's bar."""
        self._open("test", len(runner.test_dataloader), 0)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Advance by one batch."""
        self._advance("test", "")

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Close the bar."""
        self.after_stop(runner)

    def after_stop(self, runner: Runner) -> None:
        """Give the terminal back."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _open(self, label: str, total: int, start: int) -> None:
        self._total, self._start, self._done = total, start, start
        self._started = self._shown = time.monotonic()
        if is_main_process() and get_console().is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total} {task.fields[loss]} {task.fields[speed]}"),
                TimeRemainingColumn(),
                console=get_console(),
            )
            self._task = self._bar.add_task(label, total=total, completed=start, loss="", speed="")
            self._bar.start()

    def _advance(self, label: str, loss: str) -> None:
        self._done += 1
        now = time.monotonic()
        rate = (self._done - self._start) / max(now - self._started, 1e-9)
        if self._bar is not None:
            self._bar.update(self._task, advance=1, description=label, loss=loss, speed=f"{rate:.2f} it/s")
        elif is_main_process() and (now - self._shown >= self.interval or self._done == self._total):
            self._shown = now
            remaining = (self._total - self._done) / rate
            parts = (
                label,
                f"{self._done}/{self._total}",
                loss,
                f"{rate:.2f} it/s",
                f"{remaining:.0f} s left",
            )
            get_console().print(", ".join(filter(None, parts)), highlight=False, soft_wrap=True)
