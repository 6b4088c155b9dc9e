"""Rebuilds the splits of runs, if their data is on this machine, and compares them with the records."""

from __future__ import annotations

import json
from collections.abc import Sequence

from m3amba_zoo.errors import DataNotFoundError, InputError
from m3amba_zoo.hub.trained_model import METRICS
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits import build_split, leaked_pixels
from workshop.publishing.runs import TrainedRun, training_window


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
            scenes[source] = _load(dataset["source"], "simulated" in str(run.record["dataset"]))
        loaded = scenes[source]
        if loaded is None:
            return False
        split, said = build_split(dataset["split"], loaded), run.record["split"]
        if split.sha256 != said["sha256"]:
            raise InputError(
                f"{run.work_dir / METRICS}: its split is {said['sha256'][:8]}, but config and data give "
                f"{split.sha256[:8]}"
            )
        found = leaked_pixels(split, loaded, training_window(run))
        if found > said["leaked_pixels"]:
            raise InputError(
                f"{run.work_dir / METRICS}: says that training windows contain {said['leaked_pixels']} test "
                f"pixels, but they contain {found}"
            )
    return True


def _load(config: dict, simulated: bool) -> list[Scene] | None:
    """Load a source's masks; None if its files are absent or replaced by simulated data."""
    source = SOURCES.build(dict(config))
    try:
        scenes = source.load(rasters=False)
    except DataNotFoundError:
        return None
    return scenes if simulated or not source.simulated else None
