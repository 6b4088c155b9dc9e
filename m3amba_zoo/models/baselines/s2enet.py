"""S2ENet (Fang et al. 2022): LiDAR features scale the HSI's pixels, HSI features scale LiDAR's channels."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from m3amba_zoo.models.axes import reads_bands, writes_classes
from m3amba_zoo.models.patch_classifier import PairClassifier
from m3amba_zoo.models.window_classifier import FUSED
from m3amba_zoo.registry import MODELS

SPECTRAL_WIDTHS = (128, 64, 32)
AUXILIARY_WIDTHS = (8, 16, 32)


@MODELS.register_module()
class S2ENet(PairClassifier):
    """Spatial-spectral cross-modal enhancement network.

    Paper: S. Fang, K. Li, Z. Li, "S2ENet: Spatial-Spectral Cross-Modal Enhancement Network for Classification
    of Hyperspectral and LiDAR Data", IEEE GRSL 19, 2022. Three 3 x 3 convolutions per modality (128, 64, 32
    and 8, 16, 32 filters); then the spatial enhancement module (SAEM) scales each pixel of the spectral
    features by its affinity to the auxiliary ones, and the spectral enhancement module (SEEM) each channel of
    the auxiliary features by its affinity to the spectral ones; both are concatenated, mixed by a 1 x 1
    convolution (32) and averaged. We know of no stated count of parameters; this has 0.271 M for Houston 2013
    (144 and 1 bands, 15 classes, patches of 11 x 11).

    Deviations:
        - Patches are 11 x 11 by default, 7 x 7 in the paper.
        - With one modality there is no enhancement: its features are mixed, averaged and classified.

    Args:
        in_channels, num_classes, patch: as for every PairClassifier.
        **base: data_preprocessor, loss and modalities, as for every PairClassifier.
    """

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        patch: int = 11,
        **base: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, patch, **base)
        bands, features = self.pair_channels, SPECTRAL_WIDTHS[-1]
        self.spectral = reads_bands(_branch(bands[0], *SPECTRAL_WIDTHS), *self.pair[0])
        if len(self.pair) == 2:
            self.auxiliary = reads_bands(_branch(bands[1], *AUXILIARY_WIDTHS), *self.pair[1])
            self.spatial_enhancement = SpatialEnhancement(features, patch**2)
            self.spectral_enhancement = SpectralEnhancement(features)
            features += AUXILIARY_WIDTHS[-1]
        self.fusion = _layer(features, SPECTRAL_WIDTHS[-1], 1)
        self.classifier = writes_classes(nn.Linear(SPECTRAL_WIDTHS[-1], num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def pair_logits(self, spectral: Tensor, auxiliary: Tensor | None) -> dict[str, Tensor]:
        """Return ``fused`` logits ``(N, K)``."""
        features = self.spectral(spectral)
        if auxiliary is not None:
            other = self.auxiliary(auxiliary)
            features = torch.cat(
                [self.spatial_enhancement(features, other), self.spectral_enhancement(other, features)], dim=1
            )
        return {FUSED: self.classifier(self.fusion(features).mean(dim=(2, 3)))}


class SpatialEnhancement(nn.Module):
    """SAEM: scales pixels by a learnt sum of their affinities to all pixels of the other modality.

    Args:
        channels: C of both modalities; they are compared in C / 2 channels.
        pixels: of a patch, P P.
    """

    def __init__(self, channels: int, pixels: int) -> None:
        super().__init__()
        self.own, self.other = _gate(channels, channels // 2), _gate(channels, channels // 2)
        self.reduce = nn.Linear(pixels, 1, bias=False)

    def forward(self, x_NCPP: Tensor, other_NCPP: Tensor) -> Tensor:
        """Return ``x`` enhanced, ``(N, C, P, P)``."""
        affinity = self.own(x_NCPP).flatten(2).transpose(1, 2) @ self.other(other_NCPP).flatten(2)
        weight = self.reduce(affinity)  # (N, P P, 1)
        return x_NCPP * weight.transpose(1, 2).unflatten(2, x_NCPP.shape[2:])


class SpectralEnhancement(nn.Module):
    """SEEM: scales channels by a learnt sum of their affinities to all channels of the other modality.

    Args:
        channels: C of both modalities.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.own, self.other = _gate(channels, channels), _gate(channels, channels)
        self.reduce = nn.Linear(channels, 1, bias=False)

    def forward(self, x_NCPP: Tensor, other_NCPP: Tensor) -> Tensor:
        """Return ``x`` enhanced, ``(N, C, P, P)``."""
        affinity = self.own(x_NCPP).flatten(2) @ self.other(other_NCPP).flatten(2).transpose(1, 2)
        return x_NCPP * self.reduce(affinity)[:, :, :, None]


def _gate(channels: int, filters: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, filters, 1), nn.BatchNorm2d(filters), nn.Sigmoid())


def _layer(channels: int, filters: int, kernel: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels, filters, kernel, padding=kernel // 2)
    return nn.Sequential(convolution, nn.BatchNorm2d(filters), nn.ReLU())


def _branch(*widths: int) -> nn.Sequential:
    return nn.Sequential(*(_layer(n, following, 3) for n, following in itertools.pairwise(widths)))
