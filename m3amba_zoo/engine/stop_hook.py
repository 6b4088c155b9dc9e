"""Ends a run after a whole step when its process is asked to stop, with a checkpoint to go on from."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.runner import Runner

from m3amba_zoo import stopping
from m3amba_zoo.engine.checkpoint import SafeCheckpointHook
from m3amba_zoo.engine.position import is_accumulating


class StopHook(Hook):
    """Asks after each step whether the run is to stop; the commands add it to every Runner.

    It comes after all other hooks, which have then seen the step that a checkpoint has.
    """

    priority = "LOWEST"

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Write a checkpoint and raise ``Stopped``, on all processes after the same step."""
        number = _agreed(runner)
        if not number:
            return
        if runner.world_size > 1 and is_accumulating(runner):  # the gradients of each differ and are not kept
            return
        hook = next((hook for hook in runner.hooks if isinstance(hook, SafeCheckpointHook)), None)
        if hook is not None:
            hook.save_inside(runner)
        raise stopping.Stopped(number)

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Raise ``Stopped``: the epoch's checkpoint is there, and the validation is made anew."""
        stopping.check()

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Raise ``Stopped``."""
        stopping.check()


def _agreed(runner: Runner) -> int:
    """Return the signal that any process was sent, 0 if none."""
    number = torch.tensor(stopping.asked() or 0)
    if runner.world_size > 1:
        number = number.to(next(runner.model.parameters()).device)
        all_reduce(number, "max")
    return int(number)
