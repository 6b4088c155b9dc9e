"""Reads CLIP weights in the layouts that publishers use into open_clip's names, and tells whose they are.

The layouts are OpenAI's and open_clip's, which share their names (RemoteCLIP and GeoRSCLIP have them too),
and that of Hugging Face's transformers.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.encoders.files import read_tensors
from m3amba_zoo.reading import read_json

OPENAI_NUMBERS = ("input_resolution", "context_length", "vocab_size")  # kept in OpenAI's archives
NOT_WEIGHTS = re.compile(r"attn_mask|(.*\.)?position_ids|" + "|".join(OPENAI_NUMBERS))
# of transformers' names to open_clip's, in this order
HUGGING_FACE = (
    (r"(?:.*\.)?vision_model\.", "visual."),
    (r"(?:.*\.)?text_model\.", ""),
    (r"(?:.*\.)?(visual|text)_projection\.weight", r"\1_projection"),
    ("visual_projection", "visual.proj"),
    (r"embeddings\.class_embedding", "class_embedding"),
    (r"embeddings\.patch_embedding\.", "conv1."),
    (r"embeddings\.position_embedding\.weight", "positional_embedding"),
    (r"embeddings\.token_embedding\.", "token_embedding."),
    (r"pre_layrnorm\.", "ln_pre."),
    (r"post_layernorm\.", "ln_post."),
    (r"final_layer_norm\.", "ln_final."),
    (r"encoder\.layers\.", "transformer.resblocks."),
    (r"self_attn\.", "attn."),
    (r"layer_norm(\d)\.", r"ln_\1."),
    (r"mlp\.fc1\.", "mlp.c_fc."),
    (r"mlp\.fc2\.", "mlp.c_proj."),
)


class ClipWeights(NamedTuple):
    """The weights of a file.

    Attributes:
        state: by open_clip's names; the image tower's begin with ``visual.``.
        quick_gelu: whether they were trained with OpenAI's approximation of GELU; None where nothing says so.
    """

    state: dict[str, Tensor]
    quick_gelu: bool | None


class Tower(NamedTuple):
    """The architecture of an image tower, as far as shapes tell it."""

    kind: str
    width: int
    layers: tuple[int, ...]
    patch: int
    image: int
    feature: int

    def __str__(self) -> str:
        layers = "+".join(map(str, self.layers))
        patches = f", patches of {self.patch}" if self.kind == "ViT" else ""
        return (
            f"{self.kind} of width {self.width}, {layers} layers{patches}, images of {self.image} pixels, "
            f"features of {self.feature}"
        )


def read_clip(path: Path, model: nn.Module) -> ClipWeights:
    """Read a file of CLIP weights in any of the layouts, for a model of open_clip.

    Raises:
        InputError: if the file cannot be read, or has no image tower.
    """
    from open_clip.convert import convert_state_dict

    tensors = read_tensors(path)
    state = {name: value for name, value in tensors.items() if not NOT_WEIGHTS.fullmatch(name)}
    if any("vision_model." in name for name in state):
        state = _from_hugging_face(state)
    elif "conv1.weight" in state and "visual.conv1.weight" not in state:  # an image tower alone
        state = {f"visual.{name}": value for name, value in state.items()}
    state = convert_state_dict(model, state)  # Apple's MobileCLIP
    if not any(name.startswith("visual.") for name in state):
        some = ", ".join(sorted(tensors)[:3])
        raise InputError(
            f"{path}: no CLIP weights: expected an image tower by the names of open_clip "
            "('visual.conv1.weight') or of transformers ('vision_model.embeddings.class_embedding'), found "
            f"{some}, ..."
        )
    return ClipWeights(state, _quick_gelu(path, tensors))


def tower_of(state: Mapping[str, Tensor]) -> Tower | None:
    """Return the architecture of a state dict's image tower; None if it is neither ViT nor CLIP's ResNet."""
    shapes = {name.removeprefix("visual."): tuple(value.shape) for name, value in state.items()}
    try:
        if "proj" in shapes:
            width, _, patch, _ = shapes["conv1.weight"]
            grid = _side(shapes["positional_embedding"][0])
            depth = _count(shapes, r"transformer\.resblocks\.(\d+)\.")
            return Tower("ViT", width, (depth,), patch, patch * grid, shapes["proj"][1])
        width = shapes["layer1.0.conv1.weight"][0]
        grid = _side(shapes["attnpool.positional_embedding"][0])
        layers = tuple(_count(shapes, rf"layer{stage}\.(\d+)\.") for stage in (1, 2, 3, 4))
        return Tower("ResNet", width, layers, 32, 32 * grid, shapes["attnpool.c_proj.weight"][0])
    except (KeyError, ValueError, IndexError):
        return None


def names_of(tower: Tower) -> list[str]:
    """Return the open_clip models with this image tower, the shortest name first."""
    import open_clip

    configs = {name: open_clip.get_model_config(name) for name in open_clip.list_models()}
    return sorted((name for name, config in configs.items() if _configured(config) == tower), key=len)


def _configured(config: Mapping[str, Any]) -> Tower | None:
    vision = config["vision_cfg"]
    if "timm_model_name" in vision or "embed_dim" not in config:
        return None
    layers, image = vision.get("layers", 12), vision.get("image_size", 224)
    if isinstance(image, list):
        return None
    if isinstance(layers, list):
        return Tower("ResNet", vision.get("width", 64), tuple(layers), 32, image, config["embed_dim"])
    width, patch = vision.get("width", 768), vision.get("patch_size", 16)
    return Tower("ViT", width, (layers,), patch, patch * (image // patch), config["embed_dim"])


def _side(tokens: int) -> int:
    """Return the side of a square of patches with a class token."""
    return round(max(tokens - 1, 0) ** 0.5)


def _count(names: Iterable[str], pattern: str) -> int:
    return len({match[1] for name in names if (match := re.match(pattern, name))})


def _from_hugging_face(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    renamed: dict[str, Tensor] = {}
    for name, value in state.items():
        transposed = name.endswith("_projection.weight")
        for pattern, ours in HUGGING_FACE:
            name = re.sub(pattern, ours, name)
        renamed[name] = value.T if transposed else value
    # open_clip keeps the projections to queries, keys and values in one
    for name in [name for name in renamed if ".attn.q_proj." in name]:
        parts = [renamed.pop(name.replace("q_proj", f"{part}_proj"), None) for part in "qkv"]
        if all(part is not None for part in parts):
            renamed[name.replace("q_proj.", "in_proj_")] = torch.cat([p for p in parts if p is not None])
    return renamed


def _quick_gelu(path: Path, tensors: Mapping[str, Tensor]) -> bool | None:
    if any(name in tensors for name in OPENAI_NUMBERS):
        return True
    for name in ("open_clip_config.json", "config.json"):
        config = None
        with contextlib.suppress(InputError):  # absent or damaged: then nothing is known
            config = read_json(path.parent / name)
        part = "model_cfg" if name == "open_clip_config.json" else "vision_config"
        about = config.get(part) if isinstance(config, dict) else None
        if isinstance(about, dict) and part == "model_cfg":
            return bool(about.get("quick_gelu", False))
        if isinstance(about, dict):
            return about.get("hidden_act", "quick_gelu") == "quick_gelu"  # transformers' own default
    return None
