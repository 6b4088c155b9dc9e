"""EndNet (Hong et al. 2020): encode and fuse single pixels, classify and reconstruct them from the code."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.axes import reads_bands, writes_bands, writes_classes
from m3amba_zoo.models.patch_classifier import PatchClassifier
from m3amba_zoo.models.window_classifier import FUSED
from m3amba_zoo.registry import MODELS


@MODELS.register_module()
class EndNet(PatchClassifier):
    """Fully connected encoder-decoder network on single pixels.

    Paper: D. Hong, L. Gao, R. Hang, B. Zhang, J. Chanussot, "Deep Encoder-Decoder Networks for Classification
    of Hyperspectral and LiDAR Data", IEEE GRSL 19, 2022 (published online in 2020). Each modality's encoder
    has four layers (16, 32, 64, 128); the codes are concatenated and fused into 128; from there go a
    classifier (64, K) and a decoder per modality (64, 32, 16, C_m). The loss is the classification's plus the
    squared error of each reconstruction, which makes the fused code keep the information of both modalities;
    weight decay is the optimiser's. We know of no stated count of parameters; this has 0.092 M for Houston
    2013 (144 and 1 bands, 15 classes).

    Deviations:
        - The decoders' last layer is linear because our bands are standardised; the paper's lie in 0 .. 1 and
          end in a sigmoid.
        - The second modality enters as it is; the paper computes attribute profiles of the LiDAR raster.
        - It takes any number of modalities, one too.

    Args:
        in_channels, num_classes: as for every PatchClassifier.
        patch: must be 1.
        reconstruction: weight of the squared errors.
        **base: data_preprocessor, loss and modalities, as for every PatchClassifier.

    Raises:
        InputError: if ``patch`` is not 1.
    """

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        patch: int = 1,
        reconstruction: float = 1.0,
        **base: Any,
    ) -> None:
        if patch != 1:
            raise InputError(f"EndNet classifies single pixels: patch is {patch}, expected 1")
        super().__init__(in_channels, num_classes, patch, **base)
        self.reconstruction = reconstruction
        bands = self.treated_channels
        self.encoders = nn.ModuleDict(
            {m: reads_bands(_layers(n, 16, 32, 64, 128), m) for m, n in bands.items()}
        )
        self.fusion = _layers(128 * len(bands), 128)
        self.classifier = writes_classes(nn.Sequential(_layers(128, 64), nn.Linear(64, num_classes)))
        self.decoders = nn.ModuleDict(
            {m: writes_bands(_decoder(128, 64, 32, 16, n), m) for m, n in bands.items()}
        )

    def patch_logits(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``fused`` logits ``(N, K)`` of pixels ``(N, C_m, 1, 1)``."""
        return {FUSED: self.classifier(self._code(inputs))}

    def patch_losses(self, inputs: Mapping[str, Tensor], labels_N: Tensor) -> dict[str, Tensor]:
        """Return the classification's terms and ``loss_reconstruct_<modality>``, of labelled pixels alone."""
        code = self._code(inputs)
        losses = self.loss({FUSED: self.classifier(code)[:, :, None, None]}, labels_N[:, None, None])
        labelled = labels_N > 0
        for modality, decoder in self.decoders.items():
            error = F.mse_loss(decoder(code).float(), inputs[modality].flatten(1).float(), reduction="none")
            mean = (error.mean(1) * labelled).sum() / labelled.sum().clamp(min=1)
            losses[f"loss_reconstruct_{modality}"] = self.reconstruction * mean
        return losses

    def _code(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the fused code ``(N, 128)``."""
        codes = [encoder(inputs[modality].flatten(1)) for modality, encoder in self.encoders.items()]
        return self.fusion(torch.cat(codes, dim=1))


def _layers(*sizes: int) -> nn.Sequential:
    """Return fully connected layers, each with batch norm and ReLU."""
    layers: list[nn.Module] = []
    for size, following in itertools.pairwise(sizes):
        layers += [nn.Linear(size, following), nn.BatchNorm1d(following), nn.ReLU()]
    return nn.Sequential(*layers)


def _decoder(*sizes: int) -> nn.Sequential:
    """Return fully connected layers with sigmoids between."""
    layers: list[nn.Module] = []
    for size, following in itertools.pairwise(sizes):
        layers += [nn.Linear(size, following), nn.Sigmoid()]
    return nn.Sequential(*layers[:-1])
