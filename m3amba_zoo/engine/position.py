"""What a checkpoint inside an epoch holds, beyond one between epochs, so that the run goes on exactly.

A checkpoint between epochs needs no state of the generators (``EpochSeedHook``) and no gradients, unless
several steps share an update and an epoch ends between them (``accumulative_counts``).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner

from m3amba_zoo.engine.any_runner import bare_model

POSITION = "position"  # the checkpoint's entry
GENERATORS, GRADIENTS = "generators", "gradients"


def is_accumulating(runner: Runner) -> bool:
    """Say whether gradients of earlier steps wait for a later one's update."""
    wrapper = runner.optim_wrapper
    wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
    return any(not one.should_update() for one in wrappers)


def position(runner: Runner, inside: bool) -> dict[str, Any]:
    """Return the state of the generators, by rank, and waiting gradients; every rank has to call this.

    Args:
        runner: trains.
        inside: whether an epoch is under way; between two the generators are left out.
    """
    kept: dict[str, Any] = {}
    if inside:
        kept[GENERATORS] = all_gather_object(_generators())
    if is_accumulating(runner) and runner.world_size == 1:  # those of several processes differ
        parameters = bare_model(runner).named_parameters()
        kept[GRADIENTS] = {name: p.grad.cpu() for name, p in parameters if p.grad is not None}
    return kept


def restore_generators(kept: Mapping[str, Any], rank: int) -> None:
    """Set Python's, NumPy's and torch's generators as they were; does nothing if ``kept`` has none."""
    if GENERATORS not in kept:
        return
    state = kept[GENERATORS][rank]
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    key = state["numpy"]["state"]["key"].cpu().numpy().astype(np.uint32)
    inner = {**state["numpy"]["state"], "key": key}
    np.random.set_state({**state["numpy"], "state": inner})  # noqa: NPY002
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([one.cpu() for one in state["cuda"]])


def restore_gradients(kept: Mapping[str, Any], runner: Runner) -> None:
    """Give the parameters back the gradients that waited for an update."""
    parameters = dict(bare_model(runner).named_parameters())
    for name, gradient in kept.get(GRADIENTS, {}).items():
        parameters[name].grad = gradient.to(parameters[name].device)


def _generators() -> dict[str, Any]:
    version, words, gauss = random.getstate()
    numpys: Any = np.random.get_state(legacy=False)  # noqa: NPY002 - third-party code reads the global one
    key = torch.from_numpy(numpys["state"]["key"].astype(np.int64))
    return {
        "python": [version, list(words), gauss],
        "numpy": {**numpys, "state": {**numpys["state"], "key": key}},
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
