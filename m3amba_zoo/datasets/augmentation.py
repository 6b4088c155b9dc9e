"""Augmentation of training windows: each takes ``(inputs, labels, generator)`` and returns both."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import TRANSFORMS

Inputs = dict[str, NDArray[np.float32]]
Labels = NDArray[np.int64]


@TRANSFORMS.register_module()
class FlipRotate:
    """One of the eight symmetries of the square, the same for all modalities and the labels."""

    def __call__(
        self, inputs: Inputs, labels: Labels, generator: np.random.Generator
    ) -> tuple[Inputs, Labels]:
        """Transform ``(C, S, S)`` rasters and ``(S, S)`` labels."""
        turns, flip = int(generator.integers(4)), bool(generator.integers(2))

        def move(x: NDArray) -> NDArray:
            x = np.rot90(x, turns, axes=(-2, -1))
            return x[..., ::-1] if flip else x

        return {m: move(x) for m, x in inputs.items()}, move(labels)


@TRANSFORMS.register_module()
class Illumination:
    """Multiply a modality by one random gain a window, as light and slope do between places.

    Args:
        modality: which raster.
        gain: standard deviation of the natural logarithm of the gain.
    """

    def __init__(self, modality: str, gain: float) -> None:
        self.modality, self.gain = modality, gain

    def __call__(
        self, inputs: Inputs, labels: Labels, generator: np.random.Generator
    ) -> tuple[Inputs, Labels]:
        """Scale one ``(C, S, S)`` raster."""
        _check(self.modality, inputs)
        factor = np.float32(np.exp(generator.normal(0.0, self.gain)))
        return {**inputs, self.modality: inputs[self.modality] * factor}, labels


@TRANSFORMS.register_module()
class BandNoise:
    """Add Gaussian noise, relative to each band's spread in the window.

    Args:
        modality: which raster.
        level: standard deviation in units of the band's standard deviation over the window.
    """

    def __init__(self, modality: str, level: float) -> None:
        self.modality, self.level = modality, level

    def __call__(
        self, inputs: Inputs, labels: Labels, generator: np.random.Generator
    ) -> tuple[Inputs, Labels]:
        """Disturb one ``(C, S, S)`` raster."""
        _check(self.modality, inputs)
        x = inputs[self.modality]
        spread = np.nan_to_num(np.nanstd(x, axis=(1, 2), keepdims=True))
        noise = generator.standard_normal(x.shape, dtype=np.float32)
        return {**inputs, self.modality: x + self.level * spread * noise}, labels


def _check(modality: str, inputs: Inputs) -> None:
    if modality not in inputs:
        raise InputError(f"augmentation names modality '{modality}', the windows have {', '.join(inputs)}")
