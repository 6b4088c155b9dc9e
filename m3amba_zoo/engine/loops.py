"""MMEngine's training loops, which go on exactly from a checkpoint that was written at any step.

MMEngine's begin the epoch anew and so train on some windows twice, and miss a validation that was due when
the run was killed.
"""

from __future__ import annotations

from typing import Any

import torch
from mmengine.runner import EpochBasedTrainLoop as MMEngineEpochBasedTrainLoop
from mmengine.runner import IterBasedTrainLoop as MMEngineIterBasedTrainLoop
from torch import nn
from torch.utils.data import DataLoader

from m3amba_zoo.engine.saved_state import restore_generators, restore_gradients
from m3amba_zoo.registry import LOOPS

VALIDATED = "validated_iter"  # the message hub's: the iteration of the last validation


@LOOPS.register_module()
class EpochBasedTrainLoop(MMEngineEpochBasedTrainLoop):
    """Trains for a number of epochs; a run that was stopped inside one goes on behind its last step.

    The windows before it are read again and not trained on, so that whatever draws numbers as it reads them
    draws the same ones.
    """

    position: dict[str, Any] = {}  # noqa: RUF012 - replaced, never changed; see m3amba_zoo.engine.saved_state

    def run(self) -> nn.Module:
        """Train."""
        self.runner.call_hook("before_train")
        restore_gradients(self.position, self.runner)
        if self._iter == self._epoch * len(self.dataloader):
            self._decide_current_val_interval()
            _validate_if_missed(self, self._is_validated())
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            if self._is_validated():
                _validate(self)
        self.runner.call_hook("after_train")
        return self.runner.model

    def run_epoch(self) -> None:
        """Train on the windows of one epoch, or on those that are left of it."""
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        done = self._iter - self._epoch * len(self.dataloader)
        _draw_as_a_new_iterator(self.dataloader)
        for index, batch in enumerate(self.dataloader):
            if index >= done:
                self.run_iter(index, batch)
            elif index == done - 1:  # before the next batch is read
                restore_generators(self.position, self.runner.rank)
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1

    def _is_validated(self) -> bool:
        due = self._epoch % self.val_interval == 0 or self._epoch == self._max_epochs
        return self.runner.val_loop is not None and self._epoch >= max(self.val_begin, 1) and due


@LOOPS.register_module()
class IterBasedTrainLoop(MMEngineIterBasedTrainLoop):
    """Trains for a number of iterations; a run that was stopped goes on behind its last one."""

    position: dict[str, Any] = {}  # noqa: RUF012 - replaced, never changed

    def run(self) -> nn.Module:
        """Train."""
        self.runner.call_hook("before_train")
        restore_gradients(self.position, self.runner)
        self.runner.call_hook("before_train_epoch")
        if 0 < self._iter < self._max_iters:
            for _ in range(self._iter):  # they are read again and not trained on
                next(self.dataloader_iterator)
            restore_generators(self.position, self.runner.rank)
        self._decide_current_val_interval()
        _validate_if_missed(self, self._is_validated())
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._decide_current_val_interval()
            if self._is_validated():
                _validate(self)
        self.runner.call_hook("after_train_epoch")
        self.runner.call_hook("after_train")
        return self.runner.model

    def _is_validated(self) -> bool:
        due = self._iter % self.val_interval == 0 or self._iter == self._max_iters
        return self.runner.val_loop is not None and self._iter >= max(self.val_begin, 1) and due


def _validate(loop: Any) -> None:
    # noted before: a checkpoint that is written as it ends has seen it, one that was written before has not
    loop.runner.message_hub.update_info(VALIDATED, loop.iter)
    loop.runner.val_loop.run()


def _validate_if_missed(loop: Any, due: bool) -> None:
    """Validate where a resumed run was killed between the checkpoint of its last step and its validation."""
    hub = loop.runner.message_hub
    if loop.iter == 0:
        hub.update_info(VALIDATED, 0)
    elif due and hub.get_info(VALIDATED, loop.iter) != loop.iter:  # earlier versions did not note it
        _validate(loop)


def _draw_as_a_new_iterator(loader: DataLoader) -> None:
    """Draw the number that a new iterator draws, where persistent workers have the old one serve again.

    The epoch then has the same numbers in a resumed run, whose iterator is new.
    """
    if loader.persistent_workers and loader._iterator is not None:
        torch.empty((), dtype=torch.int64).random_(generator=loader.generator)
