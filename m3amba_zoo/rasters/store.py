"""What a store of pixels is: the one face of files, products, arrays in memory, warped rasters and stacks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.transform import Affine
from rasterio.windows import Window

from m3amba_zoo.rasters.bands import Bands
from m3amba_zoo.rasters.raster import Raster


class Pixels(NamedTuple):
    """A window of some bands.

    Attributes:
        values: ``(C, H, W)`` in the store's dtype; it may be a view.
        mask: where a mask, not nodata, calls them missing, ``(C, H, W)``, or ``(1, H, W)`` for all bands
            alike; or None.
    """

    values: NDArray
    mask: NDArray[np.bool_] | None = None


class Store(ABC):
    """Bands of pixels of which windows can be read.

    Attributes:
        count: number of bands.
        shape: rows and columns.
        dtype: that all bands fit in.
        crs, transform: see ``Grid``.
        alpha: numbers of the bands, from 0, that the file calls alpha.
        bands: names, wavelengths and bad bands.
        nodata: the value of each band that marks a missing pixel, or None.
        scales, offsets: of each band: a value is the stored number times scale plus offset.
        has_mask: whether ``read`` returns masks.
        piece: bytes of the largest part of the file that is read whole beside what is asked for: a block, a
            chunk.
        held: whether all pixels are in memory already, and ``read`` returns views of them.
        files: all that are read: sidecars and the sources of virtual rasters, too; none for pixels in memory.
    """

    files: tuple[str, ...] = ()
    crs: str | None = None
    transform: Affine | None = None
    alpha: tuple[int, ...] = ()
    bands = Bands()
    has_mask = False
    held = False
    piece = 0

    def __init__(self, count: int, shape: tuple[int, int], dtype: np.dtype) -> None:
        self.count, self.shape, self.dtype = count, shape, dtype
        self.nodata: tuple[float | None, ...] = (None,) * count
        self.scales, self.offsets = np.ones(count), np.zeros(count)

    @abstractmethod
    def read(self, bands: Sequence[int], window: Window) -> Pixels:
        """Read a window of some bands.

        Raises:
            InputError: if it cannot be read.
        """

    def mask_by_alpha(self) -> None:
        """Take the first band that the file calls alpha as the mask: missing where it is 0."""
        raise NotImplementedError(f"{type(self).__name__} has no band that is called alpha")

    def block_bytes(self, rows: int) -> int:
        """Return the size of the file's blocks that so many adjacent rows touch; 0 for pixels in memory."""
        return 0

    def fingerprint(self) -> str:
        """Return a text that differs for other pixels in memory; empty for pixels of files."""
        return ""

    def close(self) -> None:  # noqa: B027  (pixels in memory need no closing)
        """Close the file."""


class AlsoMissing(Store):
    """A store whose own nodata is part of its masks, so that another value can be its nodata.

    Args:
        source: the pixels; it is closed with this store.
    """

    def __init__(self, source: Store) -> None:
        super().__init__(source.count, source.shape, source.dtype)
        self._source = source
        self.files, self.crs, self.transform = source.files, source.crs, source.transform
        self.alpha, self.bands, self.piece = source.alpha, source.bands, source.piece
        self.scales, self.offsets = source.scales, source.offsets
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
