"""Whole rasters in memory, with their place on the earth."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from rasterio.transform import Affine

from m3amba_zoo.rasters.grid import Grid
from m3amba_zoo.rasters.opening import log_remarks, open_raster
from m3amba_zoo.rasters.raster import Raster
from m3amba_zoo.rasters.request import RasterRequest


class GeoRaster(NamedTuple):
    """A raster, its CRS (``EPSG:n``, WKT or None) and its transform (or None)."""

    raster: Raster
    crs: str | None
    transform: Affine | None

    @property
    def grid(self) -> Grid:
        """Where the raster's pixels lie."""
        return Grid(self.raster.shape, self.crs, self.transform, self.raster.path)


def read_georaster(path: str | Path | RasterRequest, unit: str = "") -> GeoRaster:
    """Read the bands of a raster file with all that the file says of them; what is guessed is logged.

    Args:
        path: a file that GDAL opens (for ENVI the data file, not its header), or a request.
        unit: what one unit is, see ``Raster``; the file seldom tells.

    Returns:
        The raster ``(C, H, W)``, in the file's dtype or, if scaled, float32; its CRS and its transform.

    Raises:
        InputError: if the file is absent, not a raster, cut short or damaged, or holds complex numbers.
    """
    if not isinstance(path, RasterRequest):  # of a published product, whose bands are all known as data
        path = RasterRequest(str(path), unit=unit, alpha="data")
    with open_raster(path) as opened:
        log_remarks([opened])
        return GeoRaster(opened.read(), opened.grid.crs, opened.grid.transform)


def read_grid(path: str | Path | RasterRequest) -> Grid:
    """Read where a raster file's pixels lie, without its pixels.

    Raises:
        InputError: if the file is absent, not a raster, or cut short.
    """
    with open_raster(path) as opened:
        return opened.grid
