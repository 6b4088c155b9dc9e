"""The table of areas per class."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.transform import Affine

from m3amba_zoo.rasters.crs import metres_per_unit
from m3amba_zoo.scenes.scene import LandClass
from m3amba_zoo.system import whole_file

SQUARE_METRES_PER_HECTARE = 10_000
ROWS_AT_ONCE = 1024
FEWEST_DIGITS = 4


def write_areas(
    path: Path,
    class_map: NDArray[np.uint8],
    classes: Sequence[LandClass],
    crs: str | None,
    transform: Affine | None,
) -> None:
    """Write pixels, share and area of each class as CSV, without those that have no class.

    Areas are hectares where the CRS is projected, with as many digits as a pixel needs; in degrees or without
    a place they stay empty.

    Raises:
        InputError: if the file cannot be written.
    """
    counts = np.zeros(len(classes) + 1, np.int64)
    for top in range(0, len(class_map), ROWS_AT_ONCE):
        counts += np.bincount(class_map[top : top + ROWS_AT_ONCE].ravel(), minlength=len(counts))
    hectares = pixel_hectares(crs, transform)
    digits = hectare_digits(hectares, FEWEST_DIGITS)
    total = max(int(counts[1:].sum()), 1)
    with whole_file(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["class", "name", "pixels", "share", "hectares"])
        for number, (entry, count) in enumerate(zip(classes, counts[1:].tolist(), strict=True), start=1):
            area = "" if hectares is None else f"{count * hectares:.{digits}f}"
            table.writerow([number, entry.name, count, f"{count / total:.6f}", area])


def pixel_hectares(crs: str | None, transform: Affine | None) -> float | None:
    """Return the area of a pixel in hectares; None unless the CRS is projected."""
    metres = metres_per_unit(crs)
    if transform is None or metres is None:
        return None
    return abs(transform.determinant) * metres**2 / SQUARE_METRES_PER_HECTARE


def hectare_digits(hectares: float | None, fewest: int) -> int:
    """Return the digits behind the point with which the area of one pixel, in hectares, is not 0.

    Args:
        hectares: of a pixel, or None.
        fewest: digits at least.
    """
    return max(fewest, math.ceil(-math.log10(hectares))) if hectares else fewest
