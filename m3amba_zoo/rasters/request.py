"""Which bands of which file are asked for, and what the file itself does not say of them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.raster import Nodata

ALPHA = ("data", "mask")
ALIGN = ("bilinear", "cubic", "nearest", "average")
_OF_SEVERAL = (".mat", ".npz", ".h5", ".he5", ".hdf", ".hdf5", ".nc", ".nc4")
OF_ARRAYS = {"key": _OF_SEVERAL, "axes": (*_OF_SEVERAL, ".npy")}
"""Suffixes of the files for which a statement on arrays can hold."""
STATEMENTS = ("key", "nodata", "unit", "scale", "offset", "alpha", "align", "axes")
"""What is part of a model: prediction reads a user's files as training's were read."""
BAND_RANGE = re.compile(r"(\d{1,9})\s*-\s*(\d{1,9})")
MOST_NUMBERS = 2**16  # of bands, as many as GDAL opens of a file
GIVEN = "a file, a list of files to be stacked, or an array (bands, rows, columns)"
GDAL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]+:|/vsi")
"""How GDAL's names begin that are no files, such as ``NETCDF:"a.nc":b``, ``https:`` and ``/vsizip/``."""


@dataclass(frozen=True)
class RasterRequest:
    """A file, or several to be stacked, and what is stated of it; what is stated replaces what the file says.

    Attributes:
        path: a file, or what else GDAL opens (``/vsicurl/...``, ``https://...``, a subdataset's own name); of
            several files, their paths with commas.
        key: the array of a MATLAB, HDF5 or NetCDF file, else empty.
        bands: those to keep, counted from 0, in this order; None for all that the file does not call bad.
        nodata: one value, or one per band of the file; the file's own marks missing values, too.
        unit: what one unit is, see ``Raster``; the file seldom tells.
        wavelengths: in nm, one per band of the file.
        scale, offset: a value is the file's number times scale plus offset; None takes the file's tags.
        alpha: what a band is that the file calls alpha: ``data``, or the ``mask`` of missing values.
        align: how to interpolate if the file lies on another grid than the reference; None refuses it.
        axes: of an array whose file does not name them, see ``parse_axes``.
        crs: of its coordinates; no part of a model, whose other rasters may lie elsewhere.
        grid: whether its grid is the reference of the other rasters.
        parts: the files to be stacked, in this order. Bands, nodata in a list and wavelengths count over the
            stack; all else holds for those parts that do not state it themselves.
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
    align: str | None = None
    axes: str | None = None
    crs: str | None = None
    grid: bool = False
    parts: tuple[RasterRequest, ...] = ()
    where: str = ""

    def __str__(self) -> str:
        if self.parts:
            return f"{self.parts[0]} (and {len(self.parts) - 1} more)"
        return f"{self.path}: key '{self.key}'" if self.key else self.path

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of all files."""
        return tuple(part.path for part in self.parts) or (self.path,)

    def completed_by(self, other: RasterRequest) -> RasterRequest:
        """Return this request with the other's statements where it has none; path, bands and parts stay.

        The other's key and axes hold for files of arrays; the statements of its parts hold if there are as
        many of them.
        """
        unfit = {name for name, suffixes in OF_ARRAYS.items() if not self.path.lower().endswith(suffixes)}
        empty = [name for name in (*STATEMENTS, "where") if getattr(self, name) in (None, "")]
        empty = [name for name in empty if name not in unfit]
        parts = self.spread().parts  # what is stated here of all files goes before what is there of each
        if len(parts) == len(other.parts):
            pairs = zip(parts, other.parts, strict=True)
            parts = tuple(part.completed_by(of_other) for part, of_other in pairs)
        return replace(self, parts=parts, **{name: getattr(other, name) for name in empty})

    def spread(self) -> RasterRequest:
        """Return this request with parts that state what is stated of them all, unless they state it.

        Raises:
            InputError: if ``nodata`` is a list of other than one number per file.
        """
        if not self.parts:
            return self
        nodata = self.nodata if isinstance(self.nodata, tuple) else (self.nodata,) * len(self.parts)
        if len(nodata) != len(self.parts):
            raise InputError(
                f"{self.where}: 'nodata' has {len(nodata)} numbers for {len(self.parts)} files; one number, "
                "or one per file, is expected"
            )
        common = replace(self, parts=(), unit="")
        pairs = zip(self.parts, nodata, strict=True)
        parts = (part.completed_by(replace(common, nodata=value)) for part, value in pairs)
        return replace(self, parts=tuple(replace(part, crs=part.crs or self.crs) for part in parts))

    def stated(self) -> dict[str, Any]:
        """Return what is part of a model as values of JSON, see ``from_stated``."""
        found = {name: value for name in STATEMENTS if (value := getattr(self, name)) not in (None, "")}
        if self.grid:
            found["grid"] = True
        if parts := [part.stated() for part in self.parts]:
            found["parts"] = parts
        return found

    @classmethod
    def from_stated(cls, stated: Mapping[str, Any]) -> RasterRequest:
        """Return the request, without a path, of which ``stated`` returned this; skip unknown names."""
        known = {name: stated[name] for name in (*STATEMENTS, "grid") if name in stated}
        known = {name: tuple(value) if isinstance(value, list) else value for name, value in known.items()}
        return cls("", parts=tuple(map(cls.from_stated, stated.get("parts", ()))), **known)


def parse_path(text: str) -> RasterRequest:
    """Return a request for files as a command names them: ``FILE``, ``FILE:KEY``, or several with commas.

    A file of the whole name goes first; a name of GDAL's own is taken as it is, unless all that its commas
    part are files or such names.
    """
    if os.path.exists(text):
        return RasterRequest(text)
    names = [name.strip() for name in text.split(",")]
    if len(names) > 1 and (not GDAL_NAME.match(text) or all(map(_is_name, names))):
        return stack([parse_path(name) for name in names if name])
    if not GDAL_NAME.match(text):
        path, colon, key = text.rpartition(":")
        if colon and key and os.path.isfile(path):
            return RasterRequest(path, key)
    return RasterRequest(text)


def request_of(given: Any, whose: str) -> Any:
    """Return a request for a file, or for a list of files to be stacked; anything else as it is.

    Raises:
        InputError: if it is empty, or a list of other things.
    """
    if isinstance(given, (str, Path)) and str(given):
        return parse_path(str(given))
    if isinstance(given, (list, tuple)) and given and all(isinstance(path, (str, Path)) for path in given):
        return stack([parse_path(str(path)) for path in given])
    if isinstance(given, (str, list, tuple)):
        inside = f" of {type(given[0]).__name__}" if given else ""
        raise InputError(
            f"{whose} is {'' if given else 'an empty '}{type(given).__name__}{inside}; {GIVEN} is expected"
        )
    return given


def check_align(where: str, method: str | None) -> str | None:
    """Return the name of a method that ``align`` knows, or None.

    Raises:
        InputError: if it is another one; the message begins with ``where``.
    """
    if method not in (None, *ALIGN):
        raise InputError(f"{where}: '{method}', expected {', '.join(ALIGN[:-1])} or {ALIGN[-1]}")
    return method


def stack(parts: Sequence[RasterRequest], **stated: Any) -> RasterRequest:
    """Return a request for files to be stacked, with what is stated of them all."""
    return RasterRequest(",".join(part.path for part in parts), parts=tuple(parts), **stated)


def _is_name(text: str) -> bool:
    """Tell whether a text names a file, an array in one, or what else GDAL opens."""
    path, colon, _ = text.rpartition(":")
    return bool(GDAL_NAME.match(text)) or os.path.exists(text) or (bool(colon) and os.path.isfile(path))


def parse_bands(entries: Sequence[Any], where: str) -> tuple[int, ...]:
    """Return the band numbers of a list such as ``[0, 5, "7-20"]``; ranges include both ends.

    Raises:
        InputError: if an entry is something else; the message begins with ``where``.
    """
    bands: list[int] = []
    for entry in entries:
        ends = BAND_RANGE.fullmatch(entry.strip()) if isinstance(entry, str) else None
        span = range(int(ends[1]), int(ends[2]) + 1) if ends else [entry]
        if len(bands) + len(span) > MOST_NUMBERS:
            raise InputError(
                f"{where} names {len(bands) + len(span):,} bands, at most {MOST_NUMBERS:,} are expected"
            )
        if not span or not all(type(band) is int and band >= 0 for band in span):
            raise InputError(
                f"{where} has {entry!r}; a list of band numbers from 0 and of ranges such as 0-107 is "
                "expected"
            )
        bands += span
    if len(set(bands)) < len(bands):
        twice = Counter(bands).most_common(1)[0][0]
        raise InputError(f"{where} has {twice} twice; each band once is expected")
    return tuple(bands)
