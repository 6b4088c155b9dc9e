"""Whole scenes from files to maps: pixels per second, and how time and memory grow with the scene."""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from m3amba_zoo.datasets.windows import WindowGrid
from m3amba_zoo.inference import Predictor
from m3amba_zoo.system import keep_freed_memory
from workshop.benchmarks import fresh_process
from workshop.benchmarks.measuring import MEBIBYTE, peak_mebibytes
from workshop.benchmarks.random_scene import write_model, write_rasters
from workshop.benchmarks.section import Row, Section
from workshop.benchmarks.train import CHANNELS, model_config

SCENE = (349, 1905)  # Houston 2013
ROWS = {"t": 349, "b": 32}  # from the top; b takes most of a second per window on two cores
OVERLAPS = (0.0, 0.5)
BATCHES = (1, 4, 16, 64)  # windows at once
RUNS = {"t": 5, "b": 1}  # the median of which is reported


def measure(
    shape: tuple[int, int] = SCENE,
    rows: Mapping[str, int] = ROWS,
    window: int = 32,
    batches: Sequence[int] = BATCHES,
) -> Section:
    """Measure ``Predictor.predict`` on int16 GeoTIFFs of random values, each row in a process of its own.

    There are three kinds of rows: each model size with and without overlap; the first size on a quarter and
    on half of the scene's rows, which show the growth; and the first size by the number of windows at once.

    Args:
        shape: the scene's rows and columns.
        rows: the number of the scene's rows that each model size classifies.
        window: the windows' side in pixels.
        batches: numbers of windows at once.
    """
    height, width = shape
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    section = Section(
        f"scene: {height} x {width} pixels, {CHANNELS['hsi']} + 1 bands of int16 in GeoTIFFs, windows of "
        f"{window}, CLIP excluded, {device}, {torch.get_num_threads()} CPU threads"
    )
    smallest = next(iter(rows))
    runs: list[tuple[str, str, float, int, int | None]] = [
        ("size", size, overlap, count, None) for size, count in rows.items() for overlap in OVERLAPS
    ]
    whole = rows[smallest]
    runs += [("growth", smallest, OVERLAPS[-1], whole // part, None) for part in (4, 2)]
    runs += [("batch", smallest, 0.0, min(2 * window, whole), batch) for batch in batches]
    with tempfile.TemporaryDirectory(prefix="m3amba_scene_") as folder:
        for kind, size, overlap, count, batch in runs:
            row: Row = {"kind": kind, "size": size, "overlap": f"{overlap:.0%}", "rows": count}
            row |= fresh_process.figures(
                predict_scene, folder=folder, size=size, shape=(count, width), scene_height=height,
                window=window, overlap=overlap, batch=batch, runs=RUNS.get(size, 1),
            )  # fmt: skip
            section.rows.append(row)
    section.limits |= _growth(section.rows, smallest, width)
    return section


def predict_scene(
    folder: str, size: str, shape: tuple[int, int], scene_height: int, window: int, overlap: float,
    batch: int | None, runs: int,
) -> Row:  # fmt: skip
    """Return time and peak memory of a prediction, as medians of several runs.

    ``pixels_per_s`` is for the whole scene of ``scene_height`` rows at the measured time per window, because
    near its border a scene has fewer windows per pixel. ``network_share`` is the share of the threads' time
    spent in the model. ``peak_mib`` is the peak memory above the loaded model, without the map.
    """
    keep_freed_memory()  # as the command does
    files = write_rasters(Path(folder), CHANNELS, shape)
    config, _ = model_config(size, window)
    predictor = Predictor(write_model(Path(folder, f"{size}_{window}"), config))
    small = {modality: np.zeros((bands, window, window), np.int16) for modality, bands in CHANNELS.items()}
    predictor.predict(small)  # loads the kernels
    network = _Timed(predictor)
    times, peaks = [], []
    for _ in range(runs):
        started = time.perf_counter()
        peaks.append(peak_mebibytes(lambda: predictor.predict(files, overlap=overlap, batch_size=batch)))
        times.append(time.perf_counter() - started)
    seconds = statistics.median(times)
    windows, whole = (len(WindowGrid((rows, shape[1]), window, overlap)) for rows in (shape[0], scene_height))
    threads = torch.get_num_threads() if predictor.device.type == "cpu" else 1
    return {
        "batch": predictor.batch_size or 0,
        "windows": windows,
        "seconds": seconds,
        "pixels_per_s": scene_height * shape[1] / (seconds / windows * whole),
        "network_share": network.seconds / sum(times) / threads,
        "peak_mib": statistics.median(peaks) - math.prod(shape) / MEBIBYTE,
    }


class _Timed:
    """Adds up the seconds that a predictor's network takes in all threads, including its pretreatment."""

    def __init__(self, predictor: Predictor) -> None:
        self.seconds = 0.0
        test_step = predictor.model.test_step

        def timed(data: dict) -> list:
            started = time.perf_counter()
            logits = test_step(data)
            if predictor.device.type == "cuda":
                torch.cuda.synchronize()
            self.seconds += time.perf_counter() - started
            return logits

        predictor.model.test_step = timed  # type: ignore[method-assign, assignment]


def _growth(rows: Sequence[Row], size: str, width: int) -> dict[str, float]:
    """Fit log seconds to log pixels over the heights of a scene (1 is linear), and compare the peaks."""
    overlap = f"{OVERLAPS[-1]:.0%}"
    same = [row for row in rows if (row["size"], row["overlap"]) == (size, overlap) and "seconds" in row]
    if len({row["rows"] for row in same}) < 2:
        return {}
    same.sort(key=lambda row: row["rows"])
    pixels = np.log([float(row["rows"]) * width for row in same])
    slope, _ = np.polyfit(pixels, np.log([float(row["seconds"]) for row in same]), 1)
    smallest, largest = (float(row["peak_mib"]) for row in (same[0], same[-1]))
    return {"slope_of_log_seconds_in_log_pixels": float(slope), "peak_growth_mib": largest - smallest}
