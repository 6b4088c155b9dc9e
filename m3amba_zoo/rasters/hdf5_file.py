"""HDF5 files opened after a look at what hangs their reader, or leads it to other files.

The global heaps are those of the HDF5 File Format Specification, III.E. A file from a stranger must not have
other files read.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any

import h5py

from m3amba_zoo.errors import InputError

HEAP = b"GCOL\1\0\0\0"
SEARCHED = 2**26  # bytes at a file's beginning, where libraries put what describes the arrays
WITHIN = (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT)
EXPECTED = "an HDF5 file that holds its arrays itself is expected (h5repack and h5copy make one)"


def open_checked(path: str | Path, **options: Any) -> h5py.File:
    """Open a file for reading.

    Args:
        path: of the file.
        **options: of ``h5py.File``.

    Raises:
        InputError: if a link leads to another file; the message names it.
        ValueError: if a heap has free space of no size.
        OSError: if the file cannot be read.
    """
    _check_heaps(path)
    file = h5py.File(path, "r", **options)
    try:
        _check_links(file)
    except BaseException:
        file.close()
        raise
    return file


def check_array(array: h5py.Dataset) -> None:
    """Check that the values of an array lie in its own file.

    Raises:
        InputError: if they are those of other files, raw ones or HDF5.
    """
    plist = array.id.get_create_plist()
    others = [
        name.decode("utf-8", "replace")
        for name, *_ in map(plist.get_external, range(plist.get_external_count()))
    ]
    if plist.get_layout() == h5py.h5d.VIRTUAL:
        others += [
            name for name in map(plist.get_virtual_filename, range(plist.get_virtual_count())) if name != "."
        ]
    if others:
        raise InputError(
            f"{array.file.filename}: the values of '{array.name}' lie in another file, {others[0]}; "
            f"{EXPECTED}"
        )


def _check_heaps(path: str | Path) -> None:
    """Raise ValueError if a heap has free space of no size, which is gone through for ever."""
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


def _check_links(file: h5py.File) -> None:
    """Raise InputError if a link of a file leads to another one; none is followed."""
    outside: list[bytes] = []

    def visit(name: bytes, about: h5py.h5l.LinkInfo) -> None:
        if about.type not in WITHIN:
            outside.append(name)

    file.id.links.visit(visit, info=True)
    if outside:
        name = outside[0].decode("utf-8", "replace")
        raise InputError(f"{file.filename}: '{name}' is a link to another file; {EXPECTED}")
