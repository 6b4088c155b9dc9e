"""What a frozen encoder costs: windows per second of M3amba's adapter around CLIP, by its options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from m3amba_zoo.models import ClipAdapter, ClipImageEncoder
from m3amba_zoo.system import keep_freed_memory
from workshop.benchmarks import fresh_process
from workshop.benchmarks.measuring import median_seconds, peak_mebibytes
from workshop.benchmarks.section import Row, Section

TOWER = "ViT-B-32-quickgelu"  # the paper's, with random weights, which take the same time
BANDS, EMBED_DIM = 144, 96
PAPER: Row = {"image_size": 224, "prior": "global", "pseudo_rgb": "learned", "precision": "float32"}
# what differs from the paper in each row
OPTIONS: tuple[Mapping[str, Any], ...] = (
    {},
    {"prior": "spatial"},
    {"pseudo_rgb": "first"},
    {"precision": "bfloat16"},
    {"image_size": 128},
    {"image_size": 96},
    {"image_size": 96, "pseudo_rgb": "first"},
    {"image_size": 96, "precision": "bfloat16"},
)
RUNS = 3
TIME_LIMIT = 300.0  # seconds per row


def measure(
    name: str = TOWER,
    options: Sequence[Mapping[str, Any]] = OPTIONS,
    batch: int = 16,
    window: int = 32,
    runs: int = RUNS,
) -> Section:
    """Measure the adapter and its encoder on windows of one modality, each row in a process of its own.

    Args:
        name: of the tower, or its config.
        options: of the adapter and the encoder that each row changes.
        batch: windows at once.
        window: their side in pixels.
        runs: the median of which is reported.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    where = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} CPU threads"
    section = Section(
        f"encoder: ClipAdapter around {name} (random weights), one modality of {BANDS} bands, batches of "
        f"{batch} windows of {window} x {window}, {where}"
    )
    for changed in options:
        row: Row = {**PAPER, **changed}
        row |= fresh_process.figures(
            adapter_step, TIME_LIMIT, name=name, batch=batch, window=window, device=device, runs=runs,
            options=dict(row),
        )  # fmt: skip
        section.rows.append(row)
    return section


def adapter_step(name: str, batch: int, window: int, device: str, runs: int, options: dict[str, Any]) -> Row:
    """Return windows per second of a prediction and of a training step, and the training's peak in MiB."""
    keep_freed_memory()  # as the command does
    torch.manual_seed(0)
    options = dict(options)
    encoder = ClipImageEncoder(name, "random", precision=options.pop("precision")).to(device)
    adapter = ClipAdapter(BANDS, EMBED_DIM, window, encoder.feature_dim, **options).to(device)
    x = torch.randn(batch, BANDS, window, window, device=device)

    def forward() -> Tensor:
        image = adapter.encoder_input(x)
        assert image is not None
        feature = encoder.patches(image) if adapter.spatial else encoder(image)
        token, prior = adapter(x, feature)
        return (token + prior).square().mean()

    finish = torch.cuda.synchronize if device == "cuda" else lambda: None

    @torch.no_grad()
    def predict() -> None:
        forward()
        finish()

    def train() -> None:
        adapter.zero_grad()
        forward().backward()
        finish()

    train()  # allocates the gradients
    peak = peak_mebibytes(train, device)
    return {
        "forward_windows_per_s": batch / median_seconds(predict, runs),
        "training_windows_per_s": batch / median_seconds(train, runs),
        "training_peak_mib": peak,
    }
