"""Maps written to files: pixels per second and memory by size, speed and number of workers.

The rasters have the size and the bands of Sentinel tiles; their values are random.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from m3amba_zoo.config import read_raw
from m3amba_zoo.evaluation.record import MEBIBYTE, peak_resident_bytes
from m3amba_zoo.inference import Predictor
from m3amba_zoo.system import keep_freed_memory
from workshop.benchmarks import fresh_process
from workshop.benchmarks.random_scene import write_model, write_rasters
from workshop.benchmarks.section import Row, Section
from workshop.benchmarks.train import SIZES

BANDS, CLASSES, WINDOW = {"s2": 12, "s1": 2}, 7, 16  # TerraMind's
SIDES = (549, 1098, 2196)  # a twentieth, a tenth and a fifth of a tile's side
SPEEDS = ("fast", "balanced", "best")


def measure(
    sides: Sequence[int] = SIDES, speeds: Sequence[str] = SPEEDS, dask: Sequence[str] = ("local:1", "local:2")
) -> Section:
    """Measure ``Predictor.predict_map`` with probabilities, each row in a process of its own.

    Args:
        sides: rows and columns of square rasters, which are classified at the first speed.
        speeds: at which the smallest raster is classified.
        dask: clusters that classify the smallest raster.
    """
    section = Section(
        f"maps: {BANDS['s2']} + {BANDS['s1']} bands of int16 in tiled GeoTIFFs to a map and probabilities, "
        f"M3amba-t, windows of {WINDOW}, {torch.get_num_threads()} CPU threads"
    )
    jobs: list[tuple[int, str, str | None]] = [(side, speeds[0], None) for side in sides]
    jobs += [(sides[0], speed, None) for speed in speeds[1:]] + [(sides[0], speeds[0], to) for to in dask]
    with tempfile.TemporaryDirectory(prefix="m3amba_maps_") as folder:
        for side, speed, to in jobs:
            row: Row = {"side": side, "speed": speed, "dask": to or "-"}
            row |= fresh_process.figures(write_map, folder=folder, side=side, speed=speed, dask=to)
            section.rows.append(row)
    alone = [row for row in section.rows if row["dask"] == "-" and row["speed"] == speeds[0]]
    alone = [row for row in alone if "seconds" in row]
    if len(alone) > 1:
        logs = np.log([[float(row["side"]) ** 2, float(row["seconds"])] for row in alone])
        section.limits["slope_of_log_seconds_in_log_pixels"] = float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])
    return section


def write_map(folder: str, side: int, speed: str, dask: str | None) -> Row:
    """Return seconds, pixels per second and the peak of the process's resident memory."""
    keep_freed_memory()  # as the command does
    files = write_rasters(Path(folder), BANDS, (side, side))
    predictor = Predictor(write_model(Path(folder, "model"), model_config()), device="cpu")
    small = {modality: np.zeros((bands, WINDOW, WINDOW), np.int16) for modality, bands in BANDS.items()}
    predictor.predict(small)  # loads the kernels
    started = time.perf_counter()
    predictor.predict_map(files, Path(folder) / "map.tif", ["probabilities"], speed=speed, dask=dask)
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "pixels_per_s": side * side / seconds,
        "process_peak_mib": peak_resident_bytes() / MEBIBYTE,
    }


def model_config() -> dict[str, Any]:
    """Return the config of the model that classifies, which has random weights."""
    config = dict(read_raw(SIZES / "m3amba-t.py").model)
    return config | {"in_channels": BANDS, "num_classes": CLASSES, "window": WINDOW}
