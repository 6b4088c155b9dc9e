"""The authors' checkpoint in our names, and as a folder of config and weights that this zoo loads.

The authors' checkpoint has the top keys ``model_dict``, ``conv_hsi`` and ``conv_lidar`` (the 1x1 convolutions
before CLIP). ``model_dict`` holds

- ``linear_{hsi,lidar}``, ``conv_{hsi,lidar}`` (the prior);
- ``patch_embed_{hsi,lidar}[_clip].{0,2}`` (convolution, LayerNorm);
- ``layers_{x,y,z}.0.{i}`` with ``norm``, ``norm2``, ``mlp.fc1``, ``mlp.fc2``, ``op.in_proj``, ``op.conv2d``,
  ``op.out_norm``, ``op.out_proj``, and ``op.{x_proj_weight,dt_projs_weight,dt_projs_bias,A_logs,Ds}``, in x
  and y each with the suffixes ``_hsi`` and ``_lidar``: in both, ``_hsi`` is the block's own input and
  ``_lidar`` is z; in z without a suffix;
- ``classifier_{hsi,lidar,add}.{norm,head}``.

Scan directions are stored in the order row-major, column-major, row-major reversed, column-major reversed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from safetensors.torch import save_file
from torch import Tensor

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub.index import CONFIG
from m3amba_zoo.models.ss2d import DIRECTIONS
from m3amba_zoo.models.weights import check_fit, read_plain, require_plain
from m3amba_zoo.registry import MODELS
from m3amba_zoo.system import sha256_of, whole_folder

MODALITIES = ("hsi", "lidar")  # the authors' names
BEFORE_CLIP = ".pseudo_rgb."
_OWN, _FUSED = "_hsi", "_lidar"
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
    state_dict: Mapping[str, Any], modalities: Sequence[str] = MODALITIES
) -> dict[str, Tensor]:
    """Rename and reshape the authors' checkpoint to the state dict of ``m3amba_zoo.m3amba(...)``.

    Args:
        state_dict: the content of their checkpoint: nested (``model_dict``, ``conv_hsi``, ``conv_lidar``),
            flat with the prefix ``model_dict.``, or ``model_dict`` alone.
        modalities: our names for their first and second modality.

    Returns:
        Tensors by our names. The convolutions before CLIP, where present, become
        ``adapters.<modality>.pseudo_rgb``: load those into a model with an encoder.

    Raises:
        InputError: if a key does not belong to the authors' layout.
    """
    if len(modalities) != 2:
        raise InputError(f"the authors' checkpoints have two modalities, {len(modalities)} names are given")
    network, before_clip = _parts(state_dict)
    streams = dict(zip(MODALITIES, modalities, strict=True))
    converted = {}
    for key, value in network.items():
        name, reshape = _rename(key, streams)
        converted[name] = reshape(value)
    for key, value in before_clip.items():
        theirs, parameter = key.removeprefix("conv_").split(".")
        converted[f"adapters.{streams[theirs]}{BEFORE_CLIP}{parameter}"] = value
    return converted


def convert_file(
    path: str | Path,
    out: str | Path,
    modalities: Sequence[str] = MODALITIES,
    encoder: Mapping[str, Any] | None = None,
) -> Path:
    """Convert a checkpoint of M3amba's authors (``.pth``) to a folder of ``config.py`` and weights.

    The config's sizes are those of the tensors. It has no pretreatment, since the checkpoint does not say how
    its bands were scaled: the model reads rasters as they are given.

    Args:
        path: of the checkpoint.
        out: the folder to make; it appears whole or not at all.
        modalities: our names for the authors' first and second.
        encoder: config of the CLIP encoder that the checkpoint was trained with. None makes a model that
            takes ``clip_features`` instead, and leaves out the convolutions before CLIP.

    Returns:
        The path of the weights.

    Raises:
        InputError: if the file cannot be read, holds pickled objects or another layout; the encoder is not
            available; or ``out`` exists or cannot be written.
    """
    path, out = Path(path).expanduser(), Path(out).expanduser()
    if out.exists():
        raise InputError(f"{out}: exists already, expected the name of a folder to make")
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint")
    try:
        weights = _convert(path, modalities)
        model = _sizes(weights, modalities)
    except InputError as error:
        raise InputError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error
    if encoder is not None and not any(BEFORE_CLIP in name for name in weights):
        raise InputError(
            f"{path}: holds the network alone, not the convolutions before CLIP (conv_hsi, conv_lidar); "
            "--clip none converts it without CLIP"
        )
    if encoder is None:
        weights = {name: value for name, value in weights.items() if BEFORE_CLIP not in name}
    else:
        model["encoder"] = dict(encoder)
    expected = MODELS.build(model).state_dict()
    if encoder is not None:
        weights["encoder.fingerprint"] = expected["encoder.fingerprint"]
    check_fit(weights, expected, path)
    # the name is quoted, as a line end in it would turn the rest of it into code
    origin = f"# From the checkpoint of M3amba's authors {path.name!r}, sha256 {sha256_of(path)}\n"
    name = f"{path.stem}.safetensors"
    with whole_folder(out) as aside:
        (aside / CONFIG).write_text(origin + Config({"model": model}).pretty_text, encoding="utf-8")
        save_file(weights, aside / name)
        (aside / name).chmod(0o644)  # safetensors makes it readable for its owner only
    return out / name


def _parts(state_dict: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the network's tensors and those of the convolutions before CLIP."""
    flat = _flat(state_dict)
    if not any(key.startswith("model_dict.") for key in flat):
        return flat, {}
    network = {k.removeprefix("model_dict."): v for k, v in flat.items() if k.startswith("model_dict.")}
    before = {k: v for k, v in flat.items() if re.fullmatch(r"conv_(hsi|lidar)\.(weight|bias)", k)}
    if unknown := [key for key in flat if key not in before and not key.startswith("model_dict.")]:
        raise _unknown(unknown[0])
    return network, before


def _flat(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    flat = {}
    for key, value in state_dict.items():
        inner = value.items() if isinstance(value, Mapping) else [("", value)]
        flat.update({f"{key}.{name}".rstrip("."): leaf for name, leaf in inner})
    return flat


def _unknown(key: str) -> InputError:
    return InputError(f"key '{key}' is not of the layout of M3amba's authors")


def _keep(value: Tensor) -> Tensor:
    return value


def _as_linear(value: Tensor) -> Tensor:
    """Reshape a 1 x 1 convolution's weight ``(out, in, 1, 1)`` to a Linear's ``(out, in)``."""
    return value.flatten(1) if value.ndim == 4 else value


def _by_direction(value: Tensor) -> Tensor:
    """Reshape ``(K I, ...)`` to ``(K, I, ...)``."""
    return value.unflatten(0, (DIRECTIONS, -1))


def _rename(key: str, streams: Mapping[str, str]) -> tuple[str, Callable[[Tensor], Tensor]]:
    """Return our name of one of their tensors and how to reshape it."""
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
        first, second = streams.values()
        place = {"x": f"streams.{first}", "y": f"streams.{second}", "z": "fused"}[match[1]]
        return _rename_in_block(key, f"neck.{place}.{match[2]}", match[3])
    raise _unknown(key)


def _rename_in_block(key: str, block: str, rest: str) -> tuple[str, Callable[[Tensor], Tensor]]:
    part, _, parameter = rest.rpartition(".")
    if part in _BLOCK_PARTS:
        return f"{block}.{_BLOCK_PARTS[part]}.{parameter}", _keep
    if part == "op":
        owner = "fused" if parameter.endswith(_FUSED) else "own"
        if ours := _SCAN_PARTS.get(parameter.removesuffix(_OWN).removesuffix(_FUSED)):
            return f"{block}.scan.{owner}.{ours}", _by_direction if ours in ("A_log", "D") else _keep
    raise _unknown(key)


def _convert(path: Path, modalities: Sequence[str]) -> dict[str, Tensor]:
    content = read_plain(path, "cpu")
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"holds a {type(content).__name__}, expected the layout of M3amba's authors")
    leaves = _flat(content)
    for key, leaf in leaves.items():
        if not isinstance(leaf, Tensor):
            raise InputError(
                f"'{key}' is of type {type(leaf).__name__}, not of the layout of M3amba's authors"
            )
    require_plain(leaves, path)
    try:
        converted = convert_reference(content, modalities)
    except (RuntimeError, ValueError) as error:  # torch's, for a tensor of an unexpected shape
        raise InputError(f"a tensor does not have the shape of M3amba's ({error})") from error
    return {name: value.float().contiguous().clone() for name, value in converted.items()}


def _sizes(weights: Mapping[str, Tensor], modalities: Sequence[str]) -> dict[str, Any]:
    """Return the config of the model that has these tensors."""

    def shape(name: str, ndim: int) -> tuple[int, ...]:
        if name not in weights or weights[name].ndim != ndim:
            raise InputError(
                f"lacks the tensor that is '{name}' here: not a whole checkpoint of M3amba's authors"
            )
        return tuple(weights[name].shape)

    first = modalities[0]
    embeds = {m: shape(f"adapters.{m}.token_embed.proj.weight", 2) for m in modalities}
    pixels, features = shape(f"adapters.{first}.prior_map.weight", 2)
    window = math.isqrt(pixels)
    if window**2 != pixels:
        raise InputError(f"the prior has {pixels} pixels, expected a square window")
    depth = len({name.split(".")[2] for name in weights if name.startswith("neck.fused.")})
    states = shape(f"neck.streams.{first}.0.scan.own.A_log", 3)[-1]
    return {
        "type": "M3amba",
        "in_channels": {m: bands for m, (_, bands) in embeds.items()},
        "num_classes": shape("heads.fused.classify.weight", 2)[0],
        "embed_dim": embeds[first][0],
        "window": window,
        "adapter": {"type": "ClipAdapter", "feature_dim": features},
        "neck": {"type": "CrossMamba", "depth": depth, "d_state": states},
    }
