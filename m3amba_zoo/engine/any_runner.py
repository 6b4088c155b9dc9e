"""What a Runner holds, whether it is the zoo's, MMEngine's or a user's."""

from __future__ import annotations

from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch import nn


def bare_model(runner: Runner) -> nn.Module:
    """Return the model without the wrapper that several processes need."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def built_loops(runner: Runner) -> dict[str, BaseLoop]:
    """Return the loops built so far, by ``train``, ``val`` and ``test``; MMEngine builds each when asked."""
    loops = {"train": runner._train_loop, "val": runner._val_loop, "test": runner._test_loop}
    return {name: loop for name, loop in loops.items() if isinstance(loop, BaseLoop)}


def metainfo_of(loop: BaseLoop) -> dict[str, Any]:
    """Return what the dataset of a loop says of itself; empty if it says nothing."""
    return getattr(loop.dataloader.dataset, "metainfo", None) or {}


def has_trained(runner: Runner) -> bool:
    """Say whether an iteration has been trained, by this run or by the one it resumes.

    A loop that does not count its iterations is taken to have trained.
    """
    loop = built_loops(runner).get("train")
    return loop is not None and getattr(loop, "iter", 1) > 0


def has_hook(runner: Runner, kind: type) -> bool:
    """Say whether a hook of the Runner is of this class."""
    return any(isinstance(hook, kind) for hook in runner.hooks)
