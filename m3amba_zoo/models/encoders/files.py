"""Finds files of encoders' weights, and reads the tensors in them, in the layouts that publishers use."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.torchscript import is_torchscript, read_torchscript
from m3amba_zoo.models.weights import read_checkpoint, read_plain
from m3amba_zoo.system import WEIGHTS_VARIABLE

INDEX = ".index.json"
# the names of weights in a folder or a repository, best first
FILE_NAMES = (
    "open_clip_model.safetensors",
    "model.safetensors",
    f"model.safetensors{INDEX}",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
    f"pytorch_model.bin{INDEX}",
)
WRAPPERS = ("state_dict", "model", "model_state_dict")  # keys of checkpoints that hold the weights
PREFIX = "module."  # of models that were trained by several processes


def named_file(weights: str | Path) -> Path | None:
    """Return the file of weights at a path, or at that path in ``$M3AMBA_WEIGHTS``; None if there is none.

    A folder, such as a clone of a repository, stands for the first of ``FILE_NAMES`` in it.
    """
    path = Path(weights).expanduser()
    root = os.environ.get(WEIGHTS_VARIABLE)
    for place in (path, *([Path(root).expanduser() / path] if root else [])):
        for candidate in (place, *(place / name for name in FILE_NAMES)):
            if candidate.is_file():
                return candidate
    return None


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors in a file of weights by their names, without running anything of it.

    It reads safetensors, torch's own files, TorchScript archives, and several files with their index
    ``*.index.json``. The weights may lie bare or under ``state_dict``, ``model`` or ``model_state_dict``. A
    prefix ``module.`` of all names is taken off.

    Raises:
        InputError: if the file or a part of it is absent, cut short or damaged, or holds no tensors by name.
    """
    if path.name.endswith(INDEX):
        tensors = _read_parts(path)
    elif path.suffix == ".safetensors":
        tensors = read_checkpoint(path, "cpu")["state_dict"]
    elif is_torchscript(path):
        tensors = read_torchscript(path)
    else:
        tensors = _unwrapped(read_plain(path, "cpu"), path)
    if tensors and all(name.startswith(PREFIX) for name in tensors):
        tensors = {name.removeprefix(PREFIX): value for name, value in tensors.items()}
    return tensors


def _unwrapped(content: Any, path: Path) -> dict[str, Tensor]:
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if isinstance(content, Mapping):
        tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
        if tensors and all(isinstance(name, str) for name in tensors):
            return tensors
    raise InputError(f"{path}: holds a {type(content).__name__} without tensors, expected tensors by name")


def _read_parts(index: Path) -> dict[str, Tensor]:
    try:
        parts = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = sorted(set(parts.values()))
        if not names or any(name != Path(name).name or name.endswith(INDEX) for name in names):
            raise ValueError("expected names of files beside the index")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{index}: damaged, expected 'weight_map' with the file of each tensor") from error
    for name in names:
        if not (index.parent / name).is_file():
            raise InputError(f"{index}: names {name}, which is not beside it; fetch all {len(names)} parts")
    return {key: value for name in names for key, value in read_tensors(index.parent / name).items()}
