"""Makes the splits of runs again, where their data is here, and compares them with what the records say."""

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
    """Compare each run's split and leak with its record's.

    Returns:
        Whether the data is here; where it is not, nothing was compared.

    Raises:
        InputError: a split is not the record's, or training windows show more test pixels than it says.
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
                f"{run.work_dir / METRICS}: its split is {said['sha256'][:8]}, but the config makes "
                f"{split.sha256[:8]} of the data here"
            )
        found = leaked_pixels(split, loaded, training_window(run))
        if found > said["leaked_pixels"]:
            raise InputError(
                f"{run.work_dir / METRICS}: says that training windows show {said['leaked_pixels']} test "
                f"pixels, but they show {found}"
            )
    return True


def _load(config: dict, simulated: bool) -> list[Scene] | None:
    """Load a source's masks; None where its files are absent, or only a simulated stand-in is here."""
    source = SOURCES.build(dict(config))
    try:
        scenes = source.load(rasters=False)
    except DataNotFoundError:
        return None
    return scenes if simulated or not source.simulated else None
