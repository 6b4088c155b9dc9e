"""A raster warped to another grid while it is read, a window at a time; nothing is written.

GDAL's warper interpolates (``rasterio.warp.reproject``). rasterio's ``WarpedVRT`` over it does not serve: it
knows files alone, and one nodata value for all bands. But for rounding, values must not depend on the windows
in which a raster is read; so positions are exact here, and one scale holds for all windows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.warp import reproject
from rasterio.windows import Window

from m3amba_zoo.rasters.grid import Grid
from m3amba_zoo.rasters.positions import Positions, Spot
from m3amba_zoo.rasters.raster import Raster
from m3amba_zoo.rasters.store import Pixels, Store

RADIUS = {"nearest": 0, "bilinear": 1, "cubic": 2, "average": 1}
"""How many pixels of the source around a position each method reads, where it is not coarsened."""
VALUES_AT_ONCE = 2**24
LARGEST_TILE = 1024
COARSER = 1.5
"""Pixels that are larger than the source's by this factor take in what lies between positions, too."""


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
        self.crs, self.transform = reference.crs, reference.transform
        self.alpha, self.bands, self.scales, self.offsets = (
            source.alpha,
            source.bands,
            source.scales,
            source.offsets,
        )
        self.nodata = self._nodata_of_source if keeps else self.nodata
        self.has_mask, self.piece = keeps, source.piece

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

    def mask_by_alpha(self) -> None:
        """Take the first band that the file calls alpha as the mask."""
        self._source.mask_by_alpha()

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
