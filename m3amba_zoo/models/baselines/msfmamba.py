"""MSFMamba (arXiv 2408.14255): multi-scale spatial, spectral and fusion Mamba blocks.

Shape suffixes: N patches, P rows and columns, C dim, I = 2C inner.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m3amba_zoo.models.axes import reads_bands, writes_classes
from m3amba_zoo.models.baselines.sequences import BothWaysScan
from m3amba_zoo.models.patch_classifier import PatchClassifier
from m3amba_zoo.models.ss2d import ScanParameters
from m3amba_zoo.models.window_classifier import FUSED
from m3amba_zoo.ops import selective_scan_2d
from m3amba_zoo.registry import MODELS


def _depthwise(channels: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, stride, padding=1, groups=channels)


class GatedBranch(nn.Module):
    """The layers around a scan: LayerNorm, Linear, DWConv, SiLU before it; LayerNorm, gate, Linear after."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.in_proj = nn.Linear(dim, 4 * dim, bias=False)
        self.conv = _depthwise(2 * dim)
        self.out_norm = nn.LayerNorm(2 * dim)
        self.out_proj = nn.Linear(2 * dim, dim, bias=False)

    def enter(self, x_NPPC: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scan's input ``(N, I, P, P)`` and the gate ``(N, P, P, I)``."""
        u, gate = self.in_proj(self.norm(x_NPPC)).chunk(2, dim=-1)
        return F.silu(self.conv(u.permute(0, 3, 1, 2))), gate

    def leave(self, x_NPPC: Tensor, y_NPPI: Tensor, gate_NPPI: Tensor) -> Tensor:
        """Return ``(N, P, P, C)``: the block's input plus the scan's gated output."""
        return x_NPPC + self.out_proj(self.out_norm(y_NPPI) * F.silu(gate_NPPI))


class MultiScaleSpatialBlock(GatedBranch):
    """MSpa-Mamba: four routes over the pixels, two at full and two at half resolution.

    ``Z_1`` and ``Z_2`` are depthwise convolutions of stride 1 and 2; the output is
    ``Z'_1 + Z'_2 + Interpolate(Z'_3 + Z'_4)``.
    """

    def __init__(self, dim: int, d_state: int) -> None:
        super().__init__(dim)
        rank = math.ceil(dim / 16)
        self.fine, self.coarse = _depthwise(2 * dim), _depthwise(2 * dim, stride=2)
        self.rows = BothWaysScan(2 * dim, d_state, rank)
        self.columns = BothWaysScan(2 * dim, d_state, rank)

    def forward(self, x_NPPC: Tensor) -> Tensor:
        """Return ``(N, P, P, C)``."""
        u, gate = self.enter(x_NPPC)
        fine, coarse = self.fine(u), self.coarse(u)
        y = self.rows(fine.flatten(2)).view_as(fine)
        by_column = coarse.transpose(2, 3)
        coarse = self.columns(by_column.flatten(2)).view_as(by_column).transpose(2, 3)
        y = y + F.interpolate(coarse, y.shape[2:], mode="bilinear", align_corners=False)
        return self.leave(x_NPPC, y.permute(0, 2, 3, 1), gate)


class SpectralBlock(GatedBranch):
    """Spe-Mamba: the channels as a sequence, scanned both ways; each step holds all pixels of the patch."""

    def __init__(self, dim: int, d_state: int, patch: int) -> None:
        super().__init__(dim)
        self.scan = BothWaysScan(patch**2, d_state, math.ceil(patch**2 / 16))

    def forward(self, x_NPPC: Tensor) -> Tensor:
        """Return ``(N, P, P, C)``."""
        u, gate = self.enter(x_NPPC)
        y = self.scan(u.flatten(2).transpose(1, 2))  # (N, P * P, I): I steps
        return self.leave(x_NPPC, y.view(gate.shape), gate)


class FusionBlock(nn.Module):
    """Fus-Mamba: each modality is scanned with delta, B and C from the other (algorithm 1)."""

    def __init__(self, dim: int, d_state: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(GatedBranch(dim) for _ in range(2))
        self.parameters_of = nn.ModuleList(
            ScanParameters(2 * dim, d_state, math.ceil(dim / 16)) for _ in range(2)
        )

    def forward(self, *maps: Tensor) -> list[Tensor]:
        """Take and return two maps ``(N, P, P, C)``."""
        branches = [cast(GatedBranch, branch) for branch in self.branches]
        entered = [branch.enter(x) for branch, x in zip(branches, maps, strict=True)]
        sequences = [u.permute(0, 2, 3, 1) for u, _ in entered]
        outputs = []
        for index, branch in enumerate(branches):
            own = cast(ScanParameters, self.parameters_of[index])
            dt, B, C = own.project(sequences[1 - index])
            y = selective_scan_2d(sequences[index], dt, own.dt_weight, own.dt_bias, own.A, B, C, own.D)
            outputs.append(branch.leave(maps[index], y, entered[index][1]))
        return outputs


class SpatialSpectralModule(nn.Module):
    """MSpa-Mamba for each modality, Spe-Mamba for the spectral one, Fus-Mamba for the two."""

    def __init__(self, dim: int, d_state: int, patch: int, modalities: int) -> None:
        super().__init__()
        self.spatial = nn.ModuleList(MultiScaleSpatialBlock(dim, d_state) for _ in range(modalities))
        self.spectral = SpectralBlock(dim, d_state, patch)
        self.fusion = FusionBlock(dim, d_state) if modalities == 2 else None

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Take and return one map ``(N, P, P, C)`` per modality."""
        maps = [block(x) for block, x in zip(self.spatial, maps, strict=True)]
        maps[0] = self.spectral(maps[0])
        return self.fusion(*maps) if self.fusion is not None else maps


@MODELS.register_module()
class MSFMamba(PatchClassifier):
    """MSFMamba, multi-scale feature fusion Mamba.

    Paper: F. Gao, X. Jin, X. Zhou, J. Dong, Q. Du, "MSFMamba: Multi-Scale Feature Fusion State Space Model
    for Multi-Source Remote Sensing Image Classification", IEEE TGRS 63, 2025 (arXiv 2408.14255). A
    convolution per modality, ``depth`` modules of MSpa-Mamba, Spe-Mamba and Fus-Mamba, then two fully
    connected layers on both modalities' mean features. The paper reduces the bands by a PCA: a step of the
    data preprocessor here. It states 1.5252 M parameters for Augsburg (table IX); this has 1.5646 M there
    with 30 components (SAR 4, 7 classes, patches of 11 x 11): we chose ``dim`` and ``depth`` to come close.

    Deviations:
        - Details that summaries of the paper leave open are ours: a 3 x 3 convolution with BatchNorm and SiLU
          embeds patches; the routes along columns run at half resolution, those along rows at full; each
          block has a LayerNorm before it and a residual around it, as in VMamba; features are averaged.
        - Fus-Mamba scans in four directions (``ops.selective_scan_2d``).
        - With one modality there is no Fus-Mamba.

    Args:
        in_channels, num_classes, patch: as for every PatchClassifier; at most two modalities, the spectral
            one first.
        dim: C.
        depth: number of modules.
        d_state: states of each scan.
        hidden: units of the classifier's hidden layer.
        **base: data_preprocessor, loss and modalities, as for every PatchClassifier.

    Raises:
        InputError: if there are more than two modalities.
    """

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        patch: int = 11,
        dim: int = 96,
        depth: int = 3,
        d_state: int = 16,
        hidden: int = 128,
        **base: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, patch, **base)
        self._spectral_and_auxiliary()
        self.embeds = nn.ModuleDict(
            {
                modality: nn.Sequential(
                    reads_bands(nn.Conv2d(bands, dim, 3, padding=1, bias=False), modality),
                    nn.BatchNorm2d(dim),
                    nn.SiLU(),
                )
                for modality, bands in self.treated_channels.items()
            }
        )
        count = len(self.in_channels)
        self.stages = nn.ModuleList(SpatialSpectralModule(dim, d_state, patch, count) for _ in range(depth))
        self.classifier = nn.Sequential(
            nn.Linear(dim * count, hidden), nn.ReLU(), writes_classes(nn.Linear(hidden, num_classes))
        )

    def patch_logits(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``fused`` logits ``(N, K)``."""
        maps = [embed(inputs[modality]).permute(0, 2, 3, 1) for modality, embed in self.embeds.items()]
        for stage in self.stages:
            maps = stage(maps)
        return {FUSED: self.classifier(torch.cat([x.mean((1, 2)) for x in maps], dim=1))}
