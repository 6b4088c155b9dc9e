"""Stops a run whose loss is no longer a number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import HOOKS


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Raises InputError at the first loss that is NaN or infinite; no checkpoint is written after it."""

    priority = "HIGH"

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Mapping[str, Any] | None = None
    ) -> None:
        """Check the terms of the loss."""
        # RuntimeInfoHook has fetched the values from the device already
        history = {name: runner.message_hub.get_scalar(f"train/{name}") for name in outputs or {}}
        terms = {name: float(values.current()) for name, values in history.items() if "loss" in name}
        if all(map(math.isfinite, terms.values())):
            return
        values = ", ".join(f"{name} {value:g}" for name, value in terms.items())
        rates = ", ".join(f"{rate:g}" for rate in runner.optim_wrapper.get_lr()["lr"])
        raise InputError(
            f"the loss is not finite in epoch {runner.epoch + 1}, iteration {batch_idx + 1} ({values}): "
            f"training has stopped; a smaller optim_wrapper.optimizer.lr (now {rates}) or clip_grad may help"
        )
