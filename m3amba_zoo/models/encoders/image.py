"""The base of encoders of photographs: three bands, a size, a mean and a deviation, half precision.

Shape suffixes: B batch, H and W rows and columns of what is given, G side of an image, F length of a feature,
h and w rows and columns of patches.
"""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.encoders.encoder import PSEUDO_RGB, Encoder, Needs, activations_of

AUTO, FLOAT32, BFLOAT16 = "auto", "float32", "bfloat16"


class ImageEncoder(Encoder):
    """Base of encoders of photographs; define ``embed_patches``, and ``embed``.

    Args:
        network, description, licence, feature_dim, weights_file: as for every encoder.
        image_size: G, of the network's training.
        mean, std: of the three bands of the network's training, in the range 0 to 1.
        rgb: None takes images that somebody made of any bands. ``(low, high)`` takes red, green and blue of
            the scene itself, found by their wavelengths or names, in windows of any size: values from ``low``
            to ``high``, in the unit that the raster has, become 0 to 1, then mean 0 and deviation 1 by
            ``mean`` and ``std``, and the window is resized to ``image_size``. Nothing trains before such an
            encoder, and its features can be kept.
        precision: ``float32``; ``bfloat16``, in which matrices are multiplied; or ``auto``: bfloat16 on GPUs
            that have it, float32 elsewhere.
        settings: of a subclass that change its features and are in no weight, as JSON values, for the
            fingerprint. Mean, deviation, ``rgb``, ``image_size`` and the activations are in it without them.

    Raises:
        InputError: if ``rgb`` or ``precision`` is something else.
    """

    def __init__(
        self,
        network: nn.Module,
        description: str,
        licence: str | None,
        feature_dim: int,
        image_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        rgb: Sequence[float] | None = None,
        precision: str = AUTO,
        weights_file: Path | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        if precision not in (AUTO, FLOAT32, BFLOAT16):
            raise InputError(
                f"{type(self).__name__}: precision is '{precision}', expected '{AUTO}', '{FLOAT32}' or "
                f"'{BFLOAT16}'"
            )
        if rgb is not None and not (len(rgb) == 2 and rgb[0] < rgb[1]):
            raise InputError(f"{type(self).__name__}: rgb is {list(rgb)}, expected [low, high] or None")
        needs = PSEUDO_RGB
        if rgb is not None:
            spread = (float(rgb[0]), float(rgb[1]))
            needs = Needs(tuple(replace(band, spread=spread) for band in needs.bands))
        super().__init__(
            network,
            description,
            licence,
            feature_dim,
            image_size=None if rgb else image_size,
            needs=needs,
            weights_file=weights_file,
            settings={
                "mean": list(mean),
                "std": list(std),
                "image_size": image_size,
                "rgb": None if rgb is None else list(rgb),
                "activations": activations_of(network),
                **(settings or {}),
            },
        )
        self.side, self.rgb, self.precision = image_size, rgb, precision
        self.mean, self.std = tuple(mean), tuple(std)

    def embed(self, image_B3GG: Tensor) -> Tensor:
        """Return the global feature ``(B, F)``: the mean over patches, unless a subclass knows better."""
        return self.embed_patches(image_B3GG).mean(dim=(2, 3))

    @abstractmethod
    def embed_patches(self, image_B3GG: Tensor) -> Tensor:
        """Return the spatial feature ``(B, F, h, w)``."""

    def forward(self, x_BCHW: Tensor, month: Tensor | None = None, metres: float | None = None) -> Tensor:
        """Encode images ``(B, 3, G, G)`` to ``(B, F)``, or windows ``(B, 3, H, W)`` if ``rgb`` is given."""
        image = self._image(x_BCHW)
        with self._half(image):
            return self.embed(image).to(x_BCHW.dtype)

    def patches(self, x_BCHW: Tensor, month: Tensor | None = None, metres: float | None = None) -> Tensor:
        """Encode images ``(B, 3, G, G)`` to ``(B, F, h, w)``, or windows if ``rgb`` is given."""
        image = self._image(x_BCHW)
        with self._half(image):
            return self.embed_patches(image).to(x_BCHW.dtype)

    def normalised(self, image_B3GG: Tensor) -> Tensor:
        """Subtract the mean and divide by the deviation of the network's training."""
        shape = (1, 3, 1, 1)
        return (image_B3GG - image_B3GG.new_tensor(self.mean).view(shape)) / image_B3GG.new_tensor(
            self.std
        ).view(shape)

    def _image(self, x_BCHW: Tensor) -> Tensor:
        if self.rgb is None:
            return x_BCHW
        low, high = self.rgb
        image = self.normalised(((x_BCHW - low) / (high - low)).clamp(0, 1)).nan_to_num(nan=0.0)
        return F.interpolate(image, (self.side, self.side), mode="bicubic", align_corners=False)

    def _half(self, x: Tensor) -> contextlib.AbstractContextManager:
        # torch emulates bfloat16 on GPUs before 8.0, slowly
        on_gpu = x.device.type == "cuda" and torch.cuda.get_device_capability(x.device) >= (8, 0)
        if self.precision == BFLOAT16 or (self.precision == AUTO and on_gpu):
            return torch.autocast(x.device.type, torch.bfloat16)
        return contextlib.nullcontext()


def resized_positions(positions: Tensor, side: int, prefix: int = 1) -> Tensor:
    """Resize the positional embeddings of a square of patches, bicubically with antialiasing.

    Args:
        positions: ``(prefix + n n, width)``.
        side: patches per row and column of the square that is wanted.
        prefix: embeddings before those of the patches, which stay as they are.
    """
    first, patches = positions[:prefix], positions[prefix:]
    before = round(len(patches) ** 0.5)
    if before == side:
        return positions
    square = patches.view(1, before, before, -1).permute(0, 3, 1, 2)
    square = F.interpolate(square, (side, side), mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([first, square.permute(0, 2, 3, 1).reshape(side * side, -1)])
