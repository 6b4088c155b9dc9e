"""Augmentation of training windows: each takes ``(inputs, labels, generator)`` and returns both."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
