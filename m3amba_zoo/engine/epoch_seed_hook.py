"""Seeds all chance anew at each epoch, so that a run resumed between epochs goes on as if uninterrupted."""

from __future__ import annotations

import random

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from m3amba_zoo.registry import HOOKS


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seeds ``random``, NumPy and torch (CPU and CUDA) from the run's seed, the epoch and the rank.

    A checkpoint then needs no state of the generators.
    """

    priority = "VERY_HIGH"

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed before the first batch is drawn."""
        sequence = np.random.SeedSequence((runner.seed, runner.epoch, runner.rank))
        python_seed, numpy_seed, torch_seed = (int(word) for word in sequence.generate_state(3))
        random.seed(python_seed)
        np.random.seed(numpy_seed)  # noqa: NPY002 - third-party code reads the global generator
        torch.manual_seed(torch_seed)
