"""The paper's network on the CPU, one window: ours, the same in the authors' order, the matmul limit."""

from __future__ import annotations

from contextlib import AbstractContextManager
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from m3amba_zoo.benchmarks.authors_order import in_authors_order
from m3amba_zoo.benchmarks.section import Section
from m3amba_zoo.benchmarks.timing import median_seconds
from m3amba_zoo.models import map_linear
from m3amba_zoo.models.m3amba import M3amba, m3amba

CLASSES = 15
FEATURES = 512
MATRIX_PRODUCTS = (torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.bmm)


def measure(
    embed_dim: int = 384,
    depth: int = 9,
    state: int = 16,
    window: int = 32,
    hsi: int = 144,
    gemm_side: int = 2048,
) -> Section:
    """Measure one forward of one window, CLIP excluded: its feature is given."""
    torch.manual_seed(0)
    channels = {"hsi": hsi, "lidar": 1}
    model = m3amba(channels, CLASSES, embed_dim, depth, state, window).eval()
    inputs = {modality: torch.randn(1, bands, window, window) for modality, bands in channels.items()}
    features = {modality: torch.randn(1, FEATURES) for modality in channels}
    authors = in_authors_order(model)
    section = Section(
        f"network: embed_dim {embed_dim}, depth {depth}, {hsi} + 1 channels, one {window} x {window} window, "
        f"float32, {torch.get_num_threads()} CPU threads"
    )
    with torch.inference_mode():
        products = _multiply_adds(model, inputs, features)
        limit = _multiply_adds_per_second(gemm_side)
        seconds = median_seconds(lambda: model(inputs, features))
        expected = model(inputs, features)
        found: dict[str, Tensor] = {}
        with _plain_linear_layers():
            authors_seconds = median_seconds(
                lambda: found.update(authors(inputs, features)), runs=3, warm_up=False
            )
    section.limits = {"matmul_multiply_adds_per_s": limit, "multiply_adds_of_linear_layers": float(products)}
    section.rows = [
        {
            "version": "ours",
            "forward_s": seconds,
            "share_of_matmul_limit": products / limit / seconds,
        },
        {
            "version": "authors' order, step-by-step scan",
            "forward_s": authors_seconds,
            "times_ours": authors_seconds / seconds,
            "largest_difference": max((found[key] - expected[key]).abs().max().item() for key in expected),
        },
    ]
    return section


def _multiply_adds(model: M3amba, inputs: dict[str, Tensor], features: dict[str, Tensor]) -> int:
    """Count the multiply-adds of linear layers; depth-wise convolutions and the scan are left out."""
    with _plain_linear_layers(), FlopCounterMode(display=False) as counter:
        model(inputs, features)
    counts = counter.get_flop_counts()["Global"]
    return sum(counts.get(product, 0) for product in MATRIX_PRODUCTS) // 2


def _plain_linear_layers() -> AbstractContextManager:
    """Return a context in which linear layers are torch's matrix products, as in the authors' code."""
    return patch.object(map_linear, "CONVOLVED", ())


def _multiply_adds_per_second(side: int) -> float:
    """Return the faster of torch's two ways to a product of square matrices, by MKL and by oneDNN."""
    a, b = torch.randn(2, side, side)
    ways = (lambda: a @ b, lambda: map_linear.map_linear(a.view(1, 1, side, side), b))
    return side**3 / min(median_seconds(way) for way in ways)
