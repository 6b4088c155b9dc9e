"""What a run shows on the terminal: warnings, and how far training and evaluation are."""

from __future__ import annotations

import atexit
import logging
import re
import time
from collections import deque
from datetime import timedelta
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from rich import get_console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from m3amba_zoo.registry import HOOKS

RECENT = 20  # iterations over which loss and speed are averaged
# what MMEngine warns of its own doing, or of what a model is: true, but nothing that a user should change
CHATTER = re.compile(
    r"FileClient|HardDiskBackend|Failed to search registry|The prefix is not set in metric"
    r"|is skipped since its requires_grad=False"
    r"|It is recommended to use `mmengine.dataset.InfiniteSampler`"  # the zoo's samplers are drawn by epoch
    r"|make sure that the mlflow server is running"  # MLflow says itself if it is not
    r"|is not divisible by `_accumulative_counts`"  # checkpoints keep the gradients that wait
)


class ConsoleHandler(logging.Handler):
    """Prints log records through rich, which keeps them clear of a progress bar."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave out MMEngine's chatter."""
        return not CHATTER.search(record.getMessage()) and bool(super().filter(record))

    @property
    def stream(self) -> Any:
        """Where it prints; MMEngine's ``MLflowVisBackend`` asks each handler of a run whether it is open."""
        return get_console().file

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        message = f"{record.levelname.lower()}: {record.getMessage()}"
        get_console().print(message, style="yellow", markup=False, highlight=False, soft_wrap=True)


def only_warnings() -> None:
    """Let MMEngine's logger, where no run sets its own up, print warnings and errors alone.

    Libraries, and this package's readers, tell it what they do; that belongs into a run's log file.
    """
    logger = MMLogger.get_current_instance()
    for handler in list(logger.handlers):
        if type(handler) is logging.StreamHandler:
            logger.handlers[logger.handlers.index(handler)] = ConsoleHandler(logging.WARNING)


@HOOKS.register_module()
class ProgressHook(Hook):
    """Shows epoch, loss, iterations per second and remaining time, in the main process only.

    A terminal has a bar, any other output a line now and then.

    Args:
        interval: seconds between two lines where the output is not a terminal.
    """

    priority = "LOW"

    def __init__(self, interval: float = 10.0) -> None:
        self.interval = interval
        self._bar: Progress | None = None
        self._meters: dict[str, _Meter] = {}

    def before_train(self, runner: Runner) -> None:
        """Start at the iteration that the run begins with."""
        self._open("train", runner.max_iters, runner.iter)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Advance by one iteration."""
        loss = runner.message_hub.get_scalar("train/loss").mean(RECENT)
        self._advance("train", f"epoch {runner.epoch + 1}/{runner.max_epochs}", f"loss {loss:.4f}")

    def after_train(self, runner: Runner) -> None:
        """Close the training's bar."""
        self._close("train")

    def before_val_epoch(self, runner: Runner) -> None:
        """Start a validation, under the training's bar."""
        self._open("val", len(runner.val_dataloader), 0)

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Advance by one batch."""
        self._advance("val", "validation")

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Close the validation's bar."""
        self._close("val")

    def before_test_epoch(self, runner: Runner) -> None:
        """Start the test."""
        self._open("test", len(runner.test_dataloader), 0)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Advance by one batch."""
        self._advance("test", "test")

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Close the test's bar."""
        self._close("test")

    def after_stop(self, runner: Runner) -> None:
        """Give the terminal back, also after an error or an interrupt; ``ZooRunner`` calls this."""
        for mode in list(self._meters):
            self._close(mode)

    def _open(self, mode: str, total: int, done: int) -> None:
        if not is_main_process():
            return
        meter = self._meters[mode] = _Meter(total, done)
        if get_console().is_terminal:
            if self._bar is None:
                columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn())
                self._bar = Progress(*columns, TextColumn("{task.fields[state]}"), console=get_console())
                self._bar.start()
                atexit.register(self._bar.stop)  # where the Runner does not call after_stop
            meter.task = self._bar.add_task(mode, total=total, completed=done, state="")

    def _advance(self, mode: str, label: str, loss: str = "") -> None:
        meter = self._meters.get(mode)
        if meter is None:
            return
        meter.advance()
        state = ", ".join(filter(None, (loss, meter.speed())))
        if self._bar is not None:
            self._bar.update(meter.task, completed=meter.done, description=label, state=state)
        elif meter.silence() >= self.interval or meter.done == meter.total:
            meter.shown = meter.times[-1]
            line = ", ".join(filter(None, (label, f"{meter.done}/{meter.total}", state)))
            get_console().print(line, markup=False, highlight=False, soft_wrap=True)

    def _close(self, mode: str) -> None:
        meter = self._meters.pop(mode, None)
        if self._bar is None or meter is None:
            return
        if self._meters:
            self._bar.remove_task(meter.task)
        else:
            self._bar.stop()
            self._bar = None


class _Meter:
    """Counts one loop's iterations and their recent speed."""

    def __init__(self, total: int, done: int) -> None:
        self.total, self.done = total, done
        self.shown = time.monotonic()
        self.times: deque[float] = deque(maxlen=RECENT + 1)  # without the first step's start: it compiles
        self.task: Any = None

    def advance(self) -> None:
        self.done += 1
        self.times.append(time.monotonic())

    def silence(self) -> float:
        return self.times[-1] - self.shown

    def speed(self) -> str:
        if len(self.times) < 2:
            return ""
        rate = (len(self.times) - 1) / max(self.times[-1] - self.times[0], 1e-9)
        left = timedelta(seconds=round((self.total - self.done) / rate))
        return f"{rate:.2f} it/s, {left} left"
