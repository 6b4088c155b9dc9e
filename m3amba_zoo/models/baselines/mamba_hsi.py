"""MambaHSI (arXiv 2501.04944): spatial and spectral Mamba on whole windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.axes import reads_bands, writes_classes
from m3amba_zoo.models.baselines.sequences import Mamba
from m3amba_zoo.models.window_classifier import FUSED, WindowClassifier
from m3amba_zoo.registry import MODELS


class SpatialMamba(nn.Module):
    """SpaMB: the pixels of the map, row by row, as one sequence; GroupNorm, SiLU, residual."""

    def __init__(self, embed_dim: int, groups: int, d_state: int) -> None:
        super().__init__()
        self.mamba = Mamba(embed_dim, d_state)
        self.out = nn.Sequential(nn.GroupNorm(groups, embed_dim), nn.SiLU())

    def forward(self, x_BEHW: Tensor) -> Tensor:
        """Return ``(B, E, H, W)``."""
        y = self.mamba(x_BEHW.flatten(2).transpose(1, 2))
        return x_BEHW + self.out(y.transpose(1, 2).reshape(x_BEHW.shape))


class SpectralMamba(nn.Module):
    """SpeMB: each pixel's channels, cut into ``tokens`` parts, as a sequence; GroupNorm, SiLU, residual."""

    def __init__(self, embed_dim: int, tokens: int, groups: int, d_state: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.mamba = Mamba(embed_dim // tokens, d_state)
        self.out = nn.Sequential(nn.GroupNorm(groups, embed_dim), nn.SiLU())

    def forward(self, x_BEHW: Tensor) -> Tensor:
        """Return ``(B, E, H, W)``."""
        batch, dim, rows, columns = x_BEHW.shape
        pixels = x_BEHW.permute(0, 2, 3, 1).reshape(-1, self.tokens, dim // self.tokens)
        y = self.mamba(pixels).view(batch, rows, columns, dim).permute(0, 3, 1, 2)
        return x_BEHW + self.out(y)


class SpatialSpectralBlock(nn.Module):
    """SpaMB and SpeMB of the same map, joined by the fusion module (SSFM).

    ``x + w_1 SpaMB(x) + w_2 SpeMB(x)`` with w the softmax of two learned numbers.
    """

    def __init__(self, embed_dim: int, tokens: int, groups: int, d_state: int) -> None:
        super().__init__()
        self.spatial = SpatialMamba(embed_dim, groups, d_state)
        self.spectral = SpectralMamba(embed_dim, tokens, groups, d_state)
        self.weights = nn.Parameter(torch.full((2,), 0.5))

    def forward(self, x_BEHW: Tensor) -> Tensor:
        """Return ``(B, E, H, W)``."""
        spatial, spectral = self.weights.softmax(0)
        return x_BEHW + spatial * self.spatial(x_BEHW) + spectral * self.spectral(x_BEHW)


@MODELS.register_module()
class MambaHSI(WindowClassifier):
    """MambaHSI, a dense network for one modality.

    Paper: Y. Li, Y. Luo, L. Zhang, Z. Wang, B. Du, "MambaHSI: Spatial-Spectral Mamba for Hyperspectral Image
    Classification", IEEE TGRS 62, 2024 (arXiv 2501.04944). Embedding (1 x 1 convolution, GroupNorm, SiLU),
    ``depth`` blocks of SpaMB, SpeMB and SSFM with a 2 x 2 mean pooling between them, a head of two 1 x 1
    convolutions, bilinear interpolation to the window. We found no count of parameters in it; this has
    128,693 for Houston 2013 (144 bands, 15 classes).

    Deviations:
        - Windows instead of the whole scene as one sequence of pixels.
        - ``pooling`` can be turned off: windows of 8 pixels would end as 2 x 2.
        - With ``concatenate`` the input is all modalities' bands side by side; the paper has HSI alone.

    Args:
        in_channels, num_classes: as for every WindowClassifier.
        embed_dim: E.
        depth: number of blocks.
        tokens: parts of a pixel's channels that SpeMB scans; divides E.
        groups: of the GroupNorms; divides E and ``head_dim``.
        head_dim: channels of the head.
        d_state: N.
        pooling: halve rows and columns between blocks.
        concatenate: read all modalities; otherwise only the first.
        **base: data_preprocessor, loss, posterior and modalities, as for every WindowClassifier.

    Raises:
        InputError: if a size does not divide another, or a window is too small for the poolings.
    """

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        embed_dim: int = 64,
        depth: int = 3,
        tokens: int = 4,
        groups: int = 4,
        head_dim: int = 128,
        d_state: int = 16,
        pooling: bool = True,
        concatenate: bool = False,
        **base: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, **base)
        for size, parts in (("embed_dim", "tokens"), ("embed_dim", "groups"), ("head_dim", "groups")):
            given = {"embed_dim": embed_dim, "head_dim": head_dim, "tokens": tokens, "groups": groups}
            if given[size] % given[parts]:
                raise InputError(
                    f"MambaHSI: {size} is {given[size]}, expected a multiple of {parts}, {given[parts]}"
                )
        modalities = list(self.in_channels)
        self.read: Sequence[str] = modalities if concatenate else modalities[:1]
        self.pooling = pooling
        bands = sum(self.treated_channels[m] for m in self.read)
        convolution = reads_bands(nn.Conv2d(bands, embed_dim, 1), *self.read)
        self.embed = nn.Sequential(convolution, nn.GroupNorm(groups, embed_dim), nn.SiLU())
        self.blocks = nn.ModuleList(
            SpatialSpectralBlock(embed_dim, tokens, groups, d_state) for _ in range(depth)
        )
        self.head = nn.Sequential(
            nn.Conv2d(embed_dim, head_dim, 1),
            nn.GroupNorm(groups, head_dim),
            nn.SiLU(),
            writes_classes(nn.Conv2d(head_dim, num_classes, 1)),
        )

    def logits(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``fused`` logits ``(B, K, S, S)``."""
        x = self.embed(torch.cat([inputs[m] for m in self.read], dim=1))
        window = x.shape[-2:]
        smallest = 2 ** (len(self.blocks) - 1)
        if self.pooling and min(window) < smallest:
            raise InputError(
                f"MambaHSI: windows have {min(window)} pixels, expected at least {smallest}, or pooling=False"
            )
        for index, block in enumerate(self.blocks):
            x = block(F.avg_pool2d(x, 2) if self.pooling and index else x)
        scores = self.head(x)
        if self.pooling:
            scores = F.interpolate(scores, window, mode="bilinear", align_corners=False)
        return {FUSED: scores}
