"""Changes to a config that was read: options, seeds; and the hash of all in it that decides a result."""

from __future__ import annotations

import copy
import hashlib
import json
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config, DictAction

from m3amba_zoo.errors import InputError, one_line

INIT_FROM, FREEZE = "init_from", "freeze"  # keys of a config: whose weights training starts from, what stays
# what can change the weights or the scores; the rest says where files go and what is shown
DECISIVE = (
    "model",
    "classifier",
    "train_dataloader",
    "val_dataloader",
    "test_dataloader",
    "train_cfg",
    "val_cfg",
    "test_cfg",
    "val_evaluator",
    "test_evaluator",
    "optim_wrapper",
    "param_scheduler",
    "default_hooks",
    "custom_hooks",
    "custom_imports",
    "randomness",
    INIT_FROM,
    FREEZE,
)
CLASSIFIER_DATA = ("source", "split", "modalities", "part")
DISPLAY_HOOKS = ("logger", "progress", "report")


def apply_option(config: Config, option: str) -> None:
    """Apply one ``KEY=VALUE``; a variable of the config changes wherever it was used under its own name.

    ``window=16`` so reaches the model and the datasets, which MMEngine alone would leave as they are.

    Raises:
        InputError: it is not ``KEY=VALUE``, or does not fit the config.
    """
    if "=" not in option:
        raise InputError(f"--cfg-options: '{option}', expected KEY=VALUE")
    variable = option.partition("=")[0].partition(".")[0]
    before = copy.deepcopy(config.get(variable))
    parser = ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    try:
        config.merge_from_dict(parser.parse_args(["--cfg-options", option]).cfg_options)
    except Exception as error:
        reason = one_line(error)
        raise InputError(f"--cfg-options: '{option}' does not fit {config.filename}: {reason}") from error
    if before is not None:
        for node in _dicts(config._cfg_dict):
            if node.get(variable) == before:
                node[variable] = copy.deepcopy(config[variable])


def set_seed(config: Config, seed: int, splits: bool = True) -> None:
    """Set the run's seed and, for ``splits``, each ``seed`` inside a ``split`` anywhere in the config."""
    config.randomness = {**config.get("randomness", {}), "seed": seed}
    if not splits:
        return
    for node in _dicts(config._cfg_dict):
        for inner in _dicts(node.get("split")):
            if "seed" in inner:
                inner["seed"] = seed


def config_sha256(config: Config) -> str:
    """Return the hash of what decides a run's result; work dir, log and display do not count.

    Of a classical classifier's config these are the classifier, its data and the seed: how a network's
    windows are drawn does not touch it.
    """
    plain = config._cfg_dict.to_dict()
    if plain.get("classifier"):
        dataset = (plain.get("test_dataloader") or {}).get("dataset") or {}
        plain = {key: plain.get(key) for key in ("classifier", "custom_imports", "randomness")}
        plain["test_dataloader"] = {key: dataset[key] for key in CLASSIFIER_DATA if key in dataset}
    hooks = plain.get("default_hooks") or {}
    plain["default_hooks"] = {name: hook for name, hook in hooks.items() if name not in DISPLAY_HOOKS}
    decisive = {key: plain[key] for key in DECISIVE if plain.get(key) not in (None, {}, [])}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True, default=repr).encode()).hexdigest()


def _dicts(node: Any) -> Iterator[dict]:
    """Yield every dict of a config, from the outside in."""
    if isinstance(node, dict):
        yield node
    children = node.values() if isinstance(node, Mapping) else node if isinstance(node, (list, tuple)) else ()
    for child in children:
        yield from _dicts(child)
