"""One way to open a raster, a file or an array in memory, for training and for prediction.

What is stated (``RasterRequest``) goes before what the file says; both are applied here: bands, nodata,
masks, scale and offset, names and wavelengths.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.array import ARRAY_FILES, ArrayStore, read_array_file
from m3amba_zoo.rasters.geofile import GeoFile
from m3amba_zoo.rasters.grid import Grid
from m3amba_zoo.rasters.raster import Nodata, Raster
from m3amba_zoo.rasters.request import RasterRequest

logger = logging.getLogger(__name__)
GivenRaster = str | Path | RasterRequest | NDArray | Raster
Store = GeoFile | ArrayStore


def open_raster(given: GivenRaster, modality: str = "", expected: int | None = None) -> OpenRaster:
    """Open a file, or take an array ``(C, H, W)`` or ``(H, W)`` (numpy, masked or not) or a Raster.

    Args:
        given: the file, as path or request, or the array.
        modality: its name, for messages on arrays.
        expected: how many bands a model takes, if that is known: it tells whether a band that the file calls
            alpha is data.

    Raises:
        InputError: if the file is absent, damaged or does not fit what is stated of it; or an array has
            another number of axes, or is not of real numbers.
    """
    if isinstance(given, (str, Path)):
        given = RasterRequest(str(given))
    if isinstance(given, RasterRequest):
        of_array = given.path.lower().endswith(ARRAY_FILES)
        return OpenRaster(ArrayStore(read_array_file(given)) if of_array else GeoFile(given), given, expected)
    if not isinstance(given, Raster):
        data = given[None] if given.ndim == 2 else given
        mask = np.ma.getmask(data)
        given = Raster(
            np.ma.getdata(data),
            path=f"the array of '{modality}'",
            mask=None if mask is np.ma.nomask else np.asarray(mask),
        )
    path = given.path or f"the raster of '{modality}'"
    if given.data.dtype.kind not in "biuf":
        raise InputError(f"{path}: holds {given.data.dtype}; real numbers are expected")
    opened = OpenRaster(ArrayStore(given.data, given.mask), RasterRequest(path, nodata=given.nodata))
    opened.header = replace(opened.header, bands=given.bands, wavelengths=given.wavelengths, unit=given.unit)
    return opened


def log_remarks(opened: Iterable[OpenRaster]) -> None:
    """Log what was left out or guessed when rasters were opened."""
    for raster in opened:
        for remark in raster.remarks:
            logger.warning("%s", remark)


class OpenRaster:
    """A raster of which rows can be read, with what is known of its bands.

    Attributes:
        path: as messages name it.
        stated: what was stated of the file.
        grid: where its pixels lie.
        header: a Raster without rows: names, wavelengths, numbers, nodata and unit of the bands, and their
            dtype.
        bands_in_file: how many bands the file has, kept or not.
        remarks: sentences on what was left out or guessed, each with the file's name.
    """

    def __init__(self, store: Store, request: RasterRequest, expected: int | None = None) -> None:
        """Take a store's pixels; the store is closed if that fails. See ``open_raster``."""
        self.path, self.stated, self._store = str(request), request, store
        self.bands_in_file = store.count
        self.grid = Grid(store.shape, store.crs, store.transform, self.path)
        self.remarks: list[str] = []
        self._by_alpha = False
        try:
            if store.bands.remark:
                self._remark(store.bands.remark)
            self._kept = self._choose(expected)
            self._nodata = self._nodata_of_file()
            self._scale, self._offset = self._scaling_of_file()
            self.header = self._describe()
        except BaseException:
            store.close()
            raise

    def __enter__(self) -> OpenRaster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    @property
    def may_lack_values(self) -> bool:
        """Whether values can be missing at all, as far as is known without reading them."""
        return self.header.may_lack_values or self._by_alpha or self._store.has_mask

    def select(self, bands: Sequence[int]) -> None:
        """Keep only these of the kept bands, in this order."""
        self._kept = [self._kept[band] for band in bands]
        self.header = self.header.select(bands)

    def read(self, first: int = 0, last: int | None = None) -> Raster:
        """Read rows ``first .. last - 1``, by default all, of the kept bands.

        If any band has a scale or an offset, all are float32, NaN where missing; else of the file's dtype.

        Raises:
            InputError: if the file is damaged.
        """
        last = self.grid.shape[0] if last is None else last
        data = self._store.read(self._kept, first, last)
        if self._by_alpha:
            mask = self._store.read(self._store.alpha[:1], first, last) == 0
        else:
            mask = self._store.missing(self._kept, first, last)
        if mask is not None and not mask.any():
            mask = None
        if not self._is_scaled:
            return replace(self.header, data=data, mask=mask)
        missing = Raster(data, nodata=self._of_kept(self._nodata), mask=mask).missing()
        values = data * self._scale[self._kept, None, None] + self._offset[self._kept, None, None]
        values = values.astype(np.float32)
        values[missing] = np.nan
        return replace(self.header, data=values)

    def block_bytes(self, rows: int) -> int:
        """Return the size of the file's blocks that so many adjacent rows touch; 0 for a raster in memory."""
        return self._store.block_bytes(rows)

    @property
    def _is_scaled(self) -> bool:
        return bool((self._scale != 1).any() or (self._offset != 0).any())

    def _of_kept(self, of_file: Sequence[float | None]) -> tuple[float | None, ...]:
        return tuple(of_file[band] for band in self._kept)

    def _describe(self) -> Raster:
        """Return the header of the kept bands."""
        wavelengths, stated = self._store.bands.wavelengths, self.stated.wavelengths
        if stated is not None:
            if len(stated) != self.bands_in_file:
                raise InputError(
                    f"{self.stated.where}: 'wavelengths' has {len(stated)} numbers, but {self.path} has "
                    f"{self.bands_in_file} bands; one per band of the file is expected"
                )
            wavelengths = np.array(stated, np.float64)
        dtype = np.dtype(np.float32) if self._is_scaled else self._store.dtype
        header = Raster(
            np.empty((self.bands_in_file, 0, self.grid.shape[1]), dtype),
            self._store.bands.names,
            wavelengths,
            unit=self.stated.unit,
            path=self.path,
            bands_in_file=self.bands_in_file,
        ).select(self._kept)
        return replace(header, nodata=None if self._is_scaled else _shortened(self._of_kept(self._nodata)))

    def _choose(self, expected: int | None) -> list[int]:
        """Return the numbers of the bands to keep: those stated, else all but alpha and bad ones."""
        stated, count, alpha = self.stated, self.bands_in_file, self._store.alpha
        marked_bad = self._store.bands.bad
        self._by_alpha = bool(alpha) and stated.alpha == "mask"
        if stated.bands is not None:
            if max(stated.bands) >= count:
                raise InputError(
                    f"{stated.where}: 'bands' has {max(stated.bands)}, but {self.path} has {count} bands; "
                    f"numbers from 0 to {count - 1} are expected"
                )
            if bad := [band for band in stated.bands if band in marked_bad]:
                self._remark(f"{_in_words(bad)} asked for, though the file calls it bad (bbl)")
            return list(stated.bands)
        kept = [band for band in range(count) if band not in marked_bad]
        if not kept or expected == count:
            kept = list(range(count))
        elif marked_bad:
            self._remark(f"{_in_words(marked_bad)} left out, the file calls it bad (bbl)")
        if alpha and stated.alpha != "data":
            data = [band for band in kept if band not in alpha]
            if stated.alpha == "mask" or (data and len(data) == expected):
                self._by_alpha, kept = True, data
            elif len(kept) != expected:
                raise InputError(
                    f"{self.path}: the file calls band {alpha[0]} (of 0 to {count - 1}) alpha; say whether "
                    "it is data, such as near infrared, or the mask of missing pixels: alpha: data or "
                    "alpha: mask in scene.yaml, --alpha for predict"
                )
        return kept

    def _nodata_of_file(self) -> tuple[float | None, ...]:
        """Return the nodata value of each band of the file."""
        stated = self.stated.nodata
        if stated is None:
            return self._store.nodata
        own = {value for value in self._store.nodata if value is not None and value == value}
        if other := own - set(stated if isinstance(stated, tuple) else (stated,)):
            self._remark(f"nodata is {_listed(stated)} as stated, not {_listed(tuple(other))} as in the file")
        if not isinstance(stated, tuple):
            return (stated,) * self.bands_in_file
        if len(stated) != self.bands_in_file:
            raise InputError(
                f"{self.stated.where}: 'nodata' has {len(stated)} numbers, but {self.path} has "
                f"{self.bands_in_file} bands; one number, or one per band of the file, is expected"
            )
        return stated

    def _scaling_of_file(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return scale and offset of each band of the file."""
        scale, offset = self._store.scales, self._store.offsets
        if self.stated.scale is not None:
            scale = np.full_like(scale, self.stated.scale)
        if self.stated.offset is not None:
            offset = np.full_like(offset, self.stated.offset)
        unstated = self.stated.scale is None or self.stated.offset is None
        if unstated and ((scale != 1).any() or (offset != 0).any()):
            self._remark(f"values are the file's numbers x {scale[0]:g} + {offset[0]:g}, by its own tags")
        return scale, offset

    def _remark(self, sentence: str) -> None:
        self.remarks.append(f"{self.path}: {sentence}")


def _shortened(nodata: tuple[float | None, ...]) -> Nodata | None:
    """Return one value for bands of one value."""
    first = nodata[0]
    alike = all(value == first or (first != first and value != value) for value in nodata)
    return first if alike else nodata


def _listed(nodata: Nodata) -> str:
    values = nodata if isinstance(nodata, tuple) else (nodata,)
    return ", ".join("none" if value is None else f"{value:g}" for value in values)


def _in_words(bands: Sequence[int]) -> str:
    return f"band {bands[0]} is" if len(bands) == 1 else f"bands {', '.join(map(str, bands))} are"
