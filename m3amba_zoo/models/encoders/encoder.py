"""The bases of frozen pretrained encoders: what they need, what they give, and how checkpoints know them.

Encoders of photographs take three bands, a size, a mean and a deviation, and run in half precision.

Shape suffixes: B batch, C bands that the encoder needs, H and W rows and columns of what it is given, G side
of an image, F length of a feature, h and w rows and columns of patches.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.needed_bands import NeededBand

AUTO, FLOAT32, BFLOAT16 = "auto", "float32", "bfloat16"


@dataclass(frozen=True)
class Needs:
    """What an encoder must be given.

    Args:
        bands: in the order of the encoder's input.
        pseudo_rgb: whether the bands are red, green and blue of photographs, for which any three images may
            stand in. Else they are those of named sensors, in their units.
        month: whether the month of acquisition is read.
        metres: whether the size of a pixel is read.
    """

    bands: tuple[NeededBand, ...]
    pseudo_rgb: bool = False
    month: bool = False
    metres: bool = False


PSEUDO_RGB = Needs(
    tuple(
        NeededBand(name, wavelength, tolerance=50.0)
        for name, wavelength in (("red", 665.0), ("green", 560.0), ("blue", 490.0))
    ),
    pseudo_rgb=True,
)
"""What encoders of photographs need; the wavelengths are those of Sentinel-2's B4, B3 and B2.

Cameras differ more than satellites do: their blue lies between 440 and 500 nm.
"""

ACTIVATION = re.compile(r"elu|swish|silu|mish|tanh|sigmoid|softplus", re.IGNORECASE)  # in a module's class


class _Frozen:
    """Holds a network that is no submodule: parameters(), state_dict() and train() leave it out.

    Copies of a model, such as the one whose weights are averaged, share it.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def __deepcopy__(self, memo: dict[int, Any]) -> _Frozen:
        return self


class Encoder(nn.Module, ABC):
    """Base of the encoders in ``BACKBONES``: a frozen network, known by its fingerprint.

    The network is in no optimiser and no checkpoint, because its weights are published elsewhere or follow
    from a seed, and it stays in evaluation mode. Checkpoints store only its fingerprint, and refuse another
    encoder. Gradients pass through the network to its input.

    Args:
        network: with its weights.
        description: what it is, and where its weights came from.
        licence: of the weights; None where it is not known.
        feature_dim: F.
        image_size: rows and columns of the images that it takes; None where it takes windows at their own
            size.
        needs: what it must be given.
        weights_file: that the weights were read from; None for random ones.
        settings: that change the features and are in no weight, as JSON values.

    Attributes:
        fingerprint: sha256 of the network's weights and settings, ``(32,)`` uint8.
    """

    fingerprint: Tensor

    def __init__(
        self,
        network: nn.Module,
        description: str,
        licence: str | None,
        feature_dim: int,
        image_size: int | None,
        needs: Needs = PSEUDO_RGB,
        weights_file: Path | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.weights_file = weights_file
        self.description, self.licence = description, licence
        self.feature_dim, self.image_size, self.needs = feature_dim, image_size, needs
        network.eval()  # whose result is no module in mmpretrain
        self._frozen = _Frozen(network.requires_grad_(False))
        self.register_buffer("fingerprint", fingerprint_of(network, settings or {}))
        print_log(f"encoder: {description}", "current", logging.INFO)

    @property
    def network(self) -> Any:
        """The frozen network."""
        return self._frozen.network

    def forward(self, x_BCHW: Tensor, month: Tensor | None = None, metres: float | None = None) -> Tensor:
        """Return the global feature ``(B, F)``: the mean over patches, unless a subclass knows better.

        Args:
            x_BCHW: the bands of ``needs.bands`` ``(B, C, H, W)``, in their units; a band that is optional and
                absent is NaN. H and W are ``image_size`` where there is one.
            month: of acquisition, 1 to 12, ``(B,)``; for encoders that read it.
            metres: rows and columns of a pixel on the ground; for encoders that read it.
        """
        return self.patches(x_BCHW, month, metres).mean(dim=(2, 3))

    @abstractmethod
    def patches(self, x_BCHW: Tensor, month: Tensor | None = None, metres: float | None = None) -> Tensor:
        """Return the spatial feature ``(B, F, h, w)``; the arguments are those of ``forward``."""

    def _apply(self, fn: Any, recurse: bool = True) -> Encoder:
        super()._apply(fn, recurse)
        self.network._apply(fn, recurse)
        return self

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        stored = state_dict.get(f"{prefix}fingerprint")
        if stored is not None and not torch.equal(stored.cpu(), self.fingerprint.cpu()):
            raise InputError(
                f"the checkpoint was trained with another encoder than this one ({self.description}): "
                "the fingerprints of their weights and settings differ"
            )
        super()._load_from_state_dict(state_dict, prefix, *args)


def fingerprint_of(network: nn.Module, settings: Mapping[str, Any]) -> Tensor:
    """Return the sha256 of a network's weights, their names, and settings if any, ``(32,)`` uint8."""
    digest = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    if settings:
        digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
    return torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8).clone()


def activations_of(network: nn.Module) -> list[str]:
    """Return the kinds of a network's activations, such as ``GELU``, which no weight tells."""
    kinds = set()
    for module in network.modules():
        kind, variant = type(module).__name__, getattr(module, "approximate", "none")
        if ACTIVATION.search(kind) and not any(module.children()):
            kinds.add(f"{kind}({variant})" if variant in ("tanh", True) else kind)
    return sorted(kinds)


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


def resized_positions(positions: Tensor, side: int) -> Tensor:
    """Resize the positional embeddings of a square of patches, bicubically with antialiasing.

    Args:
        positions: ``(1 + n n, width)``; the first is that of the class token, which stays as it is.
        side: patches per row and column of the square that is wanted.
    """
    first, patches = positions[:1], positions[1:]
    before = round(len(patches) ** 0.5)
    if before == side:
        return positions
    square = patches.view(1, before, before, -1).permute(0, 3, 1, 2)
    square = F.interpolate(square, (side, side), mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([first, square.permute(0, 2, 3, 1).reshape(side * side, -1)])
