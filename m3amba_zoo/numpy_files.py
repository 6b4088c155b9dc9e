"""What NumPy files declare, compared with what they hold and with the memory that is free."""

from __future__ import annotations

import math
import zipfile
from typing import IO

from numpy.lib import format as npy

from m3amba_zoo.memory import require_memory

HEADS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
"""How to read the head of each version; the third one is for names of fields that are not latin."""


def check_arrays(file: IO[bytes], path: object, name: str = "") -> None:
    """Check an ``.npy`` or ``.npz`` file before numpy asks for memory; other files pass.

    Args:
        file: at its beginning, and left there.
        path: for messages.
        name: of the array in an ``.npz`` file that is to be read; empty or unknown: all are.

    Raises:
        InputError: if the arrays would take more memory than is free.
        ValueError: if one declares more than the file holds.
        OSError, zipfile.BadZipFile: if the file is damaged.
    """
    magic = file.read(len(npy.MAGIC_PREFIX))
    size = file.seek(0, 2)
    file.seek(0)
    if magic == npy.MAGIC_PREFIX:
        require_memory(path, _declared(file, size), "its array")
    elif magic[:2] == b"PK":
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            wanted = [member for member in members if member.filename.removesuffix(".npy") == name]
            total = 0
            for member in wanted or members:
                with archive.open(member) as part:
                    total += _declared(part, member.file_size)
            require_memory(path, total, "what it unfolds to")
    file.seek(0)


def _declared(file: IO[bytes], size: int) -> int:
    """Return the bytes that reading a file or member takes: of its array, or all if it is none."""
    if file.read(len(npy.MAGIC_PREFIX)) != npy.MAGIC_PREFIX:
        return size
    version = tuple(file.read(2))
    if version not in HEADS:
        raise ValueError(f"an array of version {'.'.join(map(str, version))}, expected 1.0 or 2.0")
    shape, _, dtype = HEADS[version](file)
    needed = math.prod(shape) * dtype.itemsize
    if needed > size and not dtype.hasobject:  # those are refused as what they are
        raise ValueError(f"{needed:,} bytes of {dtype} {shape} declared, but the file has {size:,}")
    return needed
