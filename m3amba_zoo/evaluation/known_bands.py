"""What a model knows of the bands that it was trained on; it travels in metrics.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from m3amba_zoo.rasters.matching import KnownBands
from m3amba_zoo.splits.scene_data import SceneData


def known_bands(data: SceneData, modalities: Sequence[str]) -> dict[str, KnownBands]:
    """Describe each modality's bands, with mean and deviation over the training pixels that have them.

    How many of these pixels lack the modality is counted. Those that an encoder reads, whose features the
    model reads, are described, too.

    Args:
        data: the scenes and the split of the training.
        modalities: that the model reads.
    """
    known = {}
    encoded = {m: data.encoded[m] for m in modalities if m in data.encoded}
    read = [*modalities, *(source for of in encoded.values() for source in of.read_from)]
    for modality in dict.fromkeys(read):
        described = KnownBands.of(data.scenes[0].rasters[modality], data.requests.get(modality))
        pixels = np.concatenate(
            [scene.rasters[modality].pixels(mask) for scene, mask in data.split.parts(data.scenes, "train")]
        )
        present = ~np.isnan(pixels)
        lacking = int((~present.any(axis=1)).sum()), len(pixels)
        described = replace(described, lacking=lacking)
        if present.any(axis=0).all():
            mean = np.mean(pixels, 0, np.float64, where=present)
            std = np.std(pixels, 0, np.float64, where=present)
            described = replace(described, mean=_rounded(mean), std=_rounded(std))
        if modality in encoded:
            of = encoded[modality]
            described = replace(described, fingerprint=of.fingerprint, read_from=of.read_from)
        known[modality] = described
    return known


def _rounded(values: ArrayLike) -> tuple[float, ...]:
    """Return values with the digits that a comparison by eye needs."""
    return tuple(float(f"{value:.6g}") for value in np.asarray(values))
