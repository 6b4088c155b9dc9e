"""A raster warped to another grid while it is read, a window at a time; nothing is written.

GDAL's warper interpolates (``rasterio.warp.reproject``). rasterio's ``WarpedVRT`` over it does not serve: it
knows files alone, and one nodata value for all bands. But for rounding, values must not depend on the windows
in which a raster is read; so positions are exact here, and one scale holds for all windows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, hypot
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.warp import reproject
from rasterio.windows import Window

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.crs import crs_label, horizontal, is_geographic, move_points, same_crs
from m3amba_zoo.rasters.grid import CRS_REMEDY, Grid
from m3amba_zoo.rasters.raster import Raster
from m3amba_zoo.rasters.store import Pixels, Store

RADIUS = {"nearest": 0, "bilinear": 1, "cubic": 2, "average": 1}
"""How many pixels of the source around a position each method reads, where it is not coarsened."""
VALUES_AT_ONCE = 2**24
LARGEST_TILE = 1024
COARSER = 1.5
"""Pixels that are larger than the source's by this factor take in what lies between positions, too."""
NUDGE = 1e-6
"""By this share of a pixel positions are moved, so that rounding does not decide between two pixels."""
ANY_PLANE = "EPSG:3857"
"""Stands for the unknown CRS that two rasters without one are taken to share."""
STEPS = 32


class Warped(Store):
    """A store's pixels on another grid.

    A pixel is missing if its centre lies off the source, or on a pixel of the source that is missing. Missing
    pixels beside it take no part in its value. ``average`` gives the mean of what is not missing under the
    pixel; the other methods widen with the pixel where it is much larger than the source's.

    ``nearest`` keeps the dtype. The others give floats, NaN where missing.

    Args:
        source: the pixels.
        nodata: of each band of the source, or None.
        own: the source's grid.
        reference: the grid to warp to.
        method: one of ``RADIUS``.

    Raises:
        InputError: if the two places cannot be compared, or do not overlap.
    """

    def __init__(
        self, source: Store, nodata: Sequence[float | None], own: Grid, reference: Grid, method: str
    ) -> None:
        keeps = method == "nearest"
        dtype = source.dtype if keeps else np.result_type(source.dtype, np.float32)
        super().__init__(source.count, reference.shape, dtype)
        self._source, self._nodata_of_source, self._method = source, tuple(nodata), method
        self._positions = Positions.between(own, reference)
        self.nodata = self._nodata_of_source if keeps else self.nodata
        self.bands, self.has_mask, self.piece = source.bands, keeps, source.piece

    @property
    def covered(self) -> float:
        """The share of the reference's area that lies on the source."""
        return self._positions.covered

    def read(self, bands: Sequence[int], window: Window) -> Pixels:
        """Read a window of some bands."""
        nearest = self._method == "nearest"
        values = np.full((len(bands), window.height, window.width), 0 if nearest else np.nan, self.dtype)
        mask = np.ones(values.shape if self._source.has_mask else (1, *values.shape[1:]), bool)
        for at, tile in self._tiles(window, len(bands)):
            spot = self._positions.spot(tile, RADIUS[self._method])
            if spot is None:
                continue
            pixels = self._source.read(bands, spot.window)
            if nearest:
                values[at][:, spot.inside] = pixels.values[:, spot.rows, spot.columns]
                mask[at][:, spot.inside] = (
                    False if pixels.mask is None else pixels.mask[:, spot.rows, spot.columns]
                )
            else:
                values[at] = self._interpolated(pixels, bands, tile, spot)
        return Pixels(values, mask if nearest else None)

    def block_bytes(self, rows: int) -> int:
        """Return the size of the source's blocks that so many adjacent rows of the reference touch."""
        height, width = self.shape
        spot = self._positions.spot(Window(0, max(0, (height - rows) // 2), width, min(rows, height)), 2)
        return self._source.block_bytes(self._source.shape[0] if spot is None else spot.window.height)

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _interpolated(
        self, pixels: Pixels, bands: Sequence[int], tile: Window, spot: Spot
    ) -> NDArray[np.floating]:
        """Interpolate the pixels of the source's window at the tile's centres."""
        nodata = tuple(self._nodata_of_source[band] for band in bands)
        missing = Raster(pixels.values, nodata=nodata, mask=pixels.mask).missing()
        values = pixels.values.astype(self.dtype)
        values[missing] = np.nan
        found = np.full((len(bands), tile.height, tile.width), np.nan, self.dtype)
        (from_crs, to_crs), (across, down) = self._positions.crs, self._positions.coarser
        reproject(
            values,
            found,
            src_transform=self._positions.own.part(spot.window),
            src_crs=from_crs,
            dst_transform=self._positions.reference.part(tile),
            dst_crs=to_crs,
            src_nodata=np.nan,
            dst_nodata=np.nan,
            resampling=Resampling[self._method],
            tolerance=0,  # of positions; GDAL's own choice depends on the window
            XSCALE=str(1 / across if across > COARSER else 1.0),  # likewise
            YSCALE=str(1 / down if down > COARSER else 1.0),
            UNIFIED_SRC_NODATA="NO",  # each band has missing pixels of its own
        )
        found[:, ~spot.inside] = np.nan
        if self._method != "average" and missing.any():
            found[:, spot.inside] = np.where(
                missing[:, spot.rows, spot.columns], np.nan, found[:, spot.inside]
            )
        return found

    def _tiles(self, window: Window, bands: int) -> Iterator[tuple[tuple[slice, slice, slice], Window]]:
        """Cut a window of the reference so that what a tile reads of the source has a bounded size.

        Yields:
            Where the tile lies in the window, and the tile.
        """
        side = int((VALUES_AT_ONCE / bands) ** 0.5 / max(1, *self._positions.coarser))
        side = max(1, min(side, LARGEST_TILE))
        for top in range(0, window.height, side):
            for left in range(0, window.width, side):
                height, width = min(side, window.height - top), min(side, window.width - left)
                yield (
                    (slice(None), slice(top, top + height), slice(left, left + width)),
                    Window(window.col_off + left, window.row_off + top, width, height),
                )


class Spot(NamedTuple):
    """Where a tile of the reference lies on the source.

    Attributes:
        window: of the source, all that the tile reads.
        inside: which of the tile's pixels have their centre on the source, ``(H, W)``.
        rows, columns: of the source's pixel under each of these, in the window, ``(n,)``.
    """

    window: Window
    inside: NDArray[np.bool_]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]


class Positions(NamedTuple):
    """How pixels of one grid, the reference, lie on another, the source's own.

    Attributes:
        own, reference: the grids; both have a transform.
        crs: of both, as GDAL takes them.
        coarser: how many pixels of the source one of the reference is wide and high, in the overlap's middle.
        covered: the share of the reference's area that lies on the source.
    """

    own: Grid
    reference: Grid
    crs: tuple[str, str]
    coarser: tuple[float, float] = (1.0, 1.0)
    covered: float = 1.0

    @classmethod
    def between(cls, own: Grid, reference: Grid) -> Positions:
        """Compare two grids.

        Raises:
            InputError: if that is not possible, or they do not overlap.
        """
        positions = cls(own, reference, _comparable(own, reference))
        there = _polygon(positions.on_source(_outline(reference.shape)))
        common = there.intersection(shapely.box(0, 0, own.shape[1], own.shape[0]))
        if not common.area:
            raise InputError(_no_overlap(own, reference))
        middle = positions.on_reference(np.array([common.representative_point().coords[0]]))
        at = positions.on_source(middle + np.array([(0, 0), (1, 0), (0, 1)]))
        (x_across, y_across), (x_down, y_down) = at[1:] - at[0]
        coarser = hypot(x_across, x_down), hypot(y_across, y_down)
        return positions._replace(coarser=coarser, covered=common.area / there.area)

    def on_source(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where points ``(N, 2)`` of the reference, columns first, lie on the source, in pixels."""
        return _moved(points, self.reference, self.own, self.crs[1], self.crs[0])

    def on_reference(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where points ``(N, 2)`` of the source, columns first, lie on the reference, in pixels."""
        return _moved(points, self.own, self.reference, *self.crs)

    def spot(self, tile: Window, radius: int) -> Spot | None:
        """Return where a window of the reference lies on the source; None if it does not.

        Args:
            tile: of the reference.
            radius: how many pixels around a position are read, where the reference is not coarser.
        """
        across, down = np.meshgrid(np.arange(tile.width) + 0.5, np.arange(tile.height) + 0.5)
        centres = np.column_stack([across.ravel() + tile.col_off, down.ravel() + tile.row_off])
        points = self.on_source(centres) + NUDGE
        height, width = self.own.shape
        inside = ((points >= 0) & (points < (width, height))).all(axis=1)
        if not inside.any():
            return None
        columns, rows = np.floor(points[inside]).astype(np.intp).T
        margins = [ceil(radius * max(1.0, coarser)) + 1 if radius else 0 for coarser in self.coarser]
        left, right = max(0, columns.min() - margins[0]), min(width, columns.max() + margins[0] + 1)
        top, bottom = max(0, rows.min() - margins[1]), min(height, rows.max() + margins[1] + 1)
        window = Window(int(left), int(top), int(right - left), int(bottom - top))
        return Spot(window, inside.reshape(tile.height, tile.width), rows - top, columns - left)


def _comparable(own: Grid, reference: Grid) -> tuple[str, str]:
    """Return the CRS of two grids as GDAL takes them; raise InputError if their places cannot be compared."""
    for grid, other in ((own, reference), (reference, own)):
        if grid.transform is None:
            raise InputError(
                f"{own.path} cannot be aligned with {reference.path}: {grid.path} is not georeferenced; a "
                "raster with a CRS and a transform is expected"
            )
        if horizontal(grid.crs) is None and horizontal(other.crs) is not None:
            raise InputError(
                f"{own.path} cannot be aligned with {reference.path}: {grid.path} has no CRS, {other.path} "
                f"has {crs_label(other.crs)}; a CRS is expected, {CRS_REMEDY}"
            )
    if own.crs is None or reference.crs is None:
        return ANY_PLANE, ANY_PLANE
    return (reference.crs, reference.crs) if same_crs(own.crs, reference.crs) else (own.crs, reference.crs)


def _no_overlap(own: Grid, reference: Grid) -> str:
    """Return the sentence on two grids that lie apart, with both extents."""
    crs = _comparable(own, reference)
    corners = _moved(_outline(own.shape), own, reference._replace(transform=Affine.identity()), *crs)
    label = crs_label(reference.crs)
    if not np.isfinite(corners).all():
        corners, label = _outline(own.shape, own.transform), crs_label(own.crs)
    return (
        f"{own.path} and {reference.path} do not overlap: the one reaches over {_span(corners)} ({label}), "
        f"the other over {_span(_outline(reference.shape, reference.transform))} "
        f"({crs_label(reference.crs)}); rasters of one place are expected"
    )


def _span(points: NDArray[np.float64]) -> str:
    (left, bottom), (right, top) = points.min(axis=0), points.max(axis=0)
    return f"x {left:.9g} to {right:.9g}, y {bottom:.9g} to {top:.9g}"


def _outline(shape: tuple[int, int], transform: Affine | None = None) -> NDArray[np.float64]:
    """Return points ``(N, 2)`` along a grid's border, in pixels or, with its transform, in coordinates."""
    way = np.arange(STEPS) / STEPS
    unit = np.concatenate(
        [
            np.column_stack([way, 0 * way]),
            np.column_stack([1 + 0 * way, way]),
            np.column_stack([1 - way, 1 + 0 * way]),
            np.column_stack([0 * way, 1 - way]),
        ]
    )
    points = unit * shape[::-1]
    return points if transform is None else _apply(transform, points)


def _polygon(points: NDArray[np.float64]) -> shapely.Polygon:
    """Return the polygon of the finite ones of points."""
    finite = points[np.isfinite(points).all(axis=1)]
    return shapely.Polygon(finite).buffer(0) if len(finite) > 2 else shapely.Polygon()


def _moved(
    points: NDArray[np.float64], first: Grid, second: Grid, first_crs: str, second_crs: str
) -> NDArray[np.float64]:
    """Return pixel positions on one grid as positions on another."""
    assert first.transform is not None
    assert second.transform is not None
    on_earth = _apply(first.transform, points)
    if first_crs != second_crs:
        on_earth = move_points(on_earth, first_crs, second_crs)
    if is_geographic(second_crs):  # -179 is 181 on a grid around 180
        rows, columns = second.shape
        middle = _apply(second.transform, np.array([(columns / 2, rows / 2)]))[0, 0]
        with np.errstate(invalid="ignore"):
            on_earth[:, 0] -= 360 * np.nan_to_num(np.round((on_earth[:, 0] - middle) / 360), posinf=0)
    return _apply(~second.transform, on_earth)


def _apply(transform: Affine, points: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b, c, d, e, f = transform[:6]
    x, y = points.T
    return np.column_stack([a * x + b * y + c, d * x + e * y + f])
