"""Heads of files that end or hang the process in the C library that reads them, looked at before it does.

The classic NetCDF formats (NetCDF Classic Format Specification, Unidata: versions 1, 2 and 5) and the global
heaps of HDF5 (HDF5 File Format Specification, III.E).
"""

from __future__ import annotations

import math
import mmap
import os
import struct
from pathlib import Path
from typing import BinaryIO

CLASSIC = {b"CDF\1": (4, 4), b"CDF\2": (4, 8), b"CDF\5": (8, 8)}
"""Bytes of a count and of a position, by what the file begins with."""
DIMENSIONS, VARIABLES, ATTRIBUTES = 10, 11, 12
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
"""Bytes of one value of each type."""
HEAP = b"GCOL\1\0\0\0"
SEARCHED = 2**26  # bytes at a file's beginning, where libraries put what describes the arrays


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


def check_heaps(path: str | Path) -> None:
    """Check the heaps of an HDF5 file: one with free space of no size is gone through for ever.

    Raises:
        ValueError: if there is such a heap.
        OSError: if the file cannot be read.
    """
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.find(HEAP, 0, SEARCHED)
        while start >= 0:
            (size,) = struct.unpack("<Q", content[start + 8 : start + 16].ljust(8, b"\0"))
            at, end = start + 16, min(start + size, len(content))
            while at + 16 <= end:
                index, _, _, length = struct.unpack("<HHIQ", content[at : at + 16])
                if index == 0 and length == 0:
                    raise ValueError("a heap has free space of no size")
                at += length if index == 0 else 16 + length + -length % 8
            start = content.find(HEAP, start + 8, SEARCHED)
