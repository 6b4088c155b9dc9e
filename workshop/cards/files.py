"""The files of a card's folder: read, compared with their JSON Schemas and with each other."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmengine.config import Config
from safetensors import safe_open

from m3amba_zoo import reading
from m3amba_zoo.cli.robustness import ROBUSTNESS_FILE
from m3amba_zoo.config import config_sha256, read_config, set_seed
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.record import METRICS_FILE
from m3amba_zoo.evaluation.robustness import (
    check_finished,
    read_robustness,
)
from m3amba_zoo.hub.index import CONFIG, NAME, PublishedFile
from m3amba_zoo.hub.trained_model import GOLDEN, README
from m3amba_zoo.reading import library_errors, read_json
from m3amba_zoo.system import sha256_of
from workshop.cards.speeds import SPEEDS_FILE, read_speeds

FRONT_MATTER_SCHEMA, METRICS_SCHEMA = "schema.json", "metrics.schema.json"
MAP = "map.png"
WITH_WEIGHTS = (METRICS_FILE, GOLDEN, MAP)  # and weights, beside README.md and config.py
BESIDE = (ROBUSTNESS_FILE, SPEEDS_FILE)  # which a card with weights may have
WEIGHTS_SUFFIX = ".safetensors"
ROUNDING = 1e-3  # of a score that another machine, or another size of batches, gives
_PNG = b"\x89PNG\r\n\x1a\n"
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Trained:
    """The content of a card with weights.

    Attributes:
        weights: the weights' file.
        seed: the seed of the run that gave the weights.
        runs: the records of all runs by seed, sorted.
        tolerance: the largest allowed absolute difference from the golden logits.
        robustness, speeds: the content of ``robustness.json`` and ``speeds.json``, None without these files.
    """

    weights: PublishedFile
    seed: int
    runs: Mapping[int, Record]
    tolerance: float
    robustness: Record | None = None
    speeds: Record | None = None

    @property
    def shipped(self) -> Record:
        """The record of the run that gave the weights."""
        return self.runs[self.seed]


@dataclass(frozen=True)
class CardFiles:
    """The content of a card's folder, without README.md.

    Attributes:
        folder: its path, which ends with the model's name.
        config: the expanded config of the training.
        trained: None for a card without weights.
    """

    folder: Path
    config: Config
    trained: Trained | None

    @property
    def bands(self) -> dict[str, int]:
        """Bands by modality, in the model's order."""
        model = self.config.model
        return {name: model.in_channels[name] for name in model.get("modalities") or model.in_channels}

    @property
    def name(self) -> str:
        """The model's name."""
        return self.folder.name


def read_card_files(folder: Path) -> CardFiles:
    """Read a card's files except README.md.

    Raises:
        InputError: if a file is missing, damaged or not part of a card, the weights do not match their file
            name, or the records belong to another config or contradict each other.
    """
    check_name(folder)
    names = _names(folder)
    config = read_config(folder / CONFIG)
    if not isinstance(config.get("model"), Mapping) or not config.model.get("in_channels"):
        raise InputError(f"{folder / CONFIG}: has no model with in_channels, expected a network's config")
    if not any(name in names for name in (*WITH_WEIGHTS, *BESIDE, *_weights(names))):
        return CardFiles(folder, config, None)
    if len(_weights(names)) != 1:
        found = ", ".join(_weights(names)) or "none"
        raise InputError(f"{folder}: expected one file of weights beside {METRICS_FILE}, found {found}")
    for name in WITH_WEIGHTS:
        if name not in names:
            raise InputError(f"{folder}: has no {name}, which a card with weights needs")
    if not (folder / MAP).read_bytes().startswith(_PNG):
        raise InputError(f"{folder / MAP}: is not a PNG image")
    seed, runs = _read_runs(folder / METRICS_FILE)
    _check_configs(folder, config, seed, runs)
    weights = _read_weights(folder / _weights(names)[0], folder.name)
    robustness, speeds = (
        read(folder / name, weights, runs[seed]) if name in names else None
        for name, read in ((ROBUSTNESS_FILE, _read_robustness), (SPEEDS_FILE, read_speeds))
    )
    tolerance = _read_tolerance(folder / GOLDEN)
    return CardFiles(folder, config, Trained(weights, seed, runs, tolerance, robustness, speeds))


def check_schema(content: Mapping[str, Any], schema: str, name: str) -> None:
    """Compare a file's content with ``FRONT_MATTER_SCHEMA`` or ``METRICS_SCHEMA``; ``name`` is the file.

    Raises:
        InputError: if it does not match; the message has the key, the value and the expectation.
    """
    with library_errors(name, "has what JSON has not, such as a number that is not finite"):
        plain = json.loads(json.dumps(content, default=str, allow_nan=False))
    reading.check_schema(plain, _schema(schema), name)


@lru_cache
def _schema(name: str) -> dict[str, Any]:
    return read_json(Path(__file__).with_name(name))


def check_name(folder: Path) -> None:
    """Raise InputError if a folder's name is not that of a card."""
    base, _, dataset = folder.name.partition("_")
    if not (NAME.fullmatch(folder.name) and base and dataset):
        raise InputError(f"{folder}: is not a card's name, expected <model>_<dataset> as in m3amba-t_idtrees")


def measure(path: Path) -> PublishedFile:
    """Return a file's name, size and sha256; InputError if it cannot be read."""
    try:
        return PublishedFile(path.name, path.stat().st_size, sha256_of(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def _names(folder: Path) -> list[str]:
    """Return the names of a card's files; InputError if the folder is absent or holds anything else."""
    if not folder.is_dir():
        raise InputError(f"{folder}: this card does not exist")
    entries = sorted(folder.iterdir())
    for entry in entries:
        known = entry.name in (README, CONFIG, *WITH_WEIGHTS, *BESIDE) or entry.suffix == WEIGHTS_SUFFIX
        if not known or entry.is_symlink() or not entry.is_file():
            raise InputError(
                f"{entry}: is not part of a card, expected only {README}, {CONFIG}, "
                f"{', '.join((*WITH_WEIGHTS, *BESIDE))} and "
                f"{folder.name}-<8 digits of sha256>{WEIGHTS_SUFFIX}"
            )
    return [entry.name for entry in entries]


def _weights(names: Sequence[str]) -> list[str]:
    return [name for name in names if name.endswith(WEIGHTS_SUFFIX) and name != GOLDEN]


def _read_weights(path: Path, name: str) -> PublishedFile:
    _metadata(path)
    found = measure(path)
    expected = f"{name}-{found.sha256[:8]}{WEIGHTS_SUFFIX}"
    if path.name != expected:
        raise InputError(f"{path}: holds other weights, whose file name would be {expected}")
    return found


def _read_tolerance(path: Path) -> float:
    text = _metadata(path).get("tolerance", "")
    try:
        tolerance = float(text)
    except ValueError:
        tolerance = math.nan
    if not 0 < tolerance < math.inf:
        raise InputError(f"{path}: the tolerance in its metadata is '{text}', expected a number above 0")
    return tolerance


def _read_robustness(path: Path, weights: PublishedFile, shipped: Record) -> Record:
    """Read the scores under disturbances; InputError if they are not all, or not of the shipped run."""
    content = read_robustness(path)
    check_finished(content, path)
    if content["model"]["sha256"] != weights.sha256:
        raise InputError(
            f"{path}: is of weights with sha256 {content['model']['sha256'][:8]}, but the card's are "
            f"{weights.sha256[:8]}; run {content['command']} anew"
        )
    facts = {"dataset": shipped["dataset"], "pixels": shipped["pixels"]}
    for key, expected in facts.items():
        if content[key] != expected:
            raise InputError(f"{path}: has {key} {content[key]!r}, the shipped run {expected!r}")
    said = shipped["split"].get("test_sha256")
    if said is not None and content["split"]["test_sha256"] != said:
        raise InputError(f"{path}: is of another test part than the shipped run's, {said[:8]}")
    first = content["rows"][0]
    if first["kind"] != "none" or abs(first["trials"][0]["oa"] - shipped["oa"]) > ROUNDING:
        found = f"{first['trials'][0]['oa']:.4f}" if first["kind"] == "none" else "none"
        raise InputError(
            f"{path}: the undisturbed OA is {found}, that of the shipped run {shipped['oa']:.4f}"
        )
    return content


def _metadata(path: Path) -> dict[str, str]:
    with library_errors(path, "is damaged or not a safetensors file"), safe_open(path, "numpy") as file:
        return file.metadata() or {}


def _read_runs(path: Path) -> tuple[int, dict[int, Record]]:
    """Return the seed of the weights and the records by seed."""
    content = read_json(path)
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: holds a {type(content).__name__}, expected records of runs")
    check_schema(content, METRICS_SCHEMA, str(path))
    runs = dict(sorted((int(seed), record) for seed, record in content["runs"].items()))
    seed = content["seed"]
    if seed not in runs:
        raise InputError(f"{path}: the shipped seed {seed} is not among the runs' seeds {list(runs)}")
    for key, record in runs.items():
        if record["seed"] != key:
            raise InputError(f"{path}: run {key} has the record of seed {record['seed']}")
        _check_record(record, runs[seed], f"{path}: run {key}")
    return seed, runs


def _check_record(record: Record, shipped: Record, name: str) -> None:
    """Raise InputError if a record contradicts itself or that of the shipped weights."""
    for key in ("dataset", "modalities"):
        if record[key] != shipped[key]:
            raise InputError(f"{name} has {key} {record[key]!r}, the shipped run {shipped[key]!r}")
    classes, expected = ([entry["name"] for entry in one["per_class"]] for one in (record, shipped))
    if classes != expected:
        raise InputError(f"{name} has the classes {classes}, the shipped run {expected}")
    tested = [entry for entry in record["per_class"] if entry["accuracy"] is not None]
    pixels = sum(entry["support"] for entry in tested)
    if not pixels == record["pixels"] == record["split"]["pixels"]["test"]:
        raise InputError(
            f"{name} has {record['pixels']} scored pixels and {pixels} in its classes, but its split has "
            f"{record['split']['pixels']['test']} test pixels"
        )
    right = sum(entry["accuracy"] * entry["support"] for entry in tested)
    aa = sum(entry["accuracy"] for entry in tested) / len(tested)
    for score, value in {"oa": right / pixels, "aa": aa}.items():
        if abs(record[score] - value) > 1e-9:
            raise InputError(f"{name} has {score} {record[score]}, but its classes give {value}")


def _check_configs(folder: Path, config: Config, shipped: int, runs: Mapping[int, Record]) -> None:
    """Raise InputError if a run's config is not config.py with the run's seed."""
    for seed, record in runs.items():
        of_seed = copy.deepcopy(config)
        if seed != shipped:  # config.py itself is that of the shipped run
            set_seed(of_seed, seed)
        found = config_sha256(of_seed)
        if found != record["config_sha256"]:
            raise InputError(
                f"{folder / METRICS_FILE}: run {seed} has the config {record['config_sha256'][:8]}, but "
                f"{CONFIG} with this seed is {found[:8]}"
            )
    expected, found = list(config.model.in_channels), runs[shipped]["modalities"]
    if sorted(expected) != sorted(found):
        raise InputError(f"{folder / METRICS_FILE}: the runs have modalities {found}, {CONFIG} {expected}")
