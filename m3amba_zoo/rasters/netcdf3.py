"""Classic NetCDF files: their header, which is checked before GDAL reads it, and the order of their axes.

A damaged header ends the process in the C library that GDAL reads it with (NetCDF Classic Format
Specification, Unidata: versions 1, 2 and 5). Of the axes GDAL does not tell.
"""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path
from typing import BinaryIO

import scipy.io
from rasterio.io import DatasetReader

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.coordinates import axis_of
from m3amba_zoo.reading import library_errors

CLASSIC = {b"CDF\1": (4, 4), b"CDF\2": (4, 8), b"CDF\5": (8, 8)}
"""Bytes of a count and of a position, by what the file begins with."""
DIMENSIONS, VARIABLES, ATTRIBUTES = 10, 11, 12
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
"""Bytes of one value of each type."""


def check_classic(path: str | Path) -> None:
    """Check the header of a classic NetCDF file; other files pass.

    Raises:
        ValueError: if it is damaged.
        OSError, EOFError: likewise.
    """
    if not os.path.isfile(path):
        return
    with Path(path).open("rb") as file:
        if sizes := CLASSIC.get(file.read(4)):
            _Classic(file, *sizes, os.path.getsize(path)).check()


class _Classic:
    def __init__(self, file: BinaryIO, count: int, position: int, size: int) -> None:
        self._file, self._count, self._position, self._size = file, count, position, size

    def check(self) -> None:
        self._number()  # of records, or that it is not known
        dimensions = [self._dimension() for _ in range(self._listed(DIMENSIONS))]
        self._attributes()
        for _ in range(self._listed(VARIABLES)):
            self._name()
            axes = [self._number() for _ in range(self._number())]
            if any(axis >= len(dimensions) for axis in axes):
                raise ValueError(f"a variable on dimension {max(axes)} of {len(dimensions)}")
            self._attributes()
            size = SIZES.get(self._integer(4), 0)
            self._number()  # its bytes, which writers get wrong
            begin = self._integer(self._position)
            fixed = (
                math.prod(dimensions[axis] for axis in axes) * size
            )  # one record of those that have records
            if not size or begin + min(fixed, self._size) > self._size + 3:
                raise ValueError(f"a variable of type or place that the file does not have, at {begin}")

    def _dimension(self) -> int:
        self._name()
        return self._number() or 1  # 0 is that of records

    def _attributes(self) -> None:
        for _ in range(self._listed(ATTRIBUTES)):
            self._name()
            size = SIZES.get(self._integer(4), 0)
            if not size:
                raise ValueError("an attribute of an unknown type")
            self._skip(self._number() * size)

    def _listed(self, expected: int) -> int:
        kind, count = self._integer(4), self._number()
        if kind != (expected if count else kind) or kind not in (0, expected):
            raise ValueError(f"a list of kind {kind}, expected {expected}")
        if count > self._size:
            raise ValueError(f"a list of {count}")
        return count

    def _name(self) -> None:
        self._skip(self._number())

    def _number(self) -> int:
        return self._integer(self._count)

    def _integer(self, size: int) -> int:
        data = self._file.read(size)
        if len(data) < size:
            raise EOFError("the header ends early")
        return int.from_bytes(data, "big")

    def _skip(self, size: int) -> None:
        size += -size % 4
        if size > self._size - self._file.tell():
            raise ValueError(f"{size} bytes, more than are left")
        self._file.seek(size, os.SEEK_CUR)


def classic_axes(file: DatasetReader) -> list[str | None]:
    """Return which axis each dimension of a file's array is, see ``axis_of``; empty for other files.

    Args:
        file: opened by GDAL.
    """
    name = file.tags(1).get("NETCDF_VARNAME") if file.driver == "netCDF" and file.count else None
    if name is None:
        return []
    with contextlib.suppress(InputError), library_errors(file.name, "of another version, or no file"):
        with scipy.io.netcdf_file(file.files[0], "r", mmap=True) as opened:
            variables = opened.variables
            attributes = {key: dict(value._attributes) for key, value in variables.items()}
            dimensions = variables[name].dimensions
            del variables
        return [axis_of(dimension, attributes.get(dimension)) for dimension in dimensions]
    return []
