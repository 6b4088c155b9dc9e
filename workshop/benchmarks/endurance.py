"""Long runs: whether resident memory and open files stay flat over many training steps and predictions.

A training is the command's own: loops, hooks, validation, checkpoints and log are those of ``m3amba_demo``. A
prediction opens files and writes a map.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
from mmengine.hooks import Hook
from mmengine.runner import Runner

from m3amba_zoo.cli.running import build_runner
from m3amba_zoo.config import read_config
from m3amba_zoo.evaluation.record import MEBIBYTE
from m3amba_zoo.inference import Predictor
from m3amba_zoo.system import keep_freed_memory
from workshop.benchmarks import fresh_process
from workshop.benchmarks.maps import BANDS, model_config
from workshop.benchmarks.random_scene import write_model, write_rasters
from workshop.benchmarks.section import Row, Section

STEPS, PREDICTIONS = 2000, 600
STEPS_OF_EPOCH, BATCH = 100, 4
SIDE = 48  # rows and columns of the rasters that are predicted
SAMPLES = 100  # of memory and open files in a run
WARM_UP = 0.5  # share of a run that is left out: kernels are compiled, pools of memory grow


class Sample(NamedTuple):
    """What the process holds after a step."""

    step: int
    resident: int  # bytes
    handles: int


def measure(steps: int = STEPS, predictions: int = PREDICTIONS) -> Section:
    """Train and predict, each in a process of its own, and fit a line through what each step leaves."""
    section = Section(
        f"endurance: m3amba_demo in batches of {BATCH}, an epoch of {STEPS_OF_EPOCH} steps; maps of {SIDE} x "
        f"{SIDE} pixels from files; slopes without the first {WARM_UP:.0%}"
    )
    for what, function, number in (
        ("training steps", training, steps),
        ("predictions", predicting, predictions),
    ):
        with tempfile.TemporaryDirectory(prefix="m3amba_endurance_") as folder:
            row: Row = {"run": what, "number": number}
            section.rows.append(row | fresh_process.figures(function, folder=folder, number=number))
    return section


def training(folder: str, number: int) -> Row:
    """Train for a number of steps; return the slopes."""
    keep_freed_memory()  # as the command does
    epochs = max(number // STEPS_OF_EPOCH, 2)
    options = [
        f"train_cfg.max_epochs={epochs}",
        f"train_dataloader.batch_size={BATCH}",
        f"train_dataloader.dataset.windows_per_epoch={BATCH * number // epochs}",
    ]
    config = read_config("m3amba_demo", None, options, 0)
    config.work_dir = str(Path(folder) / "run")
    runner = build_runner(config, ("train_loop",))
    sampling = _SamplingHook(max(number // SAMPLES, 1))
    runner.register_hook(sampling, priority="LOWEST")
    runner.train()
    return slopes(sampling.samples)


def predicting(folder: str, number: int) -> Row:
    """Write a number of maps from files with one ``Predictor``; return the slopes."""
    keep_freed_memory()  # as the command does
    files = write_rasters(Path(folder), BANDS, (SIDE, SIDE))
    predictor = Predictor(write_model(Path(folder, "model"), model_config()), device="cpu")
    samples = []
    for step in range(1, number + 1):
        predictor.predict_map(files, Path(folder) / f"map{step}.tif", ["probabilities"], speed="fast")
        if step % max(number // SAMPLES, 1) == 0:
            samples.append(_sample(step))
    return slopes(samples)


def slopes(samples: Sequence[Sample]) -> Row:
    """Return the slopes of memory in KiB and of open handles, by least squares, and both at the end."""
    steps, resident, handles = np.array([one for one in samples if one.step > WARM_UP * samples[-1].step]).T
    return {
        "resident_mib": samples[-1].resident / MEBIBYTE,
        "growth_kib_per_step": float(np.polyfit(steps, resident / 1024, 1)[0]),
        "handles": samples[-1].handles,
        "growth_handles_per_1000_steps": float(np.polyfit(steps, handles, 1)[0] * 1000),
    }


def _sample(step: int) -> Sample:
    process = psutil.Process()
    # Windows has handles, other systems file descriptors
    handles = process.num_fds() if hasattr(process, "num_fds") else process.num_handles()
    return Sample(step, process.memory_info().rss, handles)


class _SamplingHook(Hook):
    def __init__(self, interval: int) -> None:
        self.interval, self.samples = interval, list[Sample]()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None):
        if self.every_n_train_iters(runner, self.interval):
            self.samples.append(_sample(runner.iter + 1))
