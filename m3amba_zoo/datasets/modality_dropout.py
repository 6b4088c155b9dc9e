"""Modality dropout: training windows without some of their modalities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import TRANSFORMS

Inputs = dict[str, NDArray[np.float32]]
Labels = NDArray[np.int64]


@TRANSFORMS.register_module()
class ModalityDropout:
    """Takes modalities out of training windows, so that a network learns to do without one.

    Each modality of a window is dropped with a probability, independently of the others (as in ModDrop:
    Neverova et al., IEEE TPAMI 38:1692, 2016). It is then NaN everywhere, as where no raster shows it: the
    preprocessor puts its mean there. Where all would be dropped, one that has a value stays, each as likely
    as the others; of M modalities one is thus dropped with the probability p - p^M / M. Windows of one
    modality stay as they are.

    Args:
        probability: p, 0 to below 1.

    Raises:
        InputError: if ``probability`` is out of range.
    """

    def __init__(self, probability: float = 0.2) -> None:
        if (
            isinstance(probability, bool)
            or not isinstance(probability, (int, float))
            or not 0 <= probability < 1
        ):
            raise InputError(f"ModalityDropout: probability is {probability!r}, expected 0 to below 1")
        self.probability = float(probability)

    def __call__(
        self, inputs: Inputs, labels: Labels, generator: np.random.Generator
    ) -> tuple[Inputs, Labels]:
        """Drop modalities of ``(C, S, S)`` rasters; the labels ``(S, S)`` stay."""
        dropped = generator.random(len(inputs)) < self.probability
        chosen = int(generator.integers(2**32))
        lost = {modality for modality, drop in zip(inputs, dropped, strict=True) if drop}
        if not lost:
            return inputs, labels
        shown = [modality for modality, x in inputs.items() if not np.isnan(x).all()]
        if shown and lost.issuperset(shown):
            lost.discard(shown[chosen % len(shown)])
        return {m: np.full_like(x, np.nan) if m in lost else x for m, x in inputs.items()}, labels
