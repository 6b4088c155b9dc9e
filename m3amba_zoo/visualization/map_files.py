"""Class maps and probabilities as GeoTIFF.

A map is made in memory, written aside and renamed, so a file exists in full or not at all.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile
from rasterio.transform import Affine

from m3amba_zoo.scenes.scene import UNLABELLED, LandClass, check_number_of_classes
from m3amba_zoo.system import whole_file

Rgba = tuple[int, int, int, int]
OF_EARLIER_FILE = (".ovr", ".aux.xml", ".msk", ".ovr.aux.xml", ".msk.ovr")
"""Overviews, statistics, names and masks of a raster in files of their own; they would hide the new one's."""


def write_class_map(
    path: str | Path,
    classes: NDArray[np.uint8],
    land_classes: Sequence[LandClass],
    crs: str | None = None,
    transform: Affine | None = None,
) -> None:
    """Write a class map as GeoTIFF with a colour table; tags ``CLASS_1``, ``CLASS_2``, ... name the classes.

    Args:
        path: the file to write or replace.
        classes: ``(H, W)`` uint8, 0 unlabelled (written as nodata), 1..K the classes.
        land_classes: the K classes in order, 255 at most.
        crs: see ``Scene``.
        transform: see ``Scene``.

    Raises:
        InputError: if the file cannot be written, or there are more than 255 classes.
    """
    check_number_of_classes(str(path), len(land_classes))
    colors: dict[int, Rgba] = {UNLABELLED: (0, 0, 0, 0)}
    colors |= {index: (*entry.color, 255) for index, entry in enumerate(land_classes, start=1)}
    names = {f"CLASS_{index}": entry.name for index, entry in enumerate(land_classes, start=1)}
    _write(path, _geotiff(classes[None], ["class"], crs, transform, colors, names, nodata=UNLABELLED))


def write_probabilities(
    path: str | Path,
    probabilities: NDArray[np.floating],
    land_classes: Sequence[LandClass],
    crs: str | None = None,
    transform: Affine | None = None,
) -> None:
    """Write class probabilities as a float32 GeoTIFF with one band per class, named after it.

    ``probabilities`` is ``(K, H, W)``; NaN, the nodata value, marks pixels without a prediction. The other
    arguments are those of ``write_class_map``.

    Raises:
        InputError: if the file cannot be written.
    """
    bands = probabilities.astype(np.float32, copy=False)
    names = [entry.name for entry in land_classes]
    _write(path, _geotiff(bands, names, crs, transform, nodata=np.nan, predictor=3))


def _write(path: str | Path, content: bytes) -> None:
    """Write a file whole, and delete what GDAL and QGIS laid beside an earlier one of that name."""
    with whole_file(path) as aside:
        aside.write_bytes(content)
    for suffix in OF_EARLIER_FILE:
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def _geotiff(
    bands: NDArray,
    names: Sequence[str],
    crs: str | None,
    transform: Affine | None,
    colors: dict[int, Rgba] | None = None,
    tags: dict[str, str] | None = None,
    **profile: Any,
) -> bytes:
    """Make a GeoTIFF of ``(C, H, W)`` in memory."""
    count, rows, columns = bands.shape
    if crs is not None:
        profile["crs"] = CRS.from_string(crs)
    if transform is not None:
        profile["transform"] = transform
    with MemoryFile() as memory:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with memory.open(
                driver="GTiff",
                count=count,
                height=rows,
                width=columns,
                dtype=bands.dtype.name,
                compress="deflate",
                tiled=True,
                BIGTIFF="IF_SAFER",
                **profile,
            ) as file:
                file.write(bands)
                file.update_tags(**(tags or {}))
                if colors:
                    file.write_colormap(1, colors)
                for index, name in enumerate(names, start=1):
                    file.set_band_description(index, name)
        return memory.read()
