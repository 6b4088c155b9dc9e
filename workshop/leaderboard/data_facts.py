"""What the data here says of runs before they start: whether it is here, its splits, how much they leak."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from mmengine.config import Config

from m3amba_zoo.errors import DataNotFoundError, InputError
from m3amba_zoo.models.baselines import PixelClassifier
from m3amba_zoo.registry import CLASSIFIERS, SOURCES
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits import Split, build_split, leaked_pixels
from workshop.leaderboard.plan import Run

SIMULATED = "simulated"


class NoDataError(Exception):
    """A dataset's files are not on this machine; the message says why in a few words."""


class Facts(NamedTuple):
    """What is known of a run before it starts: its split's hash, and the test pixels its windows show."""

    split_sha256: str
    leaked_pixels: int


def facts_of(run: Run) -> Facts:
    """Make a run's split and measure how much it leaks, with the window that the run trains on.

    Raises:
        NoDataError: its data is not here, or only a simulated stand-in of it.
        InputError: the config has no data, its split cannot be made, or it leaks more than the plan says.
    """
    config = run.read()
    dataset = (config.get("test_dataloader") or {}).get("dataset") or {}
    for key in ("source", "split"):
        if key not in dataset:
            raise InputError(f"{run}: {config.filename} has no test_dataloader.dataset.{key}")
    if config.get("split", dataset["split"]) != dataset["split"]:
        raise InputError(
            f"{run}: {config.filename} has a 'split' that is not its test data's, so that options of the "
            "plan would not reach the data; one split is expected"
        )
    source, split = (json.dumps(dataset[key], sort_keys=True) for key in ("source", "split"))
    found, leaked = _leak(source, split, _window(config, dataset), SIMULATED in run.dataset)
    if run.max_leaked_pixels is not None and leaked > run.max_leaked_pixels:
        raise InputError(
            f"{run}: training windows show {leaked} test pixels of split '{found.name}', but the plan's "
            f"max_leaked_pixels is {run.max_leaked_pixels}"
        )
    return Facts(found.sha256, leaked)


def _window(config: Config, dataset: Mapping[str, Any]) -> int:
    """Return the side of the square that a run reads around a training pixel."""
    if config.get("classifier"):
        arguments = {"modalities": list(dataset["modalities"])}
        built: PixelClassifier = CLASSIFIERS.build(config.classifier.to_dict(), default_args=arguments)
        return built.window
    training = (config.get("train_dataloader") or {}).get("dataset") or dataset
    return int(training["window"])


@lru_cache(maxsize=256)
def _leak(source: str, split: str, window: int, may_be_simulated: bool) -> tuple[Split, int]:
    scenes = _scenes(source, may_be_simulated)
    made = _split(source, split, may_be_simulated)
    return made, leaked_pixels(made, scenes, window)


@lru_cache(maxsize=64)
def _split(source: str, split: str, may_be_simulated: bool) -> Split:
    return build_split(json.loads(split), _scenes(source, may_be_simulated))


@lru_cache(maxsize=16)
def _scenes(source_json: str, may_be_simulated: bool) -> list[Scene]:
    """Load a source's scenes in full, so that absent rasters show, and keep the labels."""
    config = json.loads(source_json)
    source = SOURCES.build(dict(config))
    try:
        scenes = source.load()
    except DataNotFoundError as error:
        raise NoDataError(f"the files of '{config['type']}' are not here") from error
    if source.simulated and not may_be_simulated:
        raise NoDataError(f"only a simulated stand-in of '{config['type']}' is here")
    return [replace(scene, rasters={}) for scene in scenes]
