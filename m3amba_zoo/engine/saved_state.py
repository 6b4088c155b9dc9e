"""What a checkpoint holds beside the weights, and checks that a training can go on from it.

Its values are plain: tensors, texts, numbers and builtin containers, which are read without running code. One
that is written inside an epoch holds the state of the generators, and gradients that wait for an update. One
between epochs needs no generators (``EpochSeedHook``), and gradients only if several steps share an update
and an epoch ends between them (``accumulative_counts``).

Without the checks a file that somebody changed, or an earlier version wrote, ends in a traceback of torch or
MMEngine, or, worse, in a training that goes on from nothing and says that it has resumed.
"""

from __future__ import annotations

import inspect
import math
import numbers
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object
from mmengine.logging import HistoryBuffer
from mmengine.optim import OptimWrapperDict
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import Tensor

from m3amba_zoo.engine.any_runner import bare_model
from m3amba_zoo.errors import InputError
from m3amba_zoo.models.weights import check_fit, require_plain

HUB = ("log_scalars", "runtime_info", "resumed_keys")
EMA, IN_EMA = "ema_state_dict", "module."  # MMEngine's EMAHook
PROBE = (3, 5)  # no parameter's shape: what has it in an example, has the parameter's shape elsewhere
PLAIN = (str, bytes, bool, int, float, type(None), torch.Tensor)
POSITION = "position"  # the checkpoint's entry
GENERATORS, GRADIENTS = "generators", "gradients"


def check_resumable(runner: Runner, checkpoint: Mapping[str, Any], path: str | Path) -> None:
    """Check a checkpoint before anything of it is loaded.

    Raises:
        InputError: if it lacks something, or a part is of another kind than a training of this config writes.
    """
    meta = checkpoint["meta"]
    by_steps = isinstance(runner.train_loop, IterBasedTrainLoop)
    for key, most in {"iter": runner.max_iters, **({} if by_steps else {"epoch": runner.max_epochs})}.items():
        if meta.get(key, most + 1) > most:
            raise InputError(f"{path}: 'meta.{key}' is {meta.get(key)}, expected 0 to {most}")
    for part in _optimizers(checkpoint["optimizer"]):
        groups = part["param_groups"]
        if not all(isinstance(one, Mapping) and isinstance(one.get("params"), list) for one in groups):
            raise InputError(f"{path}: 'optimizer.param_groups' is no list of groups with their 'params'")
    if runner.param_schedulers and "param_schedulers" not in checkpoint:
        raise InputError(
            f"{path}: has no 'param_schedulers', without which the schedule of the learning rate starts anew "
            "(save_param_scheduler of CheckpointHook)"
        )
    if lacking := [part for part in HUB if part not in checkpoint["message_hub"]]:
        raise InputError(f"{path}: 'message_hub' has no '{lacking[0]}'")
    for name, history in checkpoint["message_hub"]["log_scalars"].items():
        values = [history.get(key) for key in ("values", "counts")] if isinstance(history, Mapping) else []
        tensors = [value for value in values if isinstance(value, Tensor) and value.ndim == 1]
        if len(tensors) < 2 or len(tensors[0]) != len(tensors[1]):
            raise InputError(f"{path}: 'message_hub.log_scalars.{name}' is no history of numbers")
    expected = bare_model(runner).state_dict()
    if EMA in checkpoint:
        require_plain(checkpoint[EMA], path)
        averaged = {k.removeprefix(IN_EMA): v for k, v in checkpoint[EMA].items() if k.startswith(IN_EMA)}
        check_fit(averaged, expected, path)
    kept = checkpoint.get(POSITION, {})
    if GENERATORS in kept and len(kept[GENERATORS]) != runner.world_size:
        raise InputError(
            f"{path}: has the generators of {len(kept[GENERATORS])} processes, expected {runner.world_size}"
        )
    for name, gradient in kept.get(GRADIENTS, {}).items():
        if name not in expected or not _alike(gradient, expected[name]):
            raise InputError(f"{path}: '{name}' of the waiting gradients fits no parameter")


def check_states(runner: Runner, checkpoint: Mapping[str, Any], path: str | Path) -> None:
    """Check the states of optimiser and schedule, where they are to be loaded, before they are.

    Raises:
        InputError: if they do not fit the optimiser and the schedule of this config, or are empty.
    """
    if "optimizer" in checkpoint:
        runner.optim_wrapper = wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        several = isinstance(wrapper, OptimWrapperDict)
        for name, one in dict(wrapper.items()).items() if several else [("", wrapper)]:
            saved = checkpoint["optimizer"].get(name) if several else checkpoint["optimizer"]
            has_stepped = checkpoint["meta"]["iter"] >= one._accumulative_counts
            if fault := _fault_of_optimizer(one.optimizer, saved, has_stepped):
                raise InputError(f"{path}: {fault}")
    if "param_schedulers" in checkpoint and runner.param_schedulers is not None:
        runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
        schedulers: Any = runner.param_schedulers
        named = schedulers if isinstance(schedulers, dict) else {"": schedulers}
        saved = checkpoint["param_schedulers"]
        for name, ones in named.items():
            states = saved if name == "" else saved.get(name) if isinstance(saved, Mapping) else None
            if not _alike(states, [one.state_dict() for one in ones]):
                raise InputError(
                    f"{path}: 'param_schedulers' is not the state of this config's {len(ones)} schedules"
                )


def _optimizers(saved: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the states in an optimiser's state: its own, or those of several optimisers by name."""
    if "param_groups" in saved:
        return [saved]
    return [o for o in saved.values() if isinstance(o, Mapping) and isinstance(o.get("param_groups"), list)]


def _fault_of_optimizer(optimizer: torch.optim.Optimizer, saved: Any, has_stepped: bool) -> str:
    """Say why a state is none of this optimiser; empty if it is."""
    if not (isinstance(saved, Mapping) and {"state", "param_groups"} <= saved.keys()):
        return "'optimizer' has no 'state' and 'param_groups'"
    groups = optimizer.param_groups
    given = [len(group["params"]) for group in saved["param_groups"]]
    wanted = [len(group["params"]) for group in groups]
    if given != wanted:
        return f"'optimizer' has groups of {given} parameters, expected {wanted}"
    for group, current in zip(saved["param_groups"], groups, strict=True):
        for key, value in current.items():
            if key != "params" and key in group and not _alike(group[key], value):
                return f"'optimizer' has {key} {group[key]!r:.40}, where {value!r:.40} is one"
    example = _example_of_state(optimizer)
    state = saved["state"]
    if example and has_stepped and not state:
        return (
            f"the state of the optimiser ({type(optimizer).__name__}) is empty, training cannot go on exactly"
        )
    order = [index for group in saved["param_groups"] for index in group["params"]]
    parameters = [parameter for group in groups for parameter in group["params"]]
    by_index = dict(zip(order, parameters, strict=True))
    for index, entry in state.items():
        if index not in by_index or not isinstance(entry, Mapping):
            return f"the optimiser's state has {index!r:.40}, which is no parameter"
        for key, value in (example or {}).items():
            shape = getattr(value, "shape", None)
            wants = torch.empty_like(by_index[index]) if shape == PROBE else value
            if key not in entry or not (shape not in (PROBE, ()) or _alike(entry[key], wants)):
                return f"the optimiser's '{key}' of parameter {index} is absent or does not fit"
    return ""


def _example_of_state(optimizer: torch.optim.Optimizer) -> dict[str, Any] | None:
    """Return what an optimiser keeps of a parameter of the shape ``PROBE``; None if that cannot be tried."""
    probe = torch.zeros(PROBE, requires_grad=True)
    probe.grad = torch.zeros(PROBE)
    taken = inspect.signature(type(optimizer).__init__).parameters
    try:
        other = type(optimizer)([probe], **{k: v for k, v in optimizer.defaults.items() if k in taken})
        other.step()
        return dict(other.state.get(probe, {}))
    except Exception:  # one that needs a closure, or other arguments
        return None


def _alike(saved: Any, current: Any) -> bool:
    """Tell whether a saved value is of the kind and shape of the current one, and has no NaN."""
    if isinstance(current, Tensor):
        return isinstance(saved, Tensor) and saved.shape == current.shape and not bool(saved.isnan().any())
    if isinstance(current, (bool, str)):
        return isinstance(saved, type(current))
    if isinstance(current, numbers.Real):
        return isinstance(saved, numbers.Real) and not math.isnan(saved)
    if isinstance(current, Mapping):
        return isinstance(saved, Mapping) and all(
            key in saved and _alike(saved[key], value) for key, value in current.items()
        )
    if isinstance(current, Sequence):
        kind = isinstance(saved, Sequence) and not isinstance(saved, str) and len(saved) == len(current)
        return kind and all(map(_alike, saved, current))
    return True


def pack(history: HistoryBuffer) -> dict[str, torch.Tensor]:
    """Return a history of scalars as tensors."""
    values, counts = history.data
    return {"values": torch.from_numpy(values.copy()), "counts": torch.from_numpy(counts.copy())}


def unpack(packed: Any) -> Any:
    """Return the history that ``pack`` made these tensors of; anything else as it is."""
    if isinstance(packed, Mapping) and packed.keys() == {"values", "counts"}:
        return HistoryBuffer(packed["values"].numpy(), packed["counts"].numpy())
    return packed


def is_plain(value: Any) -> bool:
    """Say whether a value is plain, or made of plain values by lists and mappings."""
    if isinstance(value, Mapping):
        return all(map(is_plain, value)) and all(map(is_plain, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    return isinstance(value, (*PLAIN, np.generic))


def made_plain(value: Any) -> Any:
    """Return builtin containers and numbers in place of config dicts and numpy scalars."""
    if isinstance(value, Mapping):
        return {made_plain(key): made_plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [made_plain(entry) for entry in value]
    return value.item() if isinstance(value, np.generic) else value


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
