"""Official-style masks: small patches of training pixels, larger ones of test pixels, in exact numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.simulation.covers import Cover
from m3amba_zoo.scenes.simulation.layout import Layout

TRAIN_SHARE, TEST_SHARE = 0.06, 0.22  # of a scene's pixels, where no counts are given
TRAIN_PATCH, TEST_PATCH = 4, 8  # pixels; Houston's training patches have 9 to 25 pixels, its test patches 30
GUARD = 3  # pixels beside the border of the zones that are labelled last


def default_counts(
    covers: Sequence[Cover], shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Training and test pixels of each class for a scene of this size: balanced training, test by prevalence.

    Args:
        covers: of the K classes.
        shape: rows and columns.

    Returns:
        Two arrays ``(K,)``.

    Raises:
        InputError: the scene has fewer than 32 pixels a class.
    """
    pixels, classes = shape[0] * shape[1], len(covers)
    if pixels < 32 * classes:
        raise InputError(
            f"a simulated scene of {shape[0]} x {shape[1]} pixels is too small for {classes} classes; "
            f"expected at least {32 * classes} pixels"
        )
    prevalence = np.sqrt([cover.prevalence for cover in covers])
    train = np.full(classes, pixels * TRAIN_SHARE / classes)
    return train.astype(np.int64), (pixels * TEST_SHARE * prevalence / prevalence.sum()).astype(np.int64)


def _choose(
    layout: Layout,
    zone: NDArray[np.bool_],
    inner: NDArray[np.bool_],
    counts: NDArray[np.int64],
    patch: int,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Take the pixels of whole patches in random order until each class has its count."""
    rows, columns = np.ogrid[: zone.shape[0], : zone.shape[1]]
    first_row, first_column = rng.integers(0, patch, 2)
    cells = (rows + first_row) // patch * zone.shape[1] + (columns + first_column) // patch
    # a patch is the part of one object within one cell of a grid
    keys = layout.units * np.int64(zone.size) + cells
    names, patches = np.unique(keys, return_inverse=True)
    draw = rng.permutation(len(names))[patches.reshape(-1)]
    chosen = np.zeros(zone.shape, bool)
    for label, count in enumerate(counts, start=1):
        pixels = np.flatnonzero(zone & (layout.classes == label))
        order = np.lexsort((draw[pixels], ~inner.flat[pixels]))
        chosen.flat[pixels[order[:count]]] = True
    return chosen


def official_masks(
    layout: Layout,
    train_counts: NDArray[np.int64],
    test_counts: NDArray[np.int64],
    rng: np.random.Generator,
) -> dict[str, NDArray[np.bool_]]:
    """Choose the labelled pixels: ``train`` in the train zone, ``test`` in the test zone.

    Pixels at the edge of an object or within ``GUARD`` of the other zone are used only where a class has too
    few others: surveyors label what they are sure of.

    Returns:
        Boolean ``(H, W)`` masks with exactly the counts, of which the layout has enough in each zone.
    """
    reach = np.ones((2 * GUARD + 1, 2 * GUARD + 1), bool)
    inner = ndimage.binary_erosion(layout.test, reach, border_value=1)
    inner |= ndimage.binary_erosion(~layout.test, reach, border_value=1)
    inner &= ndimage.minimum_filter(layout.units, 3) == ndimage.maximum_filter(layout.units, 3)
    return {
        "train": _choose(layout, ~layout.test, inner, train_counts, TRAIN_PATCH, rng),
        "test": _choose(layout, layout.test, inner, test_counts, TEST_PATCH, rng),
    }
