"""FusAtNet (Mohla et al. 2020): attention masks from the spectra, from the LiDAR, and from both together."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from m3amba_zoo.models.axes import reads_bands, writes_classes
from m3amba_zoo.models.patch_classifier import PairClassifier
from m3amba_zoo.models.window_classifier import FUSED
from m3amba_zoo.registry import MODELS

# numbers of filters in each part's convolutions
FEATURES = (256, 256, 256, 256, 256, 1024)
SPECTRAL_MASK = (256, 256, 256, 256, 256, 1024)
SPATIAL_MASK = (128, 128, 128, 256, 256, 1024)
CLASSIFIER = (256, 256, 256, 256, 1024)  # before the layer to the classes


@MODELS.register_module()
class FusAtNet(PairClassifier):
    """Dual attention based spectro-spatial multimodal fusion network.

    Paper: S. Mohla, S. Pande, B. Banerjee, S. Chaudhuri, "FusAtNet: Dual Attention based SpectroSpatial
    Multimodal Fusion Network for Hyperspectral and LiDAR Classification", CVPR Workshops 2020. Six
    convolutions extract HSI features F_HS; a spectral mask M_S from the HSI (self-attention: one value per
    channel) and a spatial mask M_T from the LiDAR (cross-attention) scale them; HSI, LiDAR and both products
    are concatenated, and a second extractor F_M times a second mask A_M gives the features of a convolutional
    classifier. Each part has six 3 x 3 convolutions, each with ReLU, then batch norm; the masks concatenate
    the first with the second convolution's output, and the third with the fourth's. We know of no stated
    count of parameters; this has 38.1 M for Houston 2013 (144 and 1 bands, 15 classes).

    Deviations:
        - Patches may have any size. The classifier's five convolutions without padding turn 11 x 11 pixels
          into one; in smaller patches the last of them are padded, in larger ones the remaining pixels are
          averaged.
        - With one modality there is no spatial mask: only the HSI and its masked features are joined.
        - The paper's weight penalty of 0.01 is left to the optimiser's weight decay.

    Args:
        in_channels, num_classes, patch: as for every PairClassifier.
        width: factor on all numbers of filters, for small machines; the paper has 1.
        **base: data_preprocessor, loss and modalities, as for every PairClassifier.
    """

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        patch: int = 11,
        width: float = 1.0,
        **base: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, patch, **base)

        def scaled(filters: Sequence[int]) -> list[int]:
            return [max(1, round(width * n)) for n in filters]

        bands, *others = self.pair_channels
        self.features = reads_bands(_extractor(bands, scaled(FEATURES)), *self.pair[0])
        spectral_mask = _Mask(bands, scaled(SPECTRAL_MASK), pooled=True)
        self.spectral_mask = reads_bands(spectral_mask, *self.pair[0])
        joint = bands + scaled(FEATURES)[-1]
        for auxiliary in others:
            self.spatial_mask = reads_bands(_Mask(auxiliary, scaled(SPATIAL_MASK)), *self.pair[1])
            joint += auxiliary + scaled(FEATURES)[-1]
        self.joint_features = _extractor(joint, scaled(FEATURES))
        self.joint_mask = _Mask(joint, scaled(SPATIAL_MASK))
        filters = [scaled(FEATURES)[-1], *scaled(CLASSIFIER)]
        padded = [2 * layer + 3 > patch for layer in range(len(CLASSIFIER))]  # each removes two rows
        self.classifier = nn.Sequential(
            *(
                _layer(n, following, padding)
                for n, following, padding in zip(filters, filters[1:], padded, strict=False)
            ),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            writes_classes(nn.Linear(filters[-1], num_classes)),
        )

    def pair_logits(self, spectral: Tensor, auxiliary: Tensor | None) -> dict[str, Tensor]:
        """Return ``fused`` logits ``(N, K)``."""
        features = self.features(spectral)
        given, attended = [spectral], [features * self.spectral_mask(spectral)]
        if auxiliary is not None:
            given.append(auxiliary)
            attended.append(features * self.spatial_mask(auxiliary))
        joint = torch.cat([*given, *attended], dim=1)
        return {FUSED: self.classifier(self.joint_features(joint) * self.joint_mask(joint))}


class _Mask(nn.Module):
    """Six convolutions with two concatenations; ``pooled`` gives one value per channel, ``(N, C, 1, 1)``."""

    def __init__(self, channels: int, filters: Sequence[int], pooled: bool = False) -> None:
        super().__init__()
        first, second, third, fourth, fifth, sixth = filters
        self.pooled = pooled
        self.layers = nn.ModuleList(
            [
                _layer(channels, first),
                _layer(first, second),
                _layer(first + second, third),
                _layer(third, fourth),
                _layer(third + fourth, fifth),
                _layer(fifth, sixth),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        first, second, third, fourth, fifth, sixth = self.layers
        for one, other in ((first, second), (third, fourth)):
            x = one(x)
            x = self._pool(torch.cat([x, other(x)], dim=1))
        x = self._pool(sixth(fifth(x)))
        return x.mean(dim=(2, 3), keepdim=True) if self.pooled else x

    def _pool(self, x: Tensor) -> Tensor:
        return nn.functional.max_pool2d(x, 2) if self.pooled and min(x.shape[2:]) > 1 else x


def _layer(channels: int, filters: int, padded: bool = True) -> nn.Sequential:
    convolution = nn.Conv2d(channels, filters, 3, padding=1 if padded else 0)
    return nn.Sequential(convolution, nn.ReLU(), nn.BatchNorm2d(filters))


def _extractor(channels: int, filters: Sequence[int]) -> nn.Sequential:
    widths = [channels, *filters]
    return nn.Sequential(*(_layer(n, following) for n, following in itertools.pairwise(widths)))
