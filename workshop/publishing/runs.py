"""The trainings of a card: read from their work dirs, checked, and the median one chosen.

Their splits are rebuilt and compared with the records if their data is on this machine.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from mmengine.config import Config

from m3amba_zoo.config import config_sha256, read_config
from m3amba_zoo.config.options import first_difference, seedless_sha256
from m3amba_zoo.errors import DataNotFoundError, InputError
from m3amba_zoo.evaluation.record import METRICS_FILE, check_scores, read_record
from m3amba_zoo.hub.trained_model import find_weights
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits import build_split, leaked_pixels
from m3amba_zoo.system import sha256_of

PART = "test"


@dataclass(frozen=True)
class TrainedRun:
    """A finished training with its test.

    Attributes:
        work_dir: its folder.
        config: the config that the run used.
        record: the content of its ``metrics.json``.
        weights: the checkpoint that was tested. With MMEngine's EMAHook its ``state_dict`` is the average of
            the weights: the hook swaps the two when it writes the file.
    """

    work_dir: Path
    config: Config = field(repr=False)
    record: dict[str, Any] = field(repr=False)
    weights: Path

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.record["seed"]


def read_runs(work_dirs: Sequence[Path]) -> list[TrainedRun]:
    """Read trainings of one config with different seeds, sorted by seed.

    Raises:
        InputError: if a work dir holds no finished training or one that breaks the protocol, two have the
            same seed, or the configs differ in more than the seeds.
    """
    runs = sorted(map(_read_run, work_dirs), key=lambda run: run.seed)
    for run, other in pairwise(runs):
        if run.seed == other.seed:
            raise InputError(
                f"{run.work_dir} and {other.work_dir} both have seed {run.seed}; expected different seeds"
            )
    for run in runs[1:]:
        if seedless_sha256(run.config) != seedless_sha256(runs[0].config):
            raise InputError(
                f"{run.work_dir} was trained with another config than {runs[0].work_dir}, expected one "
                f"config with different seeds; {first_difference(runs[0].config, run.config)}"
            )
    return runs


def median_run(runs: Sequence[TrainedRun]) -> TrainedRun:
    """Return the run with the median OA, or the lower of the two in the middle."""
    return sorted(runs, key=lambda run: (run.record["oa"], run.seed))[(len(runs) - 1) // 2]


def check_splits(runs: Sequence[TrainedRun]) -> bool:
    """Compare each run's split and leaked pixels with its record.

    Returns:
        Whether the data is on this machine; if not, nothing was compared.

    Raises:
        InputError: if a split differs from the record's, or more test pixels leak into training windows.
    """
    scenes: dict[str, list[Scene] | None] = {}
    for run in runs:
        dataset = run.config.test_dataloader.dataset.to_dict()
        source = json.dumps(dataset["source"], sort_keys=True)
        if source not in scenes:
            scenes[source] = _load(dataset["source"], run.record["simulated"])
        loaded = scenes[source]
        if loaded is None:
            return False
        window = run.config.train_dataloader.dataset.get("window", run.record["split"]["window"])
        split, said = build_split(dataset["split"], loaded), run.record["split"]
        if split.sha256 != said["sha256"]:
            raise InputError(
                f"{run.work_dir / METRICS_FILE}: its split is {said['sha256'][:8]}, but config and data give "
                f"{split.sha256[:8]}"
            )
        found = leaked_pixels(split, loaded, int(window))  # training windows decide what leaks
        if found > said["leaked_pixels"]:
            raise InputError(
                f"{run.work_dir / METRICS_FILE}: says that training windows contain {said['leaked_pixels']} "
                f"test pixels, but they contain {found}"
            )
    return True


def _read_run(work_dir: Path) -> TrainedRun:
    configs = sorted(work_dir.glob("*.py"))
    if not work_dir.is_dir() or len(configs) != 1:
        found = f"holds {len(configs)} configs (*.py)" if work_dir.is_dir() else "does not exist"
        raise InputError(f"{work_dir}: {found}, expected the work dir of a training")
    config, record = read_config(configs[0]), read_record(work_dir / METRICS_FILE)
    if config.get("classifier") is not None:
        raise InputError(f"{work_dir}: a classical classifier is not published")
    for key in ("model", "train_dataloader", "test_dataloader"):
        if config.get(key) is None:
            raise InputError(f"{configs[0]}: has no '{key}', expected the config of a training with its test")
    try:
        _check_record(work_dir, config, record)
        weights = find_weights(work_dir)
        _check_weights(record, weights)
    except KeyError as error:
        raise InputError(f"{work_dir / METRICS_FILE}: lacks {error}") from error
    return TrainedRun(work_dir, config, record, weights)


def _check_record(work_dir: Path, config: Config, record: dict[str, Any]) -> None:
    """Raise InputError unless a record matches its config and follows the protocol of test and selection."""
    path = work_dir / METRICS_FILE
    if extended := record["extended"]:
        first = extended[0]
        changed = ", ".join(first["changed"]) or "an unknown config"
        raise InputError(
            f"{path}: the training was extended after epoch {first['epoch']} ({changed} "
            "changed), so that no config gives this result; train it afresh"
        )
    if record["config_sha256"] != config_sha256(config):
        raise InputError(
            f"{path}: is of another config (sha256 {record['config_sha256'][:8]}) than the one in its folder "
            f"({config_sha256(config)[:8]})"
        )
    if record["split"]["part"] != PART:
        raise InputError(f"{path}: has scores of the part {record['split']['part']}, expected {PART}")
    if "train" not in record["timing_s"]:
        raise InputError(
            f"{path}: was written by a later test ({record['command']}), not by the training; run the "
            "training again with --resume, which tests its weights"
        )
    if record["selection"].startswith("best") or "early stopping" in record["selection"]:
        part = config.val_dataloader.dataset.get("part", PART)  # test is the datasets' default
        if part == PART or not record["split"]["pixels"][part]:
            raise InputError(
                f"{path}: the weights are the '{record['selection']}', but were chosen on the part {part}; "
                "weights chosen on test pixels are not published"
            )
    check_scores(record, str(path))


def _check_weights(record: dict[str, Any], weights: Path) -> None:
    """Raise InputError unless a checkpoint is the one that was tested."""
    tested, found = record["weights"]["sha256"], sha256_of(weights)
    if found != tested:
        raise InputError(
            f"{weights}: the training chose these weights (sha256 {found[:8]}), but {METRICS_FILE} is of "
            f"{record['weights']['file']} ({tested[:8]}); run the training again with --resume"
        )


def _load(config: dict, simulated: bool) -> list[Scene] | None:
    """Load a source's masks; None if its files are absent or replaced by simulated data."""
    source = SOURCES.build(dict(config))
    try:
        scenes = source.load(rasters=False)
    except DataNotFoundError:
        return None
    return scenes if simulated or not source.simulated else None
