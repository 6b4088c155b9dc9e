"""The GPU's rows, which the zoo cannot fill yet: it has no GPU kernels of its own."""

from __future__ import annotations

import torch

from m3amba_zoo.benchmarks.section import NOT_MEASURED, Section

ROWS = ("four-direction scan, float32", "four-direction scan, bfloat16 inputs", "training step")


def measure() -> Section:
    """Say for each row why it is not measured."""
    reason = "the zoo has no GPU kernels of its own yet" if torch.cuda.is_available() else "no CUDA device"
    return Section("gpu", [{"version": row, NOT_MEASURED: reason} for row in ROWS])
