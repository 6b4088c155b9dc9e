"""Builds CLIP models of open_clip, with weights from a file, the caches or the network, in this order."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from m3amba_zoo.errors import InputError, close_names
from m3amba_zoo.models.encoders.clip_layouts import names_of, read_clip, tower_of
from m3amba_zoo.models.encoders.files import (
    FILE_NAMES,
    RANDOM,
    cached_file,
    fetching,
    hub_file,
    misfit,
    named_file,
)

OPENAI = "openai"
OPENAI_CACHE = Path("~/.cache/clip")  # of OpenAI's own package, which the paper's code uses
SUFFIX = "-quickgelu"  # of open_clip's names for models with OpenAI's approximation of GELU


class Clip(NamedTuple):
    """A CLIP model.

    Attributes:
        model: of open_clip, ``model.visual`` is the image tower.
        name: open_clip's.
        feature_dim: F, length of the embeddings of images and texts.
        description: what it is, and where its weights came from.
        licence: of the weights; None where it is not known.
        path: of the weights; None for random ones.
        mean, std: of the three bands of images from 0 to 1.
        has_text: whether the text tower has weights, too.
    """

    model: Any
    name: str
    feature_dim: int
    description: str
    licence: str | None
    path: Path | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    has_text: bool


class Found(NamedTuple):
    """A file of weights, where it came from, and open_clip's facts on its tag (none for a file)."""

    path: Path
    origin: str
    config: Mapping[str, Any]


def load_clip(name: str, weights: str, seed: int = 0, cache_dir: str | None = None) -> Clip:
    """Build a model of open_clip; the arguments are those of ``ClipImageEncoder``.

    Raises:
        InputError: if the name or tag is unknown, the weights cannot be found, downloaded or read, or they
            are of another architecture.
    """
    import open_clip

    name = _known(name)
    feature_dim = open_clip.get_model_config(name)["embed_dim"]
    if weights == RANDOM:
        model = _untrained(name, seed)
        description = f"{name}, randomly initialised (seed {seed}): not a trained CLIP"
        return Clip(model, name, feature_dim, description, None, None, *_statistics(model, {}), True)
    found = find_clip(name, weights, cache_dir)
    model = _untrained(name, seed)
    state, quick_gelu = read_clip(found.path, model)
    if found.config:
        quick_gelu = bool(found.config.get("quick_gelu", False))
    description = f"{name}, weights {weights} from {found.origin}"
    if note := _mismatch(name, quick_gelu):
        print_log(f"{found.path}: {note}", "current", logging.WARNING)
        description += f"; {note}"
        model = _untrained(name, seed, quick_gelu)
    _load_visual(model.visual, state, name, found.path, quick_gelu)
    licence = "MIT" if weights == OPENAI else None
    statistics = _statistics(model, found.config)
    has_text = _load_text(model, state)
    return Clip(model, name, feature_dim, description, licence, found.path, *statistics, has_text)


def _known(name: str) -> str:
    import open_clip

    if name.endswith(".json"):
        if not Path(name).is_file():
            raise InputError(f"{name}: no such open_clip model config")
        open_clip.add_model_config(Path(name))
        name = Path(name).stem
    if name not in open_clip.list_models():
        hint = close_names(name, open_clip.list_models()) or "open_clip.list_models() names them"
        raise InputError(f"open_clip has no model '{name}'; {hint}")
    return name


def find_clip(name: str, weights: str, cache_dir: str | None = None) -> Found:
    """Find the weights of an open_clip model: on this machine, else fetched from the network.

    Raises:
        InputError: if they are not found or cannot be fetched; the message has the command that fetches them.
    """
    import open_clip

    if found := clip_here(name, weights, cache_dir):
        return found
    config = open_clip.get_pretrained_cfg(name, weights)
    what = f"CLIP weights '{weights}' of '{name}'"
    repository, file = os.path.split(config.get("hf_hub", ""))
    if repository:
        return Found(*hub_file(what, repository, FILE_NAMES, cache_dir, file), config)
    with fetching(what, f"curl -LO {config.get('url')}", config.get("url")):
        return Found(Path(open_clip.download_pretrained(config, cache_dir=cache_dir)), "the network", config)


def clip_here(name: str, weights: str, cache_dir: str | None = None) -> Found | None:
    """Find the weights of an open_clip model in a file or in the caches; None where they are in neither.

    Raises:
        InputError: if they are neither a file nor one of the model's tags.
    """
    import open_clip

    if path := named_file(weights):
        return Found(path, "a file", {})
    tags = open_clip.list_pretrained_tags_by_model(name)
    config = open_clip.get_pretrained_cfg(name, weights)
    if not config:
        raise InputError(
            f"CLIP weights '{weights}': neither a file nor a tag of the open_clip model '{name}' "
            f"(tags: {', '.join(tags) or 'none'})"
        )
    folder = Path(cache_dir) if cache_dir else OPENAI_CACHE.expanduser()
    archive = folder / os.path.basename(config.get("url", ""))
    if archive.is_file():
        return Found(archive, "the cache", config)
    repository, file = os.path.split(config.get("hf_hub", ""))
    cached = cached_file(repository, (file, *FILE_NAMES), cache_dir) if repository else None
    return Found(cached, "the cache", config) if cached else None


def _untrained(name: str, seed: int, quick_gelu: bool | None = None) -> Any:
    """Build a model with random weights, with OpenAI's activation or not where ``quick_gelu`` says so."""
    import open_clip

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # open_clip warns that the weights are random, whatever is loaded later
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return open_clip.create_model(name, **({} if quick_gelu is None else {"quick_gelu": quick_gelu}))
    finally:
        root.setLevel(level)


def _statistics(model: Any, config: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation: those of a tag, else OpenAI's."""
    mean, std = config.get("mean", model.visual.image_mean), config.get("std", model.visual.image_std)
    return tuple(mean), tuple(std)


def _load_visual(
    tower: nn.Module, state: Mapping[str, Tensor], name: str, path: Path, quick_gelu: bool | None
) -> None:
    """Load the image tower's weights, which must fit exactly.

    Raises:
        InputError: if they are of another architecture; the message has the names of both.
    """
    expected, given = tower_of(tower.state_dict()), tower_of(state)
    if expected and given and expected != given:
        alike = sorted(names_of(given), key=lambda found: found.endswith(SUFFIX) != bool(quick_gelu))
        theirs = alike[0] if alike else None
        raise InputError(
            f"{path}: not weights of the open_clip model '{name}' ({expected}), but of "
            + (f"'{theirs}' ({given}); try name='{theirs}'" if theirs else f"another one ({given})")
        )
    prefix = "visual."
    state = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    problem = misfit(tower.state_dict(), state)
    if problem:
        raise InputError(f"{path}: not weights of the open_clip model '{name}' ({problem})")
    tower.load_state_dict(state)


def _load_text(model: nn.Module, state: Mapping[str, Tensor]) -> bool:
    """Load what belongs to the text; return whether all of it is there."""
    from open_clip.model import convert_to_custom_text_state_dict

    expected = {key: value for key, value in model.state_dict().items() if not key.startswith("visual.")}
    if any(key.startswith("text.") for key in expected):
        state = convert_to_custom_text_state_dict(dict(state))
    given = {key: value for key, value in state.items() if key in expected}
    for key in ("logit_scale", "logit_bias"):  # a number in some files, a vector of one in others
        if key in given and given[key].numel() == expected[key].numel():
            given[key] = given[key].reshape(expected[key].shape)
    if misfit(expected, given):
        return False
    model.load_state_dict(given, strict=False)
    return True


def _mismatch(name: str, quick_gelu: bool | None) -> str:
    """Return what is done if a name's activation is not that of the weights; empty if nothing is."""
    import open_clip

    config = open_clip.get_model_config(name) or {}
    if quick_gelu is None or quick_gelu == bool(config.get("quick_gelu", False)):
        return ""
    vision = config.get("vision_cfg", {})
    if "timm_model_name" in vision or isinstance(vision.get("layers"), list):
        return ""  # image towers without GELU, or with timm's
    kinds = ("quick-GELU", "GELU") if quick_gelu else ("GELU", "quick-GELU")
    return f"{kinds[0]} is taken, with which these weights were trained, in place of the name's {kinds[1]}"
