"""The authors' checkpoint in our names (their layout: DESIGN section 4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.ss2d import DIRECTIONS

# In the authors' cross blocks, of either stream, `_hsi` is the block's own input and `_lidar` is z.
_OWN, _FUSED = "_hsi", "_lidar"
_STREAM_LETTERS = "xy"

_BLOCK_PARTS = {
    "norm": "norm1",
    "norm2": "norm2",
    "mlp.fc1": "mlp.0",
    "mlp.fc2": "mlp.2",
    "op.in_proj": "scan.in_proj",
    "op.conv2d": "scan.conv",
    "op.out_norm": "scan.out_norm",
    "op.out_proj": "scan.out_proj",
}
_SCAN_PARTS = {
    "x_proj_weight": "x_proj",
    "dt_projs_weight": "dt_weight",
    "dt_projs_bias": "dt_bias",
    "A_logs": "A_log",
    "Ds": "D",
}


def convert_reference(
    state_dict: Mapping[str, Any], modalities: Sequence[str] = ("hsi", "lidar")
) -> dict[str, Tensor]:
    """Rename and reshape the authors' checkpoint to the state dict of ``m3amba_zoo.m3amba(...)``.

    Args:
        state_dict: what their checkpoint holds: nested (``model_dict``, ``conv_hsi``, ``conv_lidar``),
            flat with the prefix ``model_dict.``, or ``model_dict`` alone.
        modalities: our names for their first and second modality.

    Returns:
        Tensors by our names. The convolutions before CLIP (top-level ``conv_hsi``, ``conv_lidar``) become
        ``adapters.<modality>.pseudo_rgb`` where present: load those into a model with an encoder.

    Raises:
        InputError: a key is not of the authors' layout.
    """
    if len(modalities) != 2:
        raise InputError(f"the authors' checkpoints have two modalities, {len(modalities)} names are given")
    network, before_clip = _parts(state_dict)
    streams = dict(zip(("hsi", "lidar"), modalities, strict=True))
    converted = {}
    for key, value in network.items():
        name, reshape = _rename(key, streams)
        converted[name] = reshape(value)
    for key, value in before_clip.items():
        theirs, parameter = key.removeprefix("conv_").split(".")
        converted[f"adapters.{streams[theirs]}.pseudo_rgb.{parameter}"] = value
    return converted


def _parts(state_dict: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the network's tensors and those of the convolutions before CLIP."""
    flat: dict[str, Tensor] = {}
    for key, value in state_dict.items():
        if isinstance(value, Mapping):
            flat.update({f"{key}.{inner}": tensor for inner, tensor in value.items()})
        else:
            flat[key] = value
    if not any(key.startswith("model_dict.") for key in flat):
        return flat, {}
    network = {k.removeprefix("model_dict."): v for k, v in flat.items() if k.startswith("model_dict.")}
    before = {k: v for k, v in flat.items() if re.fullmatch(r"conv_(hsi|lidar)\.(weight|bias)", k)}
    for key in flat.keys() - before.keys():
        if not key.startswith("model_dict."):
            raise InputError(f"key '{key}' is not of the layout of M3amba's authors")
    return network, before


def _keep(value: Tensor) -> Tensor:
    return value


def _as_linear(value: Tensor) -> Tensor:
    """Reshape a 1 x 1 convolution's weight ``(out, in, 1, 1)`` to a Linear's ``(out, in)``."""
    return value.flatten(1) if value.ndim == 4 else value


def _by_direction(value: Tensor) -> Tensor:
    """``(K I, ...)`` to ``(K, I, ...)``."""
    return value.unflatten(0, (DIRECTIONS, -1))


def _rename(key: str, streams: Mapping[str, str]) -> tuple[str, Callable[[Tensor], Tensor]]:
    """Return our name of a tensor of theirs and how to reshape it."""
    if match := re.fullmatch(r"(linear|conv)_(hsi|lidar)\.(weight|bias)", key):
        part = {"linear": "prior_map", "conv": "prior_bands"}[match[1]]
        return f"adapters.{streams[match[2]]}.{part}.{match[3]}", _keep
    if match := re.fullmatch(r"patch_embed_(hsi|lidar)(_clip)?\.(0|2)\.(weight|bias)", key):
        part = "prior_embed" if match[2] else "token_embed"
        layer = {"0": "proj", "2": "norm"}[match[3]]
        return f"adapters.{streams[match[1]]}.{part}.{layer}.{match[4]}", _as_linear
    if match := re.fullmatch(r"classifier_(hsi|lidar|add)\.(norm|head)\.(weight|bias)", key):
        stream = streams.get(match[1], "fused")
        layer = {"norm": "norm", "head": "classify"}[match[2]]
        return f"heads.{stream}.{layer}.{match[3]}", _as_linear
    if match := re.fullmatch(r"layers_([xyz])\.0\.(\d+)\.(.+)", key):
        letter, index, rest = match.groups()
        if letter in _STREAM_LETTERS:
            stream = list(streams.values())[_STREAM_LETTERS.index(letter)]
            block = f"neck.streams.{stream}.{index}"
        else:
            block = f"neck.fused.{index}"
        return _rename_in_block(key, block, rest)
    raise InputError(f"key '{key}' is not of the layout of M3amba's authors")


def _rename_in_block(key: str, block: str, rest: str) -> tuple[str, Callable[[Tensor], Tensor]]:
    part, _, parameter = rest.rpartition(".")
    if part in _BLOCK_PARTS:
        return f"{block}.{_BLOCK_PARTS[part]}.{parameter}", _keep
    if part == "op":
        owner = "fused" if parameter.endswith(_FUSED) else "own"
        ours = _SCAN_PARTS.get(parameter.removesuffix(_OWN).removesuffix(_FUSED))
        if ours:
            return f"{block}.scan.{owner}.{ours}", _by_direction if ours in ("A_log", "D") else _keep
    raise InputError(f"key '{key}' is not of the layout of M3amba's authors")
