"""Of what type the entries of a config are that this package itself reads, before it reads them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from m3amba_zoo.config.options import INIT_FROM, LOADERS, dicts_in, find
from m3amba_zoo.errors import InputError

DICTS = (
    "model",
    "model.in_channels",
    "model.adapter",
    "model.neck",
    "model.data_preprocessor",
    "classifier",
    "source",
    "split",
    "split.val",
    "split.random",
    "pretreatments",
    "train_cfg",
    "val_cfg",
    "test_cfg",
    "optim_wrapper",
    "optim_wrapper.optimizer",
    "default_hooks",
    "randomness",
    "env_cfg",
    "custom_imports",
    *LOADERS,
    *(f"{loader}.{part}" for loader in LOADERS for part in ("dataset", "dataset.source", "dataset.split")),
)
COUNTS = ("window", "tile", "model.patch", "model.window", "model.num_classes", "randomness.seed")
NAMES = ("modalities", "model.modalities", *(f"{loader}.dataset.modalities" for loader in LOADERS))
TYPED = ("model", "classifier", "source")
STEPS = ("pretreatment", "model.data_preprocessor.pretreatment", "classifier.pretreatment")
FAR = 2**63


def require_shapes(config: Config) -> None:
    """Check the types of a config's entries.

    Raises:
        InputError: if one is of another type than its readers expect; the message has both.
    """
    _require_texts(config)
    for place in DICTS:
        _require(config, place, lambda value: isinstance(value, Mapping), "a dict")
    for place in COUNTS:
        _require(config, place, _is_count, "a whole number")
    for place in NAMES:
        _require(config, place, _are_names, "a list of names")
    for place in STEPS:
        _require(
            config, place, lambda value: isinstance(value, (str, Mapping)), "steps by modality, or a name"
        )
    _require(config, INIT_FROM, lambda value: isinstance(value, (str, Mapping)), "weights, or a dict")


def require_types(config: Config) -> None:
    """Raise InputError if a part that is to be built does not say of what class it is."""
    for place in TYPED:
        part, _ = find(config, f"{place}.type")
        if part and not (isinstance(part.get("type"), (str, type))):
            raise InputError(
                f"{config.filename}: {place} has no 'type', expected the name of a registered part"
            )


def _require(config: Config, place: str, fits: Any, expected: str) -> None:
    node, key = find(config, place)
    value = None if node is None else node.get(key)
    if value is not None and not fits(value):
        raise InputError(f"{config.filename}: {place} is {_shown(value)}, expected {expected}")


def _require_texts(config: Config) -> None:
    """Refuse keys that are no texts: MMEngine and the hash of the config sort them."""
    for node in dicts_in(config._cfg_dict):
        for key in node:
            if not isinstance(key, str):
                raise InputError(f"{config.filename}: an entry is called {_shown(key)}, expected a text")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < FAR


def _are_names(value: Any) -> bool:
    given = [value] if isinstance(value, str) else value
    return isinstance(given, (list, tuple)) and all(isinstance(name, str) for name in given)


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, float) or math.isfinite(value) else str(value)
    return text if len(text) < 80 else f"{text[:70]} ..."
