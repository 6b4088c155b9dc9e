"""A training step of each size on the CPU: windows a second and peak memory, with and without AMP."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from m3amba_zoo.benchmarks import fresh_process
from m3amba_zoo.benchmarks.peak_memory import peak_mebibytes
from m3amba_zoo.benchmarks.section import NOT_MEASURED, Row, Section
from m3amba_zoo.benchmarks.timing import median_seconds
from m3amba_zoo.config_file import read_config_file
from m3amba_zoo.registry import MODELS

SIZES = Path(__file__).parents[2] / "configs" / "_base_" / "models"
BATCHES = {"t": 16, "s": 16, "b": 2}  # windows a step
CHANNELS = {"hsi": 144, "lidar": 1}
CLASSES = 15
FEATURES = 512


def measure(batches: Mapping[str, int] = BATCHES, window: int = 32) -> Section:
    """Measure forward, loss, backward and AdamW's step for each size, each in a process of its own."""
    section = Section(
        f"train: one step, {CHANNELS['hsi']} + 1 channels, {window} x {window} windows, CLIP excluded, "
        f"{torch.get_num_threads()} CPU threads"
    )
    for size, batch in batches.items():
        for amp in (False, True):
            row: Row = {"size": size, "precision": "bfloat16 AMP" if amp else "float32", "batch": batch}
            section.rows.append(row)
            try:
                row |= fresh_process.call(training_step, size=size, batch=batch, window=window, amp=amp)
            except fresh_process.ProcessFailedError as error:
                row[NOT_MEASURED] = str(error)
    return section


def training_step(size: str, batch: int, window: int, amp: bool) -> dict[str, float]:
    """Return the step's windows a second and its peak memory in MiB, above weights and optimiser's state."""
    torch.manual_seed(0)
    config = dict(read_config_file(SIZES / f"m3amba-{size}.py").model)
    del config["data_preprocessor"]
    with_encoder = config.pop("encoder", None) is not None
    model = MODELS.build(
        {**config, "in_channels": CHANNELS, "num_classes": CLASSES, "window": window}
    ).train()
    optimizer = torch.optim.AdamW(model.parameters())
    inputs = {modality: torch.randn(batch, bands, window, window) for modality, bands in CHANNELS.items()}
    features = {modality: torch.randn(batch, FEATURES) for modality in CHANNELS} if with_encoder else None
    labels = torch.randint(0, CLASSES + 1, (batch, window, window))

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=amp):
            losses = model(inputs, features, mode="loss", labels=labels)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()

    step()  # loads the kernels, makes gradients and the optimiser's state
    peak = peak_mebibytes(step)
    seconds = median_seconds(step, warm_up=False)
    return {"windows_per_s": batch / seconds, "step_s": seconds, "peak_mib": peak}
