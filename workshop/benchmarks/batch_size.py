"""A training step of the paper's network by batch size: peak memory and windows per second."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from workshop.benchmarks import fresh_process
from workshop.benchmarks.section import Row, Section
from workshop.benchmarks.train import CHECKPOINTING, PLAIN, training_step

BATCHES = (1, 2, 4, 8)
TIME_LIMIT = 300.0  # seconds per row
PRECISION = "bfloat16"  # with AMP, as the configs of size b train


def measure(size: str = "b", batches: Sequence[int] = BATCHES, window: int = 32, runs: int = 1) -> Section:
    """Measure each batch plain and with activation checkpointing, each in a process of its own."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    section = Section(
        f"batch_size: one training step of size {size}, {window} x {window} windows, {PRECISION} AMP"
    )
    for way in (PLAIN, CHECKPOINTING):
        for batch in batches:
            row: Row = {"way": way, "batch": batch}
            section.rows.append(row)
            row |= fresh_process.figures(
                training_step, TIME_LIMIT, size=size, batch=batch, window=window, precision=PRECISION,
                way=way, device=device, runs=runs,
            )  # fmt: skip
    return section
