"""A file's own nodata beside the one that is stated: both mean that a value is missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rasterio.windows import Window

from m3amba_zoo.rasters.raster import Raster
from m3amba_zoo.rasters.store import Pixels, Store


class AlsoMissing(Store):
    """A store whose own nodata is part of its masks, so that another value can be its nodata.

    Args:
        source: the pixels; it is closed with this store.
    """

    def __init__(self, source: Store) -> None:
        super().__init__(source.count, source.shape, source.dtype)
        self._source = source
        self.files, self.crs, self.transform = source.files, source.crs, source.transform
        self.alpha, self.bands, self.derived = source.alpha, source.bands, source.derived
        self.scales, self.offsets, self.piece = source.scales, source.offsets, source.piece
        self.has_mask = True

    def read(self, bands: Sequence[int], window: Window) -> Pixels:
        """Read a window of some bands."""
        values, mask = self._source.read(bands, window)
        own = tuple(self._source.nodata[band] for band in bands)
        missing = Raster(values, nodata=own).missing() if any(value is not None for value in own) else False
        return Pixels(values, np.broadcast_to(missing if mask is None else missing | mask, values.shape))

    def mask_by_alpha(self) -> None:
        """Take the first band that the file calls alpha as the mask."""
        self._source.mask_by_alpha()

    def block_bytes(self, rows: int) -> int:
        """Return the size of the file's blocks that so many adjacent rows touch."""
        return self._source.block_bytes(rows)

    def fingerprint(self) -> str:
        """Return the source's fingerprint."""
        return self._source.fingerprint()

    def close(self) -> None:
        """Close the source."""
        self._source.close()
