"""What is made of classified rows: the class map, probabilities, uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.transform import Affine
from scipy.special import entr

from m3amba_zoo.maps.geotiff import Layout, class_layout
from m3amba_zoo.scenes.scene import LandClass

NO_PERCENT = 255
MAP, PROBABILITIES, UNCERTAINTY = "map", "probabilities", "uncertainty"
RASTERS = (MAP, PROBABILITIES, UNCERTAINTY)


class Product(NamedTuple):
    """A raster that is made of classified rows.

    Attributes:
        dtype: of its pixels until it is finished, ``uint8`` or ``float32``.
        layout: of its file.
        make: from class map ``(h, W)`` and probabilities ``(K, h, W)`` to bands ``(C, h, W)``.
    """

    dtype: str
    layout: Layout
    make: Callable[[NDArray[np.uint8], NDArray[np.float32]], NDArray]


def product(
    name: str,
    classes: Sequence[LandClass],
    crs: str | None,
    transform: Affine | None,
    tags: Mapping[str, str],
    half: bool = False,
) -> Product:
    """Return a product.

    Probabilities and uncertainty are percent (uint8, 255 without a prediction), or shares (float16, NaN
    without a prediction). Uncertainty has two bands: ``entropy``, of the probabilities, divided by that of
    equal probabilities; and ``margin``, between the two largest probabilities.

    Args:
        name: one of ``RASTERS``.
        classes: the K classes.
        crs: of the map, or None.
        transform: of the map, or None.
        tags: of the file.
        half: float16 rather than percent.
    """
    if name == MAP:
        return Product("uint8", class_layout(classes, crs, transform, tags), lambda c, p: c[None])
    shares = (lambda p: p) if name == PROBABILITIES else _uncertainty
    bands = [entry.name for entry in classes] if name == PROBABILITIES else ["entropy", "margin"]
    unit = "share, 0 to 1" if half else "percent"
    nodata = np.nan if half else NO_PERCENT
    layout = Layout(bands, nodata, crs, transform, tags={**tags, "UNIT": unit}, half=half)

    def make(class_map: NDArray[np.uint8], probabilities: NDArray[np.float32]) -> NDArray:
        values = shares(probabilities)
        if half:  # as rounded by numpy: GDAL would cut digits off
            values = values.astype(np.float16).astype(np.float32)
        else:
            values = np.rint(100 * values).astype(np.uint8)
        values[:, class_map == 0] = nodata
        return values

    return Product("float32" if half else "uint8", layout, make)


def normalised_entropy(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the entropy of probabilities ``(K, ...)``, divided by that of equal ones: 0 to 1."""
    return np.clip(entr(probabilities).sum(0) / np.log(max(len(probabilities), 2)), 0, 1)


def _uncertainty(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return entropy and margin ``(2, h, W)`` of probabilities ``(K, h, W)``."""
    largest = np.partition(probabilities, len(probabilities) - 2, axis=0)[-2:]
    return np.stack([normalised_entropy(probabilities), largest[1] - largest[0]])
