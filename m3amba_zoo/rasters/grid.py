"""Where a raster's pixels lie on the earth, and whether two rasters share one grid."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from rasterio.crs import CRS
from rasterio.io import DatasetReader
from rasterio.transform import Affine
from rasterio.windows import Window

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.crs import crs_label, horizontal, same_crs

GRID_TOLERANCE = 0.05
"""Corners of co-registered rasters may differ by this share of a pixel (producers round their origins)."""
ALIGN_REMEDY = (
    "--align (align: bilinear in scene.yaml, align='bilinear' in Python), which warps the other to the one "
    "while it is read"
)

CRS_REMEDY = "--raster-crs EPSG:... states it (crs: in scene.yaml, RasterRequest(crs=...) in Python)"


class Grid(NamedTuple):
    """Where a raster's pixels lie: rows and columns, CRS and transform (None if unknown), and the file.

    ``crs`` is ``EPSG:n`` or WKT, of the horizontal part alone if the file's CRS has a vertical part, too.
    """

    shape: tuple[int, int]
    crs: str | None
    transform: Affine | None
    path: str

    def __str__(self) -> str:
        rows, columns = self.shape
        text = f"{rows} x {columns} pixels (rows x columns)"
        if self.transform is None:
            return f"{text}, not georeferenced"
        a, b, c, d, e, f = self.transform[:6]
        size = (
            f"{a:.6g} x {e:.6g}" if not (b or d) else f"{np.hypot(a, d):.6g} x {np.hypot(b, e):.6g}, rotated"
        )
        return f"{text} of {size}, {crs_label(self.crs)}, upper left corner ({c:.10g}, {f:.10g})"

    def part(self, window: Window) -> Affine:
        """Return the transform of a window; the grid has one itself."""
        assert self.transform is not None
        a, b, c, d, e, f = self.transform[:6]
        column, row = window.col_off, window.row_off
        return Affine(a, b, c + a * column + b * row, d, e, f + d * column + e * row)


def georeference(file: DatasetReader, path: str) -> tuple[str | None, Affine | None]:
    """Return an open file's horizontal CRS and its transform, None where the file has none.

    Raises:
        InputError: if the file is placed by ground control points or rational polynomials instead; the
            message holds the command that warps it.
    """
    crs = _horizontal_crs(file.crs.to_wkt()) if file.crs else None
    if not file.transform.is_identity:
        return crs, file.transform
    points, crs_of_points = file.gcps
    if points or file.rpcs:
        how = f"{len(points)} ground control points" if points else "rational polynomial coefficients"
        option = f"-t_srs {crs_of_points.to_string()}" if points and crs_of_points else "-t_srs EPSG:..."
        raise InputError(
            f"{path}: placed by {how}, so its rows and columns follow no map axis; expected a warped raster: "
            f"gdalwarp {'' if points else '-rpc '}{option if len(option) < 40 else '-t_srs EPSG:...'} {path} "
            "warped.tif"
        )
    return crs, None


@lru_cache(maxsize=64)
def _horizontal_crs(wkt: str) -> str | None:
    """Return ``EPSG:n`` if the database has the CRS or its horizontal part, else WKT; None off the earth.

    The search in the database takes longer than reading a small file, hence the cache.
    """
    return horizontal(CRS.from_wkt(wkt).to_string())


def require_same_grid(scene: str, first: Grid, other: Grid, remedy: str = "") -> None:
    """Raise InputError, with both grids, unless they have one size and, if known, one georeference.

    Args:
        scene: for the message, empty if there is none.
        first: a grid.
        other: another.
        remedy: what can be done instead of expecting one grid, for the message.
    """
    if found := difference(first, other):
        where = f"scene '{scene}': " if scene else ""
        raise InputError(
            f"{where}{first.path} and {other.path} {found}: the one has {first}; the other has {other}; one "
            f"common grid is expected{remedy and f', or {remedy}'}"
        )


def difference(first: Grid, other: Grid) -> str:
    """Say how two grids differ; empty if they have one size and, if known, one georeference."""
    if first.shape != other.shape:
        sizes = [f"{rows} x {columns}" for rows, columns in (first.shape, other.shape)]
        return f"are {sizes[0]} and {sizes[1]} pixels (rows x columns)"
    if first.crs and other.crs and not same_crs(first.crs, other.crs):
        return f"have the CRS {crs_label(first.crs)} and {crs_label(other.crs)}"
    if first.transform and other.transform:
        shift = _shift(first.transform, other.transform, first.shape)
        if shift > GRID_TOLERANCE:
            return f"lie apart by {shift:.3g} pixels"
    return ""


def _shift(first: Affine, other: Affine, shape: tuple[int, int]) -> float:
    """Return the largest distance between two grids' corners, in pixels of the first."""
    rows, columns = shape
    corners = np.array([(0, 0, 1), (columns, 0, 1), (0, rows, 1), (columns, rows, 1)]).T
    on_earth = np.reshape(other, (3, 3)) @ corners
    return float(np.abs(np.linalg.solve(np.reshape(first, (3, 3)), on_earth) - corners).max())
