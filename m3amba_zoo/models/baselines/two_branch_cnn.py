"""Two-branch CNN (Xu et al. 2018): spectral and spatial tunnels for HSI, cascade blocks for LiDAR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m3amba_zoo.models.axes import reads_bands, writes_classes
from m3amba_zoo.models.patch_classifier import PairClassifier
from m3amba_zoo.models.window_classifier import FUSED
from m3amba_zoo.registry import MODELS

SLOPE = 0.2  # of the leaky ReLUs


@MODELS.register_module()
class TwoBranchCNN(PairClassifier):
    """Two-branch CNN.

    Paper: X. Xu, W. Li, Q. Ran, Q. Du, L. Gao, B. Zhang, "Multisource Remote Sensing Data Classification
    Based on Convolutional Neural Network", IEEE TGRS 56(2):937, 2018. Its HSI branch has a tunnel of 1-D
    convolutions along the spectrum of the centre pixel and one of 2-D convolutions over the patch; the branch
    of the second source consists of cascade blocks, whose shortcuts pass on features of earlier layers; all
    features are stacked and classified by fully connected layers. Widths are those of its authors'
    release: 64 filters of 11 bands and 128 of 3; 256 filters of 3 x 3 and 512 of 1 x 1; 64 filters and
    cascade blocks of 64 and 128. We know of no stated count of parameters; this has 4.86 M for Houston 2013
    (144 and 1 bands, 15 classes, patches of 11 x 11).

    Deviations:
        - Trained end to end; the paper first trains each branch with a classifier of its own.
        - Convolutions along the spectrum are padded and never longer than it, so that a few bands suffice.
        - The classifier's hidden layer (128, with dropout) is ours.
        - With one modality the HSI branch classifies alone.

    Args:
        in_channels, num_classes, patch: as for every PairClassifier; the spectral raster enters the HSI
            branch, the auxiliary one the cascade branch.
        width: factor on all numbers of filters, for small machines; the paper has 1.
        dropout: before the last layer.
        **base: data_preprocessor, loss and modalities, as for every PairClassifier.
    """

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        patch: int = 11,
        width: float = 1.0,
        dropout: float = 0.5,
        **base: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, patch, **base)
        narrow, middle, wide, widest = (max(1, round(width * n)) for n in (64, 128, 256, 512))
        bands, *others = self.pair_channels
        self.spectral_tunnel = nn.Sequential(
            _along_spectrum(1, narrow, 11, bands),
            _along_spectrum(narrow, middle, 3, bands),
            nn.MaxPool1d(2, ceil_mode=True),
            nn.Flatten(),
        )
        self.spatial_tunnel = nn.Sequential(
            reads_bands(_convolution(bands, wide, 3), *self.pair[0]),
            _convolution(wide, widest, 1),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Flatten(),
        )
        half, quarter = -(-patch // 2), -(-patch // 4)
        features = middle * -(-bands // 2) + widest * half**2
        for auxiliary in others:
            self.cascade = nn.Sequential(
                reads_bands(_convolution(auxiliary, narrow, 3), *self.pair[1]),
                _CascadeBlock(narrow, narrow),
                nn.MaxPool2d(2, ceil_mode=True),
                _CascadeBlock(narrow, middle),
                nn.MaxPool2d(2, ceil_mode=True),
                nn.Flatten(),
            )
            features += middle * quarter**2
        self.classifier = nn.Sequential(
            nn.Linear(features, middle),
            nn.LeakyReLU(SLOPE),
            nn.Dropout(dropout),
            writes_classes(nn.Linear(middle, num_classes)),
        )

    def pair_logits(self, spectral: Tensor, auxiliary: Tensor | None) -> dict[str, Tensor]:
        """Return ``fused`` logits ``(N, K)``."""
        spectrum = spectral[:, None, :, self.margin, self.margin]
        features = [self.spectral_tunnel(spectrum), self.spatial_tunnel(spectral)]
        if auxiliary is not None:
            features.append(self.cascade(auxiliary))
        return {FUSED: self.classifier(torch.cat(features, dim=1))}


def _along_spectrum(channels: int, filters: int, kernel: int, bands: int) -> nn.Sequential:
    """Return a 1-D convolution with an odd kernel of at most ``bands`` that keeps the length."""
    kernel = min(kernel, bands - 1 + bands % 2)
    convolution = nn.Conv1d(channels, filters, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm1d(filters), nn.LeakyReLU(SLOPE))


def _convolution(channels: int, filters: int, kernel: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels, filters, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(filters), nn.LeakyReLU(SLOPE))


class _CascadeBlock(nn.Module):
    """Wide and narrow convolutions in turn; all but the first add the map of two convolutions before."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.widen = _convolution(channels, 2 * filters, 3)
        self.narrow = _normed(2 * filters, filters, 1)
        self.widen_again = _normed(filters, 2 * filters, 3)
        self.narrow_again = _normed(2 * filters, filters, 1)
        self.shortcut = nn.Identity() if channels == filters else nn.Conv2d(channels, filters, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.widen(x)
        second = F.leaky_relu(self.narrow(first) + self.shortcut(x), SLOPE)
        third = F.leaky_relu(self.widen_again(second) + first, SLOPE)
        return F.leaky_relu(self.narrow_again(third) + second, SLOPE)


def _normed(channels: int, filters: int, kernel: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels, filters, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(filters))
