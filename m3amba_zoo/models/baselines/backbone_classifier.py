"""Any backbone of mmpretrain, reached by its scope, as a dense classifier of windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.window_classifier import FUSED, WindowClassifier
from m3amba_zoo.registry import BACKBONES, MODELS


@MODELS.register_module()
class BackboneClassifier(WindowClassifier):
    """Any backbone on all modalities' bands side by side, with a small head for every pixel.

    Paper: that of the backbone; the head follows hypercolumns (Hariharan et al., CVPR 2015, arXiv 1411.5752):
    the maps of all ``out_indices`` are interpolated to the window, concatenated, and classified by two 1 x 1
    convolutions. Names of mmpretrain need its scope, ``dict(type="mmpretrain.ConvNeXt", ...)``; backbones
    registered here need none. The number of parameters is the backbone's and ``hidden`` times that of its
    channels.

    Deviations:
        - The backbone starts from random weights: pretrained ones are for three bands.

    Args:
        in_channels, num_classes, data_preprocessor, loss, posterior: as for every WindowClassifier.
        backbone: config; ``in_channels`` is added to it.
        window: rows and columns of the windows, on which the backbone's outputs are measured.
        hidden: channels of the head's hidden layer.

    Raises:
        InputError: no such backbone; one that does not return feature maps ``(B, C, h, w)`` for this window.
    """

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        backbone: dict,
        window: int,
        hidden: int = 64,
        data_preprocessor: nn.Module | dict | None = None,
        loss: dict | None = None,
        posterior: dict | None = None,
    ) -> None:
        super().__init__(in_channels, num_classes, data_preprocessor, loss, posterior)
        bands = sum(self.treated_channels.values())
        self.backbone = BACKBONES.build(backbone, default_args={"in_channels": bands})
        channels = self._feature_channels(bands, window)
        self.head = nn.Sequential(
            nn.Conv2d(channels, hidden, 1),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, num_classes, 1),
        )

    def _feature_channels(self, bands: int, window: int) -> int:
        """Return how many channels the backbone's outputs have together."""
        training = self.backbone.training
        self.backbone.eval()  # a forward in training would enter the running means of BatchNorm
        try:
            with torch.no_grad():
                maps = self.backbone(torch.zeros(1, bands, window, window))
        except RuntimeError as error:
            raise InputError(
                f"{type(self.backbone).__name__} cannot read windows of {window} pixels: {error}"
            ) from error
        finally:
            self.backbone.train(training)
        for x in maps:
            if not isinstance(x, Tensor) or x.dim() != 4:
                found = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
                raise InputError(
                    f"{type(self.backbone).__name__} returns {found}, feature maps (B, C, h, w) are expected "
                    "(ConvNeXt: gap_before_final_norm=False; VisionTransformer: out_type='featmap')"
                )
        return sum(x.shape[1] for x in maps)

    def logits(self, inputs: Mapping[str, Tensor], clip_features: Any = None) -> dict[str, Tensor]:
        """Return ``fused`` logits ``(B, K, S, S)``."""
        x = torch.cat([inputs[m] for m in self.in_channels], dim=1)
        size = x.shape[-2:]
        maps = [F.interpolate(y, size, mode="bilinear", align_corners=False) for y in self.backbone(x)]
        return {FUSED: self.head(torch.cat(maps, dim=1))}
