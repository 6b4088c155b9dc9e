"""Peak memory of one Cross-SS2D forward on the CPU: in place, and from copies in four orders."""

from __future__ import annotations

from functools import partial
from unittest.mock import patch

import torch

from m3amba_zoo.models import ss2d
from m3amba_zoo.models.ss2d import CrossSS2D
from m3amba_zoo.ops import selective_scan
from workshop.benchmarks import fresh_process
from workshop.benchmarks.authors_order import CopyingCrossSS2D, copying_scan_2d
from workshop.benchmarks.measuring import peak_mebibytes
from workshop.benchmarks.section import Row, Section

IN_PLACE = "in place (ours)"
COPIES = "copies, our scan of sequences"
AUTHORS = "authors' order, step-by-step scan"


def measure(embed_dim: int = 384, state: int = 16, side: int = 32, batch: int = 8) -> Section:
    """Measure each version in a process of its own, in inference and in training."""
    section = Section(
        f"memory: one Cross-SS2D forward, embed_dim {embed_dim}, n {state}, {side} x {side}, batch {batch}"
    )
    shape = {"embed_dim": embed_dim, "state": state, "side": side, "batch": batch}
    for version in (IN_PLACE, COPIES, AUTHORS):
        row: Row = {"version": version}
        section.rows.append(row)
        for mode in ("inference", "training"):
            key = f"{mode}_peak_mib"
            row |= fresh_process.figures(forward_peak, version=version, training=mode == "training", **shape)
            if key in row and version != IN_PLACE and section.rows[0].get(key):
                row[f"{mode}_times_ours"] = float(row[key]) / float(section.rows[0][key])
    return section


def forward_peak(version: str, embed_dim: int, state: int, side: int, batch: int, training: bool) -> Row:
    """Return the peak in MiB above the inputs and weights; a small forward before it loads the kernels."""
    torch.manual_seed(0)
    kind = CopyingCrossSS2D if version == AUTHORS else CrossSS2D
    layer = kind(embed_dim, state).requires_grad_(training)
    inputs = torch.randn(2, batch, side, side, embed_dim)
    scan = partial(copying_scan_2d, scan=selective_scan) if version == COPIES else ss2d.selective_scan_2d
    with patch.object(ss2d, "selective_scan_2d", scan), torch.set_grad_enabled(training):
        layer(*torch.randn(2, 1, 4, 4, embed_dim))
        key = "training_peak_mib" if training else "inference_peak_mib"
        return {key: peak_mebibytes(lambda: layer(*inputs))}
