"""A modality's bands in memory, with what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError

LARGEST = float(np.finfo(np.float32).max)
MOST = LARGEST**0.5
"""The largest magnitude of a value that is not missing."""
Nodata = float | tuple[float | None, ...]
"""One value for all bands, or one per band (None: that band has none)."""


@dataclass(frozen=True)
class Raster:
    """One modality's bands.

    A value is missing if it equals nodata, if the mask says so, or if it is NaN.

    Attributes:
        data: ``(C, H, W)``, any real dtype.
        bands: one name per band, or empty.
        wavelengths: centre of each band in nm, ``(C,)`` float64, or None.
        nodata: the value that marks a missing pixel, or one value per band, or None.
        unit: what one unit of ``data`` is, for example ``reflectance x 10000``, ``m`` or ``dB``.
        path: the file it was read from, for messages.
        mask: True where values are missing, ``(C, H, W)``, or ``(1, H, W)`` for all bands alike; or None.
        numbers: which band of the file each band is, from 0; empty if they are the file's, in its order.
        bands_in_file: how many bands the file has; 0 if unknown.
    """

    data: NDArray
    bands: tuple[str, ...] = ()
    wavelengths: NDArray[np.float64] | None = None
    nodata: Nodata | None = None
    unit: str = ""
    path: str = ""
    mask: NDArray[np.bool_] | None = None
    numbers: tuple[int, ...] = ()
    bands_in_file: int = 0

    def __post_init__(self) -> None:
        where = self.path or "raster"
        if self.data.ndim != 3:
            raise InputError(f"{where}: expected (bands, rows, columns), found shape {self.data.shape}")
        for attribute in ("bands", "wavelengths", "numbers"):
            values = getattr(self, attribute)
            if values is not None and len(values) not in (0, len(self.data)):
                raise InputError(f"{where}: {len(values)} {attribute} for {len(self.data)} bands")
        if isinstance(self.nodata, tuple) and len(self.nodata) != len(self.data):
            raise InputError(f"{where}: {len(self.nodata)} nodata values for {len(self.data)} bands")
        if self.mask is not None and self.mask.shape not in (self.data.shape, (1, *self.shape)):
            raise InputError(
                f"{where}: a mask of shape {self.mask.shape} for bands of shape {self.data.shape}; a mask of "
                "that shape, or of one band for all, is expected"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.data.shape[1], self.data.shape[2]

    @property
    def may_lack_values(self) -> bool:
        """Whether values can be missing at all."""
        return self.nodata is not None or self.mask is not None or self.data.dtype.kind == "f"

    def band_name(self, index: int) -> str:
        """Name a band in a message: its number in the file from 0, with name or wavelength if known."""
        number = self.numbers[index] if self.numbers else index
        if self.bands:
            return f"{number} ({self.bands[index]})"
        if self.wavelengths is not None:
            return f"{number} ({self.wavelengths[index]:.0f} nm)"
        return str(number)

    def missing(self) -> NDArray[np.bool_]:
        """Return the mask ``(C, H, W)`` of missing values."""
        missing = np.isnan(self.data) if self.data.dtype.kind == "f" else np.zeros(self.data.shape, bool)
        if isinstance(self.nodata, tuple):
            for band, value, of_band in zip(self.data, self.nodata, missing, strict=True):
                if value is not None:
                    of_band |= _equal(band, value)
        elif self.nodata is not None:
            missing |= _equal(self.data, self.nodata)
        if self.mask is not None:
            missing |= self.mask
        return missing

    def floats(self) -> NDArray[np.float32]:
        """Return the bands as float32 ``(C, H, W)``, NaN where a value is missing."""
        if self.data.dtype == np.float64:
            with np.errstate(over="ignore"):  # of missing values; ``check_finite`` refuses others
                values = self.data.astype(np.float32, order="C")
        else:
            values = self.data.astype(np.float32, order="C")
        if self.nodata is not None or self.mask is not None:
            values[self.missing()] = np.nan
        return values

    def select(self, bands: Sequence[int]) -> Raster:
        """Return these bands, in this order."""
        kept = list(bands)
        numbers, nodata = self.numbers or range(len(self.data)), self.nodata
        return replace(
            self,
            data=self.data[kept],
            bands=tuple(self.bands[band] for band in kept) if self.bands else (),
            wavelengths=None if self.wavelengths is None else self.wavelengths[kept],
            nodata=tuple(nodata[band] for band in kept) if isinstance(nodata, tuple) else nodata,
            mask=self.mask if self.mask is None or len(self.mask) == 1 else self.mask[kept],
            numbers=tuple(numbers[band] for band in kept),
        )

    def crop(self, rows: NDArray[np.intp] | slice, columns: NDArray[np.intp] | slice) -> Raster:
        """Return rows and columns in any order, without what is known of the bands but nodata and mask."""
        at: Any = np.s_[:, rows, columns]
        if not (isinstance(rows, slice) and isinstance(columns, slice)):
            at = np.s_[:, np.arange(self.shape[0])[rows][:, None], np.arange(self.shape[1])[columns]]
        mask = None if self.mask is None else self.mask[at]
        return Raster(self.data[at], nodata=self.nodata, path=self.path, mask=mask)

    def pixels(self, chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return the bands ``(n, C)`` of the pixels that a mask ``(H, W)`` chooses, NaN where missing."""
        mask = None if self.mask is None else self.mask[:, chosen][:, :, None]
        column = Raster(self.data[:, chosen][:, :, None], nodata=self.nodata, path=self.path, mask=mask)
        return column.floats()[:, :, 0].T

    def check_finite(self, modality: str, first_row: int = 0) -> None:
        """Raise InputError if a value that is not missing is infinite or very large, with the first band.

        The square of such a value is infinite in float32, and with it the deviation of the band. Nothing
        measured is so large: it is a mark of missing values that the file does not declare.

        ``first_row`` is the number of the first row in its file.
        """
        if self.data.dtype.kind != "f":
            return
        for index, band in enumerate(self.data):
            beyond = np.abs(band) > min(MOST, float(np.finfo(band.dtype).max))
            if not beyond.any():
                continue
            beyond &= ~self.select([index]).missing()[0]
            if beyond.any():
                row, column = np.argwhere(beyond)[0]
                raise InputError(
                    f"{self.path or modality}: band {self.band_name(index)} of '{modality}' holds "
                    f"{int(beyond.sum())} values that are infinite or beyond {MOST:.2g} (the first at row "
                    f"{first_row + row}, column {column}: {band[row, column]:g}); if they mean missing, they "
                    "are to be marked as nodata (nodata in scene.yaml, --nodata for commands) or NaN"
                )


def _equal(values: NDArray, nodata: float) -> NDArray[np.bool_]:
    """Compare values with nodata; those of float64 may have been float32 before, as in a stack of both."""
    found = values == nodata
    if values.dtype == np.float64 and abs(nodata) <= LARGEST:
        found |= values == float(np.float32(nodata))
    return found
