"""The base of frozen pretrained encoders: what they need, what they give, and how checkpoints know them.

Shape suffixes: B batch, C bands that the encoder needs, H and W rows and columns of what it is given, F
length of a feature, h and w rows and columns of patches.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.needed_bands import NeededBand


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
