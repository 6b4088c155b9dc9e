"""Copies what a config states once to all places that need it, and adds what source and model imply.

A config states at its top level

    source      the data's source, as SOURCES builds it
    split       the training and test pixels
    modalities  the rasters to read, an ordered list (default: all of the source)
    window      rows and columns of a window in pixels
    tile        rows and columns of the test windows of patch-wise models in pixels (default: 32)
    pretreatment    steps by modality, or the name of an entry in ``pretreatments``

and ``complete`` derives

    *_dataloader.dataset.source, .split, .modalities    the same for every dataset
    model.in_channels, model.num_classes                bands of the modalities, classes of the source
    model.modalities                                    their order, because MMEngine sorts in_channels
    model.window, *_dataloader.dataset.window           for models that classify windows
    train_dataloader.dataset.window = model.patch       for models that classify the centre of a patch
    test_dataloader.dataset.window = tile, .margin = model.patch // 2
    model.data_preprocessor.pretreatment, classifier.pretreatment
                                                        without the steps of modalities that are not read
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import Registry

from m3amba_zoo.config.options import LOADERS, STATED_ONCE, dicts_in, find
from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import CLASSIFIERS, DATASETS, MODELS, SOURCES

DEFAULT_TILE = 32
PRETREATMENT, PRETREATMENTS = "pretreatment", "pretreatments"


def complete(config: Config) -> set[str]:
    """Add to a config what its source and model imply.

    A complete config, such as one that a training wrote, does not change, except that the order of its
    modalities is added.

    Returns:
        The keys that were read: an option on another of ``STATED_ONCE`` has no effect.

    Raises:
        InputError: if a place contradicts the value derived for it, or the source is not registered or cannot
            be described.
    """
    top, used = config._cfg_dict, set()
    if top.get("source") is not None:
        _order_modalities(config)
    takes = arguments_of(MODELS, top.get("model"))
    for name in LOADERS:
        dataset = (top.get(name) or {}).get("dataset") or {}
        for key, (value, stated) in _stated_for(config, name, takes).items():
            if key in arguments_of(DATASETS, dataset):
                used.add(stated)
                # windows of another size may be tested: an explicit one stands
                explicit = key == "window" and name != "train_dataloader" and dataset.get(key) is not None
                if not explicit:
                    _enter(config, f"{name}.dataset.{key}", value, stated)
    if "window" in takes and "patch" not in takes:
        used.add("window")
        _enter(config, "model.window", top.get("window"), "window")
    _enter_channels(config, takes)
    steps = _pretreatment(config)
    for registry, place in zip((MODELS, CLASSIFIERS), STATED_ONCE[PRETREATMENT], strict=True):
        if PRETREATMENT in arguments_of(registry, find(config, place)[0]):
            used.add(PRETREATMENT)
            _enter(config, place, steps, PRETREATMENT)
    for part in ("model", "classifier"):
        _leave_out_unread(config, top.get(part))
    return used


def _order_modalities(config: Config) -> None:
    """Make the modalities a list, by default that of the source."""
    given = config.get("modalities")
    if given is None:
        config.modalities = list(_source(config).channels())
    elif isinstance(given, str):
        config.modalities = [given]
    else:
        config.modalities = list(given)


def _stated_for(config: Config, loader: str, takes: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    """Return the value of each argument of a loader's dataset, with the place that states it."""
    stated = {key: (config.get(key), key) for key in ("source", "split", "modalities")}
    if config.get("model") is None:
        return stated  # a classical classifier reads no windows
    patch = config.model.get("patch", takes["patch"]) if "patch" in takes else None
    if not isinstance(patch, int):
        stated["window"] = (config.get("window"), "window")
    elif loader == "train_dataloader":
        stated["window"] = (patch, "model.patch")
    else:
        stated |= {
            "window": (config.get("tile", DEFAULT_TILE), "tile"),
            "margin": (patch // 2, "model.patch"),
        }
    return stated


def _pretreatment(config: Config) -> Any:
    """Return the steps by modality; None, if nothing is said, leaves those of model or classifier."""
    stated = config.get(PRETREATMENT)
    if isinstance(stated, str):
        known = config.get(PRETREATMENTS) or {}
        if stated not in known:
            raise InputError(
                f"{config.filename}: {PRETREATMENT} is '{stated}', expected one of its {PRETREATMENTS}: "
                f"{', '.join(known) or 'none'}"
            )
        stated = known[stated]
    if not isinstance(stated, Mapping) or config.get("source") is None:
        return stated or None
    return {name: steps for name, steps in stated.items() if not _unread(config, name)} or None


def _enter_channels(config: Config, takes: Mapping[str, Any]) -> None:
    """Set the model's bands, classes and modalities; a config with bands and classes needs no source."""
    model = config.get("model")
    if model is None or "in_channels" not in takes:
        return
    modalities = config.get("modalities")
    if config.get("source") is not None and not {"in_channels", "num_classes"} <= model.keys():
        source = _source(config)
        bands = source.channels()
        if unknown := [name for name in modalities if name not in bands]:
            raise InputError(
                f"{config.filename}: modalities names '{unknown[0]}', but source '{config.source.type}' has "
                f"{', '.join(bands)}"
            )
        _enter(config, "model.in_channels", {name: bands[name] for name in modalities}, "source")
        _enter(config, "model.num_classes", source.num_classes(), "source")
    read = find(config, "test_dataloader.dataset.modalities")[0]
    order = (read or {}).get("modalities") or modalities
    if "modalities" in takes and order is not None and set(order) == set(model.get("in_channels", ())):
        _enter(config, "model.modalities", list(order), "modalities")


def _enter(config: Config, place: str, value: Any, stated: str) -> None:
    """Set a place whose parent exists, or compare its value with the one derived from ``stated``."""
    node, key = find(config, place)
    if node is None or value is None:
        return
    if node.get(key) is None:
        node[key] = copy.deepcopy(value)
    elif _plain(node[key]) != _plain(value):
        raise InputError(
            f"{config.filename}: {place} is {_plain(node[key])!r}, but from {stated} follows "
            f"{_plain(value)!r}; change only {stated}"
        )


def _leave_out_unread(config: Config, part: Any) -> None:
    """Remove the pretreatments of modalities that are not read from a model's or classifier's config."""
    if config.get("source") is None:
        return
    for node in dicts_in(part):
        steps = node.get(PRETREATMENT)
        if isinstance(steps, dict):
            for name in [name for name in steps if _unread(config, name)]:
                del steps[name]


def _unread(config: Config, modality: str) -> bool:
    """Return whether the config leaves out a modality of the source; other names are mistakes to report."""
    return modality not in config.modalities and modality in _source(config).channels()


def _source(config: Config) -> Any:
    return SOURCES.build(config.source.to_dict())


def arguments_of(registry: Registry, part: Any) -> dict[str, Any]:
    """Return the names and defaults of the arguments of a part's class; empty if the class is unknown."""
    kind = part.get("type") if isinstance(part, Mapping) else None
    found = registry.get(kind) if isinstance(kind, str) else kind
    if not inspect.isclass(found):
        return {}
    takes: dict[str, Any] = {}
    for base in reversed(found.__mro__):
        if "__init__" in vars(base):
            parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
            passes_on = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
            takes = {**(takes if passes_on else {}), **{p.name: p.default for p in parameters}}
    return takes


def _plain(value: Any) -> Any:
    """Return a value with plain dicts and lists, so that the type of containers does not matter."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value
