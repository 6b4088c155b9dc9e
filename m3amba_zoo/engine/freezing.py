"""Parameters that a training leaves as they are: the config's ``freeze``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import nn

from m3amba_zoo.config.options import FREEZE
from m3amba_zoo.errors import InputError
from m3amba_zoo.models.weights import matching_names


def freeze(model: nn.Module, patterns: Sequence[str] | None) -> None:
    """Set ``requires_grad`` of the parameters that a pattern matches to False.

    Args:
        model: of the run.
        patterns: as ``fnmatch`` reads them, on the names of ``named_parameters()``: ``neck.*``; None and an
            empty list freeze nothing.

    Raises:
        InputError: it is no list of patterns, one matches nothing (close names are given), or nothing is left
            to train. Nothing is frozen then.
    """
    if not patterns:
        return
    parameters = dict(model.named_parameters())
    frozen = matching_names(patterns, parameters, FREEZE)
    if not any(value.requires_grad for name, value in parameters.items() if name not in frozen):
        raise InputError(f"freeze: {', '.join(patterns)} leaves no parameter to train")
    for name in frozen:
        parameters[name].requires_grad_(False)


def leave_out_frozen(optim_wrapper: Any) -> None:
    """Take the frozen parameters out of an optimiser, which would keep state and decay for them."""
    wrappers = optim_wrapper.values() if isinstance(optim_wrapper, OptimWrapperDict) else [optim_wrapper]
    for wrapper in wrappers:
        groups = wrapper.optimizer.param_groups
        for group in groups:
            group["params"] = [parameter for parameter in group["params"] if parameter.requires_grad]
        groups[:] = [group for group in groups if group["params"]]


class FreezeHook(Hook):
    """Keeps parts whose parameters are all frozen in evaluation mode: they are fixed functions.

    Batch norm there uses the statistics that came with the weights and does not update them; dropout and
    stochastic depth there are off. Parts with any trained parameter train as always.
    """

    def __init__(self) -> None:
        self.parts: list[nn.Module] = []

    def before_train(self, runner: Runner) -> None:
        """Find the parts; checkpoints keep the patterns, for who resumes."""
        runner.message_hub.update_info(FREEZE, list(runner.cfg[FREEZE]))
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self.parts = list(_frozen_parts(model))

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Set them to evaluation mode; loops set the whole model to training mode after each validation."""
        for part in self.parts:
            if part.training:
                part.eval()


def _frozen_parts(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the outermost modules that have parameters, all of them frozen."""
    parameters = list(module.parameters())
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        yield module
        return
    for child in module.children():
        yield from _frozen_parts(child)
