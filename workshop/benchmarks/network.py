"""The paper's network on the CPU for one window: ours, the authors' order, and the matrix product limit."""

from __future__ import annotations

from contextlib import AbstractContextManager
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from m3amba_zoo.models import map_linear
from m3amba_zoo.models.m3amba import M3amba, m3amba
from workshop.benchmarks import authors_order
from workshop.benchmarks.authors_order import in_authors_order
from workshop.benchmarks.measuring import median_seconds
from workshop.benchmarks.rival_scans import lean_scan
from workshop.benchmarks.section import Row, Section

CLASSES = 15
FEATURES = 512
# the backend `reference`, which first builds arrays of (b, d, L, n), and a loop that does not
AUTHORS_SCANS = {"reference scan": authors_order.step_by_step, "lean torch loop": lean_scan}
MATRIX_PRODUCTS = (torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.bmm)


def measure(
    embed_dim: int = 384, depth: int = 9, state: int = 16, window: int = 32, hsi: int = 144,
    gemm_side: int = 2048,
) -> Section:  # fmt: skip
    """Measure one forward of one window without CLIP, whose feature is random."""
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
        rates = _multiply_adds_per_second(gemm_side)
        limit = max(rates.values())
        seconds = median_seconds(lambda: model(inputs, features))
        expected = model(inputs, features)
        section.limits = {f"{library}_multiply_adds_per_s": rate for library, rate in rates.items()}
        section.limits["multiply_adds_of_linear_layers"] = float(products)
        section.rows = [
            {"version": "ours", "forward_s": seconds, "share_of_matmul_limit": products / limit / seconds}
        ]
        found: list[dict[str, Tensor]] = []
        for version, scan in AUTHORS_SCANS.items():
            with _plain_linear_layers(), patch.object(authors_order, "step_by_step", scan):
                slower = median_seconds(
                    lambda: found.append(authors(inputs, features)), runs=3, warm_up=False
                )
            row: Row = {"version": f"authors' order, {version}", "forward_s": slower}
            differences = [(found[-1][k] - expected[k]).abs().max().item() for k in expected]
            section.rows.append(
                row | {"times_ours": slower / seconds, "largest_difference": max(differences)}
            )
    return section


def _multiply_adds(model: M3amba, inputs: dict[str, Tensor], features: dict[str, Tensor]) -> int:
    """Count the multiply-adds of the linear layers, without depth-wise convolutions and the scan."""
    with _plain_linear_layers(), FlopCounterMode(display=False) as counter:
        model(inputs, features)
    counts = counter.get_flop_counts()["Global"]
    return sum(counts.get(product, 0) for product in MATRIX_PRODUCTS) // 2


def _plain_linear_layers() -> AbstractContextManager:
    """Return a context in which linear layers run as torch's matrix products, as in the authors' code."""
    return patch.object(map_linear, "CONVOLVED", ())


def _multiply_adds_per_second(side: int) -> dict[str, float]:
    """Return the rate of a product of square matrices on the CPU by library, MKL and oneDNN."""
    a, b = torch.randn(2, side, side)
    ways = {
        "mkl_matmul": lambda: a @ b,
        "onednn_matmul": lambda: map_linear.map_linear(a.view(1, 1, side, side), b),
    }
    return {library: side**3 / median_seconds(way) for library, way in ways.items()}
