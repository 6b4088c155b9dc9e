"""Which bands of which file are asked for, and what the file itself does not say of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.raster import Nodata

ALPHA = ("data", "mask")
OF_ARRAYS = (".mat", ".h5", ".he5", ".hdf", ".hdf5", ".nc", ".nc4")
BAND_RANGE = re.compile(r"(\d+)\s*-\s*(\d+)")
GDAL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]+:|/vsi")
"""How GDAL's names begin that are no files, such as ``NETCDF:"a.nc":b``, ``https:`` and ``/vsizip/``."""


@dataclass(frozen=True)
class RasterRequest:
    """A file, and what is stated of it; what is stated replaces what the file says.

    Attributes:
        path: a file, or what else GDAL opens (``/vsicurl/...``, ``https://...``, a subdataset's own name).
        key: the array of a MATLAB, HDF5 or NetCDF file, else empty.
        bands: those to keep, counted from 0, in this order; None for all that the file does not call bad.
        nodata: one value, or one per band of the file.
        unit: what one unit is, see ``Raster``; the file seldom tells.
        wavelengths: in nm, one per band of the file.
        scale, offset: a value is the file's number times scale plus offset; None takes the file's tags.
        alpha: what a band is that the file calls alpha: ``data``, or the ``mask`` of missing values.
        where: words that a message on what is stated begins with.
    """

    path: str
    key: str = ""
    bands: tuple[int, ...] | None = None
    nodata: Nodata | None = None
    unit: str = ""
    wavelengths: tuple[float, ...] | None = None
    scale: float | None = None
    offset: float | None = None
    alpha: str | None = None
    where: str = ""

    def __str__(self) -> str:
        return f"{self.path}: key '{self.key}'" if self.key else self.path

    def completed_by(self, other: RasterRequest) -> RasterRequest:
        """Return this request with the other's statements where it has none; path and bands stay.

        The other's key holds for files that can hold several arrays.
        """
        names = ["nodata", "unit", "scale", "offset", "alpha", "where"]
        names += ["key"] if self.path.lower().endswith(OF_ARRAYS) else []
        empty = [name for name in names if getattr(self, name) in (None, "")]
        return replace(self, **{name: getattr(other, name) for name in empty})


def parse_path(text: str) -> RasterRequest:
    """Return a request for a file as a command names it: ``FILE`` or ``FILE:KEY``.

    A file of the whole name goes first; a name of GDAL's own is taken as it is.
    """
    if not Path(text).exists() and not GDAL_NAME.match(text):
        path, colon, key = text.rpartition(":")
        if colon and key and Path(path).is_file():
            return RasterRequest(path, key)
    return RasterRequest(text)


def parse_bands(entries: Sequence[Any], where: str) -> tuple[int, ...]:
    """Return the band numbers of a list such as ``[0, 5, "7-20"]``; ranges include both ends.

    Raises:
        InputError: if an entry is something else; the message begins with ``where``.
    """
    bands: list[int] = []
    for entry in entries:
        ends = BAND_RANGE.fullmatch(entry.strip()) if isinstance(entry, str) else None
        span = range(int(ends[1]), int(ends[2]) + 1) if ends else [entry]
        if not span or not all(type(band) is int and band >= 0 for band in span):
            raise InputError(
                f"{where} has {entry!r}; a list of band numbers from 0 and of ranges such as 0-107 is "
                "expected"
            )
        bands += span
    if len(set(bands)) < len(bands):
        twice = next(band for band in bands if bands.count(band) > 1)
        raise InputError(f"{where} has {twice} twice; each band once is expected")
    return tuple(bands)
