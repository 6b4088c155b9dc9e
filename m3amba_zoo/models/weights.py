"""Weights from files, without running any code from them."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from m3amba_zoo.errors import InputError


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Load a checkpoint of a training, or bare weights, which must fit the model exactly.

    Args:
        model: takes the weights.
        path: a ``.safetensors`` file, or what torch saved: a state dict, or a dict with a ``state_dict``.

    Raises:
        InputError: the file is absent, damaged, holds pickled objects other than tensors and plain values,
            or does not fit; the message then names the first parameter that differs.
    """
    state = read_weights(path)
    expected = model.state_dict()
    for name in [*expected, *state]:
        found, wanted = _shape(state.get(name)), _shape(expected.get(name))
        if found != wanted:
            raise InputError(
                f"{path} does not fit the config: '{name}' is {found} in the file and {wanted} in the model"
            )
    model.load_state_dict(state)


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict; see ``load_weights``."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; weights (.safetensors, .pth) are expected")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise InputError(f"{path}: cut short or damaged, not a safetensors file ({error})") from error
    content = _read_torch(path)
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if state is None or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{path}: holds no state dict; a checkpoint of a training is expected")
    return dict(state)


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))
        what = f"holds a pickled {refused[1]}" if refused else "damaged, or not a checkpoint"
        raise InputError(f"{path}: {what}; tensors and plain values are expected") from error
    except (RuntimeError, EOFError, zipfile.BadZipFile, ValueError, KeyError) as error:
        raise InputError(f"{path}: cut short or damaged, not a checkpoint") from error


def _shape(value: Tensor | None) -> str:
    return "absent" if value is None else f"({', '.join(map(str, value.shape))})"
