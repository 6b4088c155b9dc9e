"""A Predictor's input and output: rasters read a few rows at a time, and the map with its files.

Reading by rows lets rasters be larger than the memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib.image
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters import Raster
from m3amba_zoo.rasters.opening import OpenRaster
from m3amba_zoo.scenes.scene import LandClass
from m3amba_zoo.system import same_file, whole_file
from m3amba_zoo.visualization.map_files import write_class_map, write_probabilities

ROWS_AT_ONCE = 32
SMALLEST_CACHE = 2**20  # bytes; GDAL takes a number below 100 000 for megabytes
LARGEST_CACHE = 2**29  # bytes, for files whose blocks are very large
GEOTIFF = (".tif", ".tiff")
PICTURE = (".png",)


class RasterRows:
    """An open raster, as the grid of windows reads it: rows in any order.

    Attributes:
        modality: its name.
        opened: the raster.
    """

    def __init__(self, modality: str, opened: OpenRaster) -> None:
        self.modality, self.opened = modality, opened

    def read(self, rows: NDArray[np.intp]) -> Raster:
        """Return rows in any order, ``(C, len(rows), W)``; all from the first to the last of them are read.

        Raises:
            InputError: if the file is damaged.
        """
        first, last = int(rows.min()), int(rows.max()) + 1
        raster = self.opened.read(first, last)
        if len(rows) != last - first or (np.diff(rows) != 1).any():  # mirrored at the border
            raster = raster.crop(rows - first, slice(None))
        return raster

    def missing(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return the mask ``(len(rows), W)`` of pixels that have no value in any band.

        Raises:
            InputError: if a value is infinite.
        """
        if not self.opened.may_lack_values:
            return np.zeros((len(rows), self.opened.grid.shape[1]), bool)
        raster = self.read(rows)
        raster.check_finite(self.modality, first_row=int(rows.min()))
        return np.logical_and.reduce(raster.missing())


def some_value(rasters: Iterable[RasterRows]) -> NDArray[np.uint8]:
    """Return ``(H, W)``: 1 where at least one raster has a value, else 0; see ``RasterRows.missing``."""
    rasters = list(rasters)
    height, width = rasters[0].opened.grid.shape
    found = np.empty((height, width), np.uint8)
    for top in range(0, height, ROWS_AT_ONCE):
        rows = np.arange(top, min(top + ROWS_AT_ONCE, height))
        found[rows] = ~np.logical_and.reduce([raster.missing(rows) for raster in rasters])
    return found


def block_cache(rasters: Iterable[RasterRows], rows: int) -> rasterio.Env:
    """Return a context in which GDAL keeps the blocks that so many adjacent rows touch, up to 512 MiB.

    By itself GDAL would fill a twentieth of the machine's memory with blocks that are read once.
    """
    needed = sum(raster.opened.block_bytes(rows) for raster in rasters)
    return rasterio.Env(GDAL_CACHEMAX=min(max(needed, SMALLEST_CACHE), LARGEST_CACHE))


@dataclass(frozen=True)
class Prediction:
    """The map that a Predictor makes of a set of rasters.

    Attributes:
        class_map: ``(H, W)`` uint8, 1..K; 0 where no raster has a value.
        classes: the K classes in order.
        probabilities: ``(K, H, W)`` float16, NaN where ``class_map`` is 0; None unless asked for.
        crs: of the rasters, ``EPSG:n`` or WKT, or None.
        transform: of the rasters, or None.
        inputs: the rasters' files, which no output replaces.
    """

    class_map: NDArray[np.uint8] = field(repr=False)
    classes: tuple[LandClass, ...]
    probabilities: NDArray[np.float16] | None = field(default=None, repr=False)
    crs: str | None = None
    transform: Affine | None = None
    inputs: tuple[str, ...] = ()

    def save(self, path: str | Path) -> None:
        """Write the map: a GeoTIFF with colours and class names (``.tif``), or a picture (``.png``).

        Raises:
            InputError: if the name has another suffix, or the file cannot be written.
        """
        check_output(path, (*GEOTIFF, *PICTURE), self.inputs)
        if Path(path).suffix.lower() in PICTURE:
            self._save_picture(Path(path))
        else:
            write_class_map(path, self.class_map, self.classes, self.crs, self.transform)

    def save_probabilities(self, path: str | Path) -> None:
        """Write the probabilities as a GeoTIFF with one float32 band per class.

        Raises:
            InputError: if the name has another suffix, or the file cannot be written.
            ValueError: if the prediction has no probabilities.
        """
        if self.probabilities is None:
            raise ValueError("no probabilities were kept; predict(..., probabilities=True) keeps them")
        check_output(path, GEOTIFF, self.inputs)
        write_probabilities(path, self.probabilities, self.classes, self.crs, self.transform)

    def _save_picture(self, path: Path) -> None:
        colors = np.array([(0, 0, 0, 0), *((*entry.color, 255) for entry in self.classes)], np.uint8)
        with whole_file(path) as aside:
            matplotlib.image.imsave(aside, colors[self.class_map], format="png")


def check_output(path: str | Path, suffixes: tuple[str, ...], others: Iterable[str | Path] = ()) -> None:
    """Raise InputError if it is known beforehand that a file of this name cannot be written.

    ``others`` are files that it may not replace: the rasters that are read, and other files to be written.
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise InputError(f"{path}: cannot be written, its name should end in {' or '.join(suffixes)}")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise InputError(f"{path}: cannot be written, there is no folder {folder}")
    if path.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        found = "it is a folder" if path.is_dir() else f"no permission for {folder}"
        raise InputError(f"{path}: cannot be written, {found}")
    for other in others:
        if same_file(path, other):
            raise InputError(
                f"{path}: cannot be written, it is an input or another output; expected another name"
            )
