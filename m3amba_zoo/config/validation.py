"""Validation and early stopping, added to a config that has none: what ``train`` does by one option each."""

from __future__ import annotations

import copy
from typing import Any

from mmengine.config import Config

from m3amba_zoo.config.completion import arguments_of
from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import DATASETS

SCORE = "oa"  # that early stopping watches where the config names none


def add_validation(config: Config, every: int | None) -> None:
    """Have a training validated: on the split's validation part, with the windows and scores of its test.

    A validation that the config has stays, but for its interval. Only windows with validation pixels are
    classified.

    Args:
        config: completed.
        every: epochs between two validations; None leaves the interval of a validation that the config has.

    Raises:
        InputError: if the training counts iterations, or the config has no test that shows how to validate.
    """
    file = config.filename
    loop = config.train_cfg.get("type", "")
    if "IterBased" in getattr(loop, "__name__", str(loop)) or config.train_cfg.get("by_epoch") is False:
        raise InputError(
            f"{file}: train_cfg counts iterations, and validation is asked for by epochs; expected "
            "val_dataloader, val_cfg and val_evaluator in the config, with train_cfg.val_interval"
        )
    if config.get("val_dataloader") is not None:
        if every is not None:
            config.train_cfg.val_interval = every
        return
    for key in ("test_dataloader", "test_evaluator"):
        if config.get(key) is None:
            raise InputError(f"{file}: has no '{key}', whose settings validation takes")
    loader = config.test_dataloader.to_dict()
    takes = arguments_of(DATASETS, loader.get("dataset"))
    if "part" not in takes:
        kind = loader["dataset"].get("type") if isinstance(loader.get("dataset"), dict) else None
        raise InputError(
            f"{file}: test_dataloader.dataset is a {kind}, which takes no 'part' of a split; expected "
            "val_dataloader, val_cfg and val_evaluator in the config"
        )
    loader["dataset"]["part"] = "val"
    if "whole_scenes" in takes:
        loader["dataset"]["whole_scenes"] = False
    config.val_dataloader = loader
    config.val_evaluator = copy.deepcopy(config._cfg_dict.to_dict()["test_evaluator"])
    config.val_cfg = {"type": "ValLoop"}
    config.train_cfg.val_interval = every or 1


def add_early_stop(config: Config, patience: int) -> None:
    """Stop a training whose score on validation is no longer better, and have the best weights chosen.

    The score is the first that ``default_hooks.checkpoint.save_best`` names, by default ``oa``.

    Args:
        config: with a validation.
        patience: epochs without a better score.

    Raises:
        InputError: if no hook keeps the best weights, or no score is named.
    """
    hooks: dict[str, Any] = dict(config.get("default_hooks") or {})
    checkpoint = hooks.get("checkpoint", {"type": "CheckpointHook"})
    if checkpoint is None:
        raise InputError(
            f"{config.filename}: default_hooks.checkpoint is None, but early stopping needs the "
            "checkpoint of the best epoch"
        )
    checkpoint = dict(checkpoint)
    if not checkpoint.get("save_best"):
        checkpoint |= {"save_best": SCORE, "rule": "greater"}
    score, rule = (_first(checkpoint.get(key)) for key in ("save_best", "rule"))
    if score == "auto":
        raise InputError(
            f"{config.filename}: default_hooks.checkpoint.save_best is 'auto', but early stopping needs the "
            f"name of a score, such as {SCORE}"
        )
    stop = {"type": "EarlyStopHook", "monitor": score, "patience": patience, "rule": rule}
    config.default_hooks = {**hooks, "checkpoint": checkpoint, "early_stop": stop}


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, (list, tuple)) else value
