"""Random fields: smooth variation over a scene."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def smooth_field(shape: tuple[int, ...], scale: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw a field of mean 0 and standard deviation 1 that varies over about ``scale`` pixels.

    Normal deviates on a coarse grid are interpolated by cubic splines, so the cost does not grow with scale.

    Args:
        shape: rows and columns ``(H, W)``.
        scale: spacing of the coarse grid in pixels, at least 1.
        rng: draws the deviates.

    Returns:
        ``(H, W)`` float32.
    """
    rows, columns = (int(np.ceil(side / scale)) + 4 for side in shape)
    grid = rng.standard_normal((rows, columns), dtype=np.float32)
    # a random offset of the pixels against the grid hides the grid; a spare grid line keeps clear of the edge
    first_row, first_column = 1 + rng.random(2)
    spline = ndimage.spline_filter(grid, order=3, output=np.float32)
    field = ndimage.affine_transform(
        spline,
        matrix=np.array([1 / scale, 1 / scale]),
        offset=(first_row, first_column),
        output_shape=shape,
        output=np.float32,
        order=3,
        prefilter=False,
    )
    field -= field.mean()
    return field / max(float(field.std()), 1e-6)
