"""The elements of MATLAB v5 files (v6 and v7 are the same), checked before scipy reads them.

scipy's reader takes types and classes of arrays for indices into tables in memory, without a look at whether
they are there: a damaged file ends the process. Here each element's type and size are compared with what the
format knows and with the file's length (MAT-File Format, MathWorks R2024a, chapter 1).
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from m3amba_zoo.errors import InputError
from m3amba_zoo.memory import require_memory

HEADER = 128
MATRIX, COMPRESSED = 14, 15
SIZES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8, 16: 1, 17: 2, 18: 4}
"""Bytes of one number of each type of data."""
INT8, INT32, UINT32 = (1, 16), (5, 6), (6,)
CELL, STRUCT, OBJECT, CHAR, SPARSE, FUNCTION, OPAQUE = 1, 2, 3, 4, 5, 16, 17
CLASSES = range(1, 18)
DEEPEST = 100
MOST_AXES = 32
MOST_PARTS = 10**6
"""Of all cells and structs: each takes microseconds and hundreds of bytes."""
LARGEST_RATIO = 1040  # of zlib: 1032 and its header


def check_elements(path: str | Path, name: str | None = None) -> None:
    """Check the head of each variable, and all of the one that is read; files of version 4 pass.

    Args:
        path: of a MATLAB file that is not HDF5.
        name: of the variable that scipy will read; None if it reads none.

    Raises:
        InputError: if the variable that is read has too many parts, or unfolds to more memory than is free.
        ValueError: if an element is damaged or cut short.
        OSError, EOFError, struct.error, zlib.error: likewise.
    """
    with Path(path).open("rb") as file:
        head = file.read(HEADER)
        if 0 in head[:4]:  # a file of version 4, whose reader is plain Python
            return
        order = "<" if head[126:128] == b"IM" else ">"
        end = Path(path).stat().st_size
        while file.tell() < end:
            kind, size = struct.unpack(f"{order}II", _exactly(file, 8))
            start = file.tell()
            if not 0 < size <= end - start:
                raise ValueError(f"a variable of {size} bytes, but {end - start} are left")
            if kind not in (MATRIX, COMPRESSED):
                raise ValueError(f"a variable of type {kind}")
            elements = _Elements(path, file, order, size, kind == COMPRESSED)
            if kind == COMPRESSED:
                kind, size = elements.tag()[:2]
                if kind != MATRIX:
                    raise ValueError(f"a compressed element of type {kind}")
            _check_matrix(elements, size, 0, name)
            file.seek(start + elements.stored)


def check_parts(path: str | Path, count: int) -> None:
    """Raise InputError if the cells and structs of a variable have too many parts."""
    if count > MOST_PARTS:
        raise InputError(
            f"{path}: {count:,} parts of cells and structs, at most {MOST_PARTS:,} are expected; an image as "
            "one array is"
        )


class _Elements:
    """The elements of a variable, read one after the other.

    Attributes:
        stored: bytes of the variable in the file.
        left: bytes that can follow at most.
    """

    def __init__(self, path: str | Path, file: BinaryIO, order: str, size: int, compressed: bool) -> None:
        self.path, self._file, self._order, self.stored, self._parts = path, file, order, size, 0
        self._unzip = zlib.decompressobj() if compressed else None
        self._zipped_left = size
        self.left = size * LARGEST_RATIO if compressed else size

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        if size > self.left:
            raise ValueError(f"an element of {size} bytes, but at most {self.left} are left")
        self.left -= size
        if self._unzip is None:
            return _exactly(self._file, size)
        parts = []
        while size:
            data = self._unzip.unconsumed_tail
            if not data and not self._unzip.eof:
                data = self._file.read(min(2**16, self._zipped_left))
                self._zipped_left -= len(data)
            part = self._unzip.decompress(data, min(size, 2**20)) if data else b""
            if not part and (not data or self._unzip.eof):
                raise EOFError("the compressed data end early")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def count_parts(self, count: int) -> None:
        """Raise InputError if cells and structs have too many parts."""
        self._parts += count
        check_parts(self.path, self._parts)

    def skip(self, size: int) -> None:
        """Go over the next bytes."""
        while size > 2**20:
            self.read(2**20)
            size -= 2**20
        self.read(size)

    def tag(self) -> tuple[int, int, bytes]:
        """Return an element's type, the bytes of its data, and these if they lie in the tag itself."""
        tag = self.read(8)
        kind, size = struct.unpack(f"{self._order}II", tag)
        if kind >> 16:
            size, kind = kind >> 16, kind & 0xFFFF
            if size > 4:
                raise ValueError(f"a small element of {size} bytes")
            return kind, size, tag[4 : 4 + size]
        return kind, size, b""

    def data(self, kinds: tuple[int, ...] = tuple(SIZES)) -> tuple[int, int, bytes]:
        """Return the tag of an element of numbers of one of these types; its data are the next bytes."""
        kind, size, small = self.tag()
        if kind not in kinds:
            raise ValueError(f"an element of type {kind}, expected {' or '.join(map(str, kinds))}")
        if not small and _padded(size) > self.left:
            raise ValueError(f"an element of {size} bytes, but at most {self.left} are left")
        return kind, size, small

    def short(self, kinds: tuple[int, ...]) -> bytes:
        """Return the data of a short element."""
        _, size, small = self.data(kinds)
        if size > 2**20:
            raise ValueError(f"a name or size of {size} bytes")
        return small if small or not size else self.read(_padded(size))[:size]

    def integers(self, kinds: tuple[int, ...]) -> tuple[int, ...]:
        """Return the 32-bit numbers of a short element."""
        data = self.short(kinds)
        return struct.unpack(f"{self._order}{len(data) // 4}{'I' if kinds is UINT32 else 'i'}", data)

    def go_over(self, count: int | None = None) -> None:
        """Go over an element of numbers, of which there must be ``count``, unless None."""
        kind, size, small = self.data()
        if count is not None and size != count * SIZES[kind]:
            raise ValueError(f"{size} bytes for {count} numbers of {SIZES[kind]}")
        if not small:
            self.skip(_padded(size))


def _check_matrix(elements: _Elements, size: int, depth: int, name: str | None) -> None:
    """Check an array: its head alone if it is a variable of another name."""
    if size > elements.left:
        raise ValueError(f"an array of {size} bytes, but at most {elements.left} are left")
    if depth > DEEPEST:
        raise ValueError("cells and structs are nested too deep")
    if not size:
        return  # an empty array
    flags = elements.integers(UINT32)
    if len(flags) != 2 or flags[0] & 0xFF not in CLASSES:
        raise ValueError(f"an array of class {flags[0] & 0xFF if flags else 'unknown'}")
    kind, is_complex = flags[0] & 0xFF, bool(flags[0] & 0x800)
    if kind == OPAQUE:
        names, count = [elements.short(INT8) for _ in range(3)], 1
    else:
        shape = elements.integers(INT32)
        if not 2 <= len(shape) <= MOST_AXES or min(shape) < 0:
            raise ValueError(f"an array of {' x '.join(map(str, shape)) or 'no axis'}")
        count, names = math.prod(shape), [elements.short(INT8)]
    if depth == 0:
        if names[0].decode("latin-1") != name:
            return
        require_memory(elements.path, size, f"'{name}'")
    if kind in (CELL, STRUCT, OBJECT, FUNCTION, OPAQUE):
        of_each = 1
        if kind == OBJECT:
            elements.short(INT8)
        if kind in (STRUCT, OBJECT):
            (length,) = elements.integers(INT32)
            names_size = len(elements.short(INT8))
            if length < 1 or names_size % length:
                raise ValueError(f"names of fields in {names_size} bytes, {length} each")
            of_each = names_size // length
        inner = 1 if kind == FUNCTION else count * of_each
        if 8 * max(inner, count) > elements.left + 8:
            raise ValueError(f"an array of {count} parts, but {elements.left} bytes are left")
        elements.count_parts(inner)
        for _ in range(inner):
            inner_kind, inner_size, _ = elements.tag()
            if inner_kind != MATRIX:
                raise ValueError(f"a part of type {inner_kind}, expected an array")
            _check_matrix(elements, inner_size, depth + 1, name)
    elif kind == SPARSE:
        for _ in range(3 + is_complex):
            elements.go_over()
    else:
        expected = None if kind == CHAR else count
        # what follows the last array is not read, and long arrays need not be gone through
        if depth == 0 and not is_complex:
            of_type, bytes_of_data, _ = elements.data()
            if expected is not None and bytes_of_data != expected * SIZES[of_type]:
                raise ValueError(f"{bytes_of_data} bytes for {expected} numbers of {SIZES[of_type]}")
            return
        for _ in range(1 + is_complex):
            elements.go_over(expected)


def _padded(size: int) -> int:
    return -(-size // 8) * 8


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EOFError(f"{len(data)} bytes, expected {size}")
    return data
