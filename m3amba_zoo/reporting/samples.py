"""The sample of pixels whose spectrum and probabilities a page holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.rasters import Raster
from m3amba_zoo.reporting.page import pack

SEED = 0
STEPS = 65534
"""Values are stored as whole numbers from 0 to this, over the range of a modality's sampled values."""
UNKNOWN = 65535

Places = tuple[NDArray[np.intp], NDArray[np.intp]]


def choose(labels: NDArray, class_map: NDArray, count: int) -> Places:
    """Draw pixels without replacement: up to half labelled ones, each class alike, the rest from anywhere.

    The draw is the same at every call and touches no other generator.

    Args:
        labels: ``(H, W)``, 0 unlabelled.
        class_map: ``(H, W)``, 0 not predicted; pixels that have neither are never drawn.
        count: of pixels; fewer if there are not so many.

    Returns:
        Rows and columns, in row-major order.
    """
    generator = np.random.default_rng(SEED)
    flat = labels.ravel()
    present = np.unique(flat[flat > 0])
    drawn = [
        _draw(generator, np.flatnonzero(flat == number), count // 2 // len(present)) for number in present
    ]
    taken = np.zeros(flat.size, bool)
    taken[np.concatenate([np.zeros(0, np.intp), *drawn])] = True
    rest = np.flatnonzero(((flat > 0) | (class_map.ravel() > 0)) & ~taken)
    taken[_draw(generator, rest, count - int(taken.sum()))] = True
    rows, columns = np.nonzero(taken.reshape(labels.shape))
    return rows, columns


def pack_samples(
    places: Places, rasters: Mapping[str, Raster], probabilities: NDArray[np.float32] | None
) -> dict[str, Any]:
    """Return a sample as JSON.

    Args:
        places: rows and columns in the picture.
        rasters: of the picture, by modality.
        probabilities: ``(n, K)``, NaN where unknown; or None.
    """
    rows, columns = places
    mask = np.zeros(next(iter(rasters.values())).shape if rasters else (0, 0), bool)
    if rasters:
        mask[rows, columns] = True  # row-major, as ``places`` are
    return {
        "count": len(rows),
        "y": pack(rows.astype(np.uint16)),
        "x": pack(columns.astype(np.uint16)),
        "spectra": {name: _numbers(raster.pixels(mask)) for name, raster in rasters.items()},
        "probabilities": None if probabilities is None else _numbers(probabilities),
    }


def _numbers(values: NDArray[np.float32]) -> dict[str, Any]:
    """Return values ``(n, C)`` as uint16 over their range; ``UNKNOWN`` where they are NaN."""
    known = np.isfinite(values)
    low, high = (float(end(values[known])) for end in (np.min, np.max)) if known.any() else (0.0, 1.0)
    span = (high - low) or 1.0
    scaled = np.round((np.where(known, values, low).astype(np.float64) - low) / span * STEPS)
    numbers = np.where(known, scaled, UNKNOWN).astype(np.uint16)
    return {"values": pack(numbers), "low": low, "step": span / STEPS, "bands": values.shape[1]}


def _draw(generator: np.random.Generator, places: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    return places if len(places) <= count else generator.choice(places, count, replace=False)
