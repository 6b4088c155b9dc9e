"""Features of a pretrained encoder as the bands of one more raster, computed where they are read.

Windows lie on a lattice that begins at the upper left corner, so that a pixel's features do not depend on
what part of the raster is read. Where windows overlap, features are averaged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.matching import KnownBands
from m3amba_zoo.rasters.needed_bands import NeededBand, check_plausible, check_spread, take_needed
from m3amba_zoo.rasters.opened import OpenRaster
from m3amba_zoo.rasters.store import Pixels, Store

SAMPLED_ROWS = 8
ROWS_AT_ONCE = 64  # of which the hash is made

Encode = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""From windows ``(n, C, S, S)``, NaN where a value is missing, to features ``(n, F, h, w)``."""


class Encoded(Store):
    """The features that an encoder gives the pixels of rasters on one grid.

    A pixel has those of the patch that holds its centre, averaged over the windows that show it, and is NaN
    where no band that the encoder reads has a value. The last row and column of windows end at the raster's
    border; a raster that is smaller than a window is mirrored at its lower and right border.

    Args:
        sources: the rasters by modality, on one grid; they are not closed with this.
        known: what is known of their bands.
        needed: the encoder's bands.
        whose: the encoder's name, for messages.
        encode: the encoder.
        features: F.
        window: S, rows and columns of a window.
        stride: from one window to the next, 1 to S.
        dtype: of the features.

    Attributes:
        read_from: the modalities that give bands to the encoder.

    Raises:
        InputError: as ``take_needed``; or if the values cannot be in the encoder's units, or ``stride`` is
            out of range.
    """

    def __init__(
        self,
        sources: Mapping[str, OpenRaster],
        known: Mapping[str, KnownBands],
        needed: Sequence[NeededBand],
        whose: str,
        encode: Encode,
        features: int,
        window: int,
        stride: int,
        dtype: str = "float16",
    ) -> None:
        if not 1 <= stride <= window:
            raise InputError(f"the stride of {whose}'s windows is {stride}, expected 1 to {window} pixels")
        self._taken = take_needed(needed, known, whose)
        used = {band.modality for band in self._taken if band is not None}
        self._sources = {modality: raster for modality, raster in sources.items() if modality in used}
        self.read_from = tuple(self._sources)
        grid = next(iter(self._sources.values())).grid
        super().__init__(features, grid.shape, np.dtype(dtype))
        self.crs, self.transform = grid.crs, grid.transform
        self._encode, self._window = encode, window
        self._tops, self._lefts = (lattice(length, window, stride) for length in grid.shape)
        self._rows: dict[int, tuple[list[int], NDArray[np.float32]]] = {}  # finished rows of windows by top
        self._check_units(needed, whose)

    def read(self, bands: Sequence[int], window: Window) -> Pixels:
        """Read a window of some features; whole rows of the lattice are encoded, those of the last call kept.

        Raises:
            InputError: if a raster is damaged or holds infinite values.
        """
        first, last = window.row_off, window.row_off + window.height
        columns = slice(window.col_off, window.col_off + window.width)
        touched = [top for top in self._tops if top < last and top + self._window > first]
        self._rows = {top: self._rows.get(top) or self._encoded(top) for top in touched}
        height, width = self.shape
        total = np.zeros((self.count, window.height, width), np.float32)
        times = np.zeros((window.height, width), np.float32)
        for top, (lefts, features) in self._rows.items():
            begin, end = max(top, first), min(top + self._window, last, height)
            # where patches and pixels do not divide each other, as after an encoder that resizes its windows
            patch = (2 * np.arange(self._window) + 1) * features.shape[-1] // (2 * self._window)
            of_window = slice(begin - top, end - top)
            for left, of_patches in zip(lefts, features, strict=True):
                of_pixels = of_patches[:, patch[of_window]][:, :, patch]
                right = min(left + self._window, width)
                total[:, begin - first : end - first, left:right] += of_pixels[:, :, : right - left]
                times[begin - first : end - first, left:right] += 1
        shown = ~np.isnan(self._input(first, last)).all(axis=0)
        times[~shown] = 0
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(times > 0, total / times, np.nan)
        return Pixels(mean[list(bands)][:, :, columns].astype(self.dtype))

    def data_sha256(self) -> str:
        """Return the hash of all values that the encoder is given, and of their shape."""
        digest = hashlib.sha256(repr(self.shape).encode())
        for first in range(0, self.shape[0], ROWS_AT_ONCE):
            values = self._input(first, min(first + ROWS_AT_ONCE, self.shape[0]))
            values[np.isnan(values)] = np.nan  # of one kind
            digest.update(values.tobytes())
        return digest.hexdigest()

    def block_bytes(self, rows: int) -> int:
        """Return the size of the files' blocks that so many adjacent rows touch."""
        return sum(raster.block_bytes(rows + 2 * self._window) for raster in self._sources.values())

    def _encoded(self, top: int) -> tuple[list[int], NDArray[np.float32]]:
        """Encode the windows of a row of the lattice; return where those with any value begin, and theirs."""
        side = self._window
        values = self._input(top, min(top + side, self.shape[0]))
        margins = [max(0, side - length) for length in values.shape[1:]]
        values = np.pad(values, [(0, 0), *((0, margin) for margin in margins)], mode="reflect")
        windows = {left: values[:, :, left : left + side] for left in self._lefts}
        lefts = [left for left, window in windows.items() if not np.isnan(window).all()]
        if not lefts:
            return [], np.empty((0, self.count, 1, 1), np.float32)
        return lefts, self._encode(np.stack([windows[left] for left in lefts]))

    def _input(self, first: int, last: int) -> NDArray[np.float32]:
        """Return rows of the encoder's bands ``(C, n, W)`` in its units, NaN where missing or absent."""
        values = np.full((len(self._taken), last - first, self.shape[1]), np.nan, np.float32)
        for modality, source in self._sources.items():
            raster = source.read(first, last)
            raster.check_finite(modality, first)
            bands = raster.floats()
            for index, taken in enumerate(self._taken):
                if taken is not None and taken.modality == modality:
                    values[index] = taken.convert(bands[taken.band])
        return values

    def _check_units(self, needed: Sequence[NeededBand], whose: str) -> None:
        """Look at evenly spaced rows for values that cannot be in the encoder's units."""
        height = self.shape[0]
        rows = np.unique(np.linspace(0, height - 1, min(SAMPLED_ROWS, height)).astype(int)).tolist()
        values = np.concatenate([self._input(row, row + 1) for row in rows], axis=1)
        alike: dict[tuple[str, str | None, tuple[float, float] | None], list[int]] = {}
        for index, (need, taken) in enumerate(zip(needed, self._taken, strict=True)):
            if taken is not None:
                alike.setdefault((taken.modality, need.unit, need.spread), []).append(index)
        for (modality, unit, spread), indices in alike.items():
            where = f"'{modality}' ({self._sources[modality].path})"
            if unit:
                check_plausible(values[indices], unit, where)
            if spread:
                check_spread(values[indices], spread, where, whose)


def lattice(length: int, window: int, stride: int) -> list[int]:
    """Return where windows begin that cover ``0 .. length - 1``; the last one ends there."""
    return [*range(0, length - window, stride), max(0, length - window)]
