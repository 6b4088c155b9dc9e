"""A Predictor's input and output: rasters read a few rows at a time, and the map with its files.

Reading by rows lets rasters be larger than the memory.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib.image
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.transform import Affine
from rasterio.windows import Window

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.georaster import Grid, read_grid, write_class_map, write_probabilities
from m3amba_zoo.scenes.scene import LandClass, Raster
from m3amba_zoo.system import whole_file

ROWS_AT_ONCE = 32
SMALLEST_CACHE = 2**20  # bytes; GDAL takes a number below 100 000 for megabytes
LARGEST_CACHE = 2**29  # bytes, for files whose blocks are very large
GEOTIFF = (".tif", ".tiff")
PICTURE = (".png",)


class RasterRows:
    """One modality's raster, a file or an array in memory.

    Attributes:
        modality: its name.
        grid: where its pixels lie.
        bands: their number.
    """

    def __init__(self, modality: str, given: str | Path | NDArray | Raster) -> None:
        """Open a raster.

        Args:
            modality: its name, for messages.
            given: a file that GDAL opens, a Raster, or an array ``(C, H, W)`` or ``(H, W)``.

        Raises:
            InputError: if the file is absent or damaged, or the array has another number of axes.
        """
        self.modality = modality
        self._file: DatasetReader | None = None
        if isinstance(given, (str, Path)):
            self.grid = read_grid(given)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)  # plain rasters are welcome
                self._file = rasterio.open(given)
            self.bands, self.nodata = self._file.count, self._file.nodata
            self.dtype = np.dtype(self._file.dtypes[0])
        else:
            if not isinstance(given, Raster):
                given = Raster(given[None] if given.ndim == 2 else given, path=f"the array of '{modality}'")
            self._data = given.data
            self.grid = Grid(given.shape, None, None, given.path or f"the raster of '{modality}'")
            self.bands, self.nodata, self.dtype = len(given.data), given.nodata, given.data.dtype

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def read(self, rows: NDArray[np.intp]) -> Raster:
        """Return rows in any order, ``(C, len(rows), W)``; all from the first to the last of them are read.

        Raises:
            InputError: if the file is damaged.
        """
        first, last = int(rows.min()), int(rows.max()) + 1
        if self._file is None:
            data = self._data[:, first:last]
        else:
            try:
                data = self._file.read(window=Window(0, first, self.grid.shape[1], last - first))
            except RasterioError as error:
                reason = re.sub(r"\s+", " ", str(error.__cause__ or error)).strip().rstrip(".")
                raise InputError(
                    f"{self.grid.path}: rows {first} to {last - 1} cannot be read, the file may be cut short "
                    f"or damaged ({reason})"
                ) from error
        if len(rows) != last - first or (np.diff(rows) != 1).any():  # mirrored at the border
            data = data[:, rows - first]
        return Raster(data, nodata=self.nodata, path=self.grid.path)

    def missing(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return the mask ``(len(rows), W)`` of pixels that are nodata in all bands.

        Raises:
            InputError: if a value other than nodata is NaN or infinite.
        """
        floating = np.issubdtype(self.dtype, np.floating)
        if self.nodata is None and not floating:
            return np.zeros((len(rows), self.grid.shape[1]), bool)
        raster = self.read(rows)
        missing = raster.missing()
        if floating and not (finite := np.isfinite(raster.data) | missing).all():
            band, row, column = np.argwhere(~finite)[0]
            raise InputError(
                f"{self.grid.path}: band {band} of '{self.modality}' is {raster.data[band, row, column]} "
                f"at row {rows[row]}, column {column}; finite numbers are expected, or these marked as "
                "nodata"
            )
        return np.logical_and.reduce(missing)

    def cached_bytes(self, rows: int) -> int:
        """Return the size of the file's blocks that so many adjacent rows touch; 0 for a raster in memory."""
        if self._file is None:
            return 0
        height, width = self._file.block_shapes[0]
        touched = height * min(-(-rows // height) + 1, -(-self.grid.shape[0] // height))
        return touched * -(-self.grid.shape[1] // width) * width * self.bands * self.dtype.itemsize


def some_value(rasters: Iterable[RasterRows]) -> NDArray[np.uint8]:
    """Return ``(H, W)``: 1 where at least one raster has a value, else 0; see ``RasterRows.missing``."""
    rasters = list(rasters)
    height, width = rasters[0].grid.shape
    found = np.empty((height, width), np.uint8)
    for top in range(0, height, ROWS_AT_ONCE):
        rows = np.arange(top, min(top + ROWS_AT_ONCE, height))
        found[rows] = ~np.logical_and.reduce([raster.missing(rows) for raster in rasters])
    return found


def block_cache(rasters: Iterable[RasterRows], rows: int) -> rasterio.Env:
    """Return a context in which GDAL keeps the blocks that so many adjacent rows touch, up to 512 MiB.

    By itself GDAL would fill a twentieth of the machine's memory with blocks that are read once.
    """
    needed = sum(raster.cached_bytes(rows) for raster in rasters)
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
    """

    class_map: NDArray[np.uint8] = field(repr=False)
    classes: tuple[LandClass, ...]
    probabilities: NDArray[np.float16] | None = field(default=None, repr=False)
    crs: str | None = None
    transform: Affine | None = None

    def save(self, path: str | Path) -> None:
        """Write the map: a GeoTIFF with colours and class names (``.tif``), or a picture (``.png``).

        Raises:
            InputError: if the name has another suffix, or the file cannot be written.
        """
        check_output(path, (*GEOTIFF, *PICTURE))
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
        check_output(path, GEOTIFF)
        write_probabilities(path, self.probabilities, self.classes, self.crs, self.transform)

    def _save_picture(self, path: Path) -> None:
        colors = np.array([(0, 0, 0, 0), *((*entry.color, 255) for entry in self.classes)], np.uint8)
        with whole_file(path) as aside:
            matplotlib.image.imsave(aside, colors[self.class_map], format="png")


def check_output(path: str | Path, suffixes: tuple[str, ...]) -> None:
    """Raise InputError if it is known beforehand that a file of this name cannot be written."""
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise InputError(f"{path}: cannot be written, its name should end in {' or '.join(suffixes)}")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise InputError(f"{path}: cannot be written, there is no folder {folder}")
    if path.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        found = "it is a folder" if path.is_dir() else f"no permission for {folder}"
        raise InputError(f"{path}: cannot be written, {found}")
