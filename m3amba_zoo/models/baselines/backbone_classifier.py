"""Any backbone, such as those of mmpretrain, as a dense classifier of windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.axes import LAYERS, reads_bands, writes_classes
from m3amba_zoo.models.window_classifier import FUSED, WindowClassifier
from m3amba_zoo.registry import BACKBONES, MODELS


@MODELS.register_module()
class BackboneClassifier(WindowClassifier):
    """Any backbone on all modalities' bands side by side, with a small head for every pixel.

    Paper: that of the backbone; the head follows hypercolumns (Hariharan et al., CVPR 2015, arXiv 1411.5752):
    the maps of all ``out_indices`` are interpolated to the window, concatenated, and classified by two 1 x 1
    convolutions. Names of mmpretrain need its scope, ``dict(type="mmpretrain.ConvNeXt", ...)``; backbones
    registered here need none. The number of parameters is the backbone's, plus ``hidden`` times its number of
    output channels for the head.

    Deviations:
        - The backbone starts from random weights because pretrained ones are for three bands.
        - Its layers that no map of ``out_indices`` depends on are frozen.

    Args:
        in_channels, num_classes: as for every WindowClassifier.
        backbone: config; ``in_channels`` is added to it.
        window: rows and columns of the windows.
        hidden: channels of the head's hidden layer.
        **base: data_preprocessor, loss, posterior and modalities, as for every WindowClassifier.

    Raises:
        InputError: if there is no such backbone, or it does not return feature maps ``(B, C, h, w)`` of a
            window.
    """

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        backbone: dict,
        window: int,
        hidden: int = 64,
        **base: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, **base)
        bands = sum(self.treated_channels.values())
        self.backbone = BACKBONES.build(backbone, default_args={"in_channels": bands})
        channels = self._try_out(torch.zeros(1, bands, window, window))
        self.head = nn.Sequential(
            nn.Conv2d(channels, hidden, 1),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            writes_classes(nn.Conv2d(hidden, num_classes, 1)),
        )

    def _try_out(self, window: Tensor) -> int:
        """Return the number of channels of the backbone's outputs.

        Marks its layers that read bands, and freezes what its outputs do not depend on: processes that train
        together wait for a gradient of every other parameter.
        """

        def note(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
            if given[0] is window:
                reads_bands(layer, *self.in_channels)

        layers = [layer for layer in self.backbone.modules() if isinstance(layer, LAYERS)]
        hooks = [layer.register_forward_pre_hook(note) for layer in layers]
        training = self.backbone.training
        self.backbone.eval()  # a forward in training would change the running means of BatchNorm
        try:
            maps = self.backbone(window)
        except RuntimeError as error:
            raise InputError(
                f"{type(self.backbone).__name__} cannot read windows of {window.shape[-1]} pixels: {error}"
            ) from error
        finally:
            self.backbone.train(training)
            for hook in hooks:
                hook.remove()
        for x in maps:
            if not isinstance(x, Tensor) or x.dim() != 4:
                found = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
                raise InputError(
                    f"{type(self.backbone).__name__} returns {found}, feature maps (B, C, h, w) are expected "
                    "(ConvNeXt: gap_before_final_norm=False; VisionTransformer: out_type='featmap')"
                )
        trained = [parameter for parameter in self.backbone.parameters() if parameter.requires_grad]
        if trained:
            read = torch.autograd.grad(sum(x.sum() for x in maps), trained, allow_unused=True)
            for parameter, gradient in zip(trained, read, strict=True):
                parameter.requires_grad_(gradient is not None)
        return sum(x.shape[1] for x in maps)

    def logits(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``fused`` logits ``(B, K, S, S)``."""
        x = torch.cat([inputs[m] for m in self.in_channels], dim=1)
        size = x.shape[-2:]
        maps = [F.interpolate(y, size, mode="bilinear", align_corners=False) for y in self.backbone(x)]
        return {FUSED: self.head(torch.cat(maps, dim=1))}
