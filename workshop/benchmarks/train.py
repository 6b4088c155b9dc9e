"""A training step of each model size: windows per second and peak memory, on a GPU if there is one.

Each precision is measured plain, with activation checkpointing, and under torch.compile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from m3amba_zoo.config import read_raw
from m3amba_zoo.registry import MODELS
from m3amba_zoo.system import keep_freed_memory
from workshop.benchmarks import fresh_process
from workshop.benchmarks.measuring import median_seconds, peak_mebibytes
from workshop.benchmarks.section import Row, Section

SIZES = Path(__file__).parents[2] / "configs" / "_base_" / "models"
CHANNELS, CLASSES = {"hsi": 144, "lidar": 1}, 15  # Houston 2013's
CLIP_FEATURES = 512
BATCHES = {"t": 16, "s": 16, "b": 2}  # windows per step
RUNS = 3  # each of eighteen rows takes up to half a minute on two cores
TIME_LIMIT = 240.0  # seconds per row; compiling size b may take longer on few cores
PRECISIONS = {"cpu": ("float32", "bfloat16"), "cuda": ("float32", "float16", "bfloat16")}
PLAIN, CHECKPOINTING, COMPILED = WAYS = ("plain", "checkpointing", "torch.compile")


def measure(
    batches: Mapping[str, int] = BATCHES, window: int = 32, ways: Sequence[str] = WAYS, runs: int = RUNS
) -> Section:
    """Measure forward, loss, backward and AdamW's step together, each row in a process of its own."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    where = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} CPU threads"
    section = Section(
        f"train: one step, {CHANNELS['hsi']} + 1 channels, {window} x {window} windows, CLIP excluded, "
        f"{where}"
    )
    for size, batch in batches.items():
        for precision in PRECISIONS[device]:
            for way in ways:
                amp = "" if precision == "float32" else " AMP"
                row: Row = {"size": size, "precision": precision + amp, "way": way, "batch": batch}
                row |= fresh_process.figures(
                    training_step, TIME_LIMIT, size=size, batch=batch, window=window, precision=precision,
                    way=way, device=device, runs=runs,
                )  # fmt: skip
                section.rows.append(row)
    return section


def model_config(size: str, window: int) -> tuple[dict[str, Any], bool]:
    """Return the config of a size (t, s or b) without its CLIP encoder, and whether it has one."""
    config = dict(read_raw(SIZES / f"m3amba-{size}.py").model)
    with_encoder = config.pop("encoder", None) is not None
    return {**config, "in_channels": CHANNELS, "num_classes": CLASSES, "window": window}, with_encoder


def training_step(
    size: str, batch: int, window: int, precision: str, way: str, device: str, runs: int
) -> Row:
    """Return windows per second and the peak in MiB above weights, gradients and optimiser's state.

    ``first_step_s`` includes what is done once: loading the kernels, or compiling.
    """
    keep_freed_memory()  # as the command does
    torch.manual_seed(0)
    config, with_encoder = model_config(size, window)
    del config["data_preprocessor"]
    if with_encoder:  # the layers that read its features, which are drawn here
        config["adapter"] = {**config["adapter"], "feature_dim": CLIP_FEATURES}
    config["neck"] = {**config["neck"], "checkpointing": way == CHECKPOINTING}
    model = MODELS.build(config).train().to(device)
    if way == COMPILED:
        model.compile()
    optimizer = torch.optim.AdamW(model.parameters())
    scaler = torch.amp.GradScaler(device, enabled=precision == "float16")
    shapes = {modality: (batch, bands, window, window) for modality, bands in CHANNELS.items()}
    inputs = {modality: torch.randn(shape, device=device) for modality, shape in shapes.items()}
    features = {m: torch.randn(batch, CLIP_FEATURES, device=device) for m in inputs} if with_encoder else None
    labels = torch.randint(0, CLASSES + 1, (batch, window, window), device=device)

    def step() -> None:
        with torch.autocast(device, getattr(torch, precision), enabled=precision != "float32"):
            losses = model(inputs, features, mode="loss", labels=labels)
        optimizer.zero_grad()
        scaler.scale(sum(losses.values())).backward()
        scaler.step(optimizer)
        scaler.update()
        if device == "cuda":
            torch.cuda.synchronize()

    first = median_seconds(step, runs=1, warm_up=False)  # also allocates gradients and the optimiser's state
    peak = peak_mebibytes(step, device)
    seconds = median_seconds(step, runs, warm_up=False)
    return {"windows_per_s": batch / seconds, "step_s": seconds, "peak_mib": peak, "first_step_s": first}
