"""Several rasters as one: their bands in order, on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from m3amba_zoo.rasters.bands import Bands
from m3amba_zoo.rasters.crs import same_crs
from m3amba_zoo.rasters.grid import ALIGN_REMEDY, Grid, require_same_grid
from m3amba_zoo.rasters.store import Pixels, Store

if TYPE_CHECKING:
    from m3amba_zoo.rasters.opened import OpenRaster


class Stack(Store):
    """The kept bands of several rasters, with what is stated of each applied.

    All lie on the grid of the raster with the smallest pixels, the first of them. Others are warped to it if
    they state how (``RasterRequest.align``).

    Args:
        parts: the rasters; they are closed with the stack.

    Raises:
        InputError: if a part lies on another grid and does not state how to warp it.
    """

    def __init__(self, parts: Sequence[OpenRaster]) -> None:
        self.parts = list(parts)
        self.files = tuple(path for part in self.parts for path in part.files)
        self._of = [(part, band) for part in self.parts for band in range(len(part.header.data))]
        grid = _finest([part.grid for part in self.parts])
        super().__init__(len(self._of), grid.shape, np.dtype(np.uint8))
        self.bands = _bands(self.parts)
        for part in self.parts:
            method = part.stated.align
            if method is None:
                require_same_grid("", grid, part.grid, ALIGN_REMEDY)
            else:
                part.align(grid, method)
        self._take_over(grid)

    @property
    def remarks(self) -> list[str]:
        """What the parts remark."""
        return [remark for part in self.parts for remark in part.remarks]

    def align(self, grid: Grid, method: str) -> None:
        """Warp all parts to a grid, each as it states, else by ``method``; those on the grid are as they are.

        Raises:
            InputError: if a part cannot be compared with it or does not overlap it.
        """
        for part in self.parts:
            part.align(grid, part.stated.align or method)
        self._take_over(grid)

    def read(self, bands: Sequence[int], window: Window) -> Pixels:
        """Read a window of some bands."""
        values = np.empty((len(bands), window.height, window.width), self.dtype)
        mask = np.zeros(values.shape, bool) if self.has_mask else None
        for part in self.parts:
            at = [place for place, band in enumerate(bands) if self._of[band][0] is part]
            if at:
                pixels = part.pixels([self._of[bands[place]][1] for place in at], window)
                values[at] = pixels.values
                if mask is not None and pixels.mask is not None:
                    mask[at] = pixels.mask
        return Pixels(values, mask)

    def fingerprint(self) -> str:
        """Return the parts' fingerprints."""
        return "".join(part.fingerprint() for part in self.parts)

    def block_bytes(self, rows: int) -> int:
        """Return the size of the files' blocks that so many adjacent rows touch."""
        return sum(part.block_bytes(rows) for part in self.parts)

    def close(self) -> None:
        """Close all parts."""
        for part in self.parts:
            part.close()

    def _take_over(self, grid: Grid) -> None:
        """Take over what the parts are on this grid."""
        headers = [part.header for part in self.parts]
        self.shape, self.crs, self.transform = grid.shape, grid.crs, grid.transform
        self.dtype = np.result_type(*(header.data.dtype for header in headers))
        self.nodata = tuple(
            value
            for header in headers
            for value in (
                header.nodata if isinstance(header.nodata, tuple) else (header.nodata,) * len(header.data)
            )
        )
        self.has_mask = any(part.has_mask for part in self.parts)


def _bands(parts: Sequence[OpenRaster]) -> Bands:
    """Return names and wavelengths of all bands; a file's or array's name stands for absent ones."""
    headers = [part.header for part in parts]
    names: list[str] = []
    for part, header in zip(parts, headers, strict=True):
        stem, count = part.stated.key or Path(part.stated.path).stem, len(header.data)
        own = [stem] if count == 1 else [f"{stem} {band}" for band in range(count)]
        names += header.bands or own
    centres: NDArray[np.float64] | None = None
    if all(header.wavelengths is not None for header in headers):
        centres = np.concatenate([header.wavelengths for header in headers if header.wavelengths is not None])
    return Bands(tuple(names), centres, named_by_files=any(not header.bands for header in headers))


def _finest(grids: Sequence[Grid]) -> Grid:
    """Return the grid of the smallest pixels, the first of them; the first where they cannot be compared."""
    placed = [grid for grid in grids if grid.transform is not None]
    if not placed or not all(same_crs(grid.crs, placed[0].crs) for grid in placed):
        return (placed or grids)[0]
    areas = [float(f"{abs(grid.transform.determinant):.6g}") for grid in placed if grid.transform]
    return placed[areas.index(min(areas))]
