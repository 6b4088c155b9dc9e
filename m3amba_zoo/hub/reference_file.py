"""The authors' checkpoint file to a folder that this zoo loads: config and weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from safetensors.torch import save_file
from torch import Tensor

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub.convert_reference import convert_reference
from m3amba_zoo.hub.index import sha256_of
from m3amba_zoo.hub.model_cards import CONFIG
from m3amba_zoo.models.weights import check_fit, read_plain
from m3amba_zoo.registry import MODELS
from m3amba_zoo.system.whole_file import whole_folder

BEFORE_CLIP = ".pseudo_rgb."


def convert_file(
    path: str | Path,
    out: str | Path,
    modalities: Sequence[str] = ("hsi", "lidar"),
    encoder: Mapping[str, Any] | None = None,
) -> Path:
    """Convert a checkpoint of M3amba's authors (``.pth``) to a folder of ``config.py`` and weights.

    The config's sizes are those of the tensors. It has no pretreatment, since the checkpoint does not say how
    its bands were scaled: the model reads rasters as they are given.

    Args:
        path: of the checkpoint.
        out: the folder to make; it is there in full or not at all.
        modalities: our names for the authors' first and second.
        encoder: config of the CLIP encoder that the checkpoint was trained with. None makes a model without,
            which takes ``clip_features``, and leaves the convolutions before CLIP out.

    Returns:
        The weights' file.

    Raises:
        InputError: the file cannot be read, holds pickled objects or another layout; the encoder cannot be
            had; ``out`` exists or cannot be written.
    """
    path, out = Path(path).expanduser(), Path(out).expanduser()
    if out.exists():
        raise InputError(f"{out}: is there already, expected the name of a folder to make")
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
    # the name is quoted: a line end in it would make what follows Python
    origin = f"# From the checkpoint of M3amba's authors {path.name!r}, sha256 {sha256_of(path)}\n"
    return _write(out, f"{path.stem}.safetensors", origin + Config({"model": model}).pretty_text, weights)


def _convert(path: Path, modalities: Sequence[str]) -> dict[str, Tensor]:
    content = read_plain(path, "cpu")
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"holds a {type(content).__name__}, expected the layout of M3amba's authors")
    for key, value in content.items():
        leaves = value.items() if isinstance(value, Mapping) else [("", value)]
        for inner, leaf in leaves:
            if not isinstance(leaf, Tensor):
                where = ".".join(filter(None, (str(key), str(inner))))
                raise InputError(
                    f"'{where}' is of type {type(leaf).__name__}, not of the layout of M3amba's authors"
                )
    try:
        converted = convert_reference(content, modalities)
    except (RuntimeError, ValueError) as error:  # torch, of a tensor of another shape than it should have
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
    if math.isqrt(pixels) ** 2 != pixels:
        raise InputError(f"the prior has {pixels} pixels, expected a square window")
    window = math.isqrt(pixels)
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


def _write(out: Path, name: str, config: str, weights: dict[str, Tensor]) -> Path:
    with whole_folder(out) as aside:
        (aside / CONFIG).write_text(config, encoding="utf-8")
        save_file(weights, aside / name)
        (aside / name).chmod(0o644)  # safetensors keeps it from others
    return out / name
