"""The place of a TIFF file by its tags alone, so that tiles of one place ask PROJ for their CRS once."""

from __future__ import annotations

import os
import struct
from pathlib import Path

GEO_TAGS = {33550: 8, 33922: 8, 34264: 8, 34735: 2, 34736: 8, 34737: 1}
"""GeoTIFF's tags and their bytes per value: scale, tie points, matrix, keys, their numbers and texts."""

GEOREFERENCING = ("tfw", "tifw", "wld", "tab", "aux")
"""Suffixes, in place of the raster's own, of files from which GDAL may take a georeference."""


def geo_tags(path: str | Path) -> tuple[bytes, ...]:
    """Return the tags that alone place a classic TIFF file on the earth; empty for any other file.

    They do if they hold a whole transform and no other file lies beside that could give another one.
    """
    path = Path(path)
    if not os.path.isfile(path):
        return ()
    beside = [path.with_suffix(f".{end}") for suffix in GEOREFERENCING for end in (suffix, suffix.upper())]
    beside += [Path(f"{path}.aux.xml"), Path(f"{path}.xml")]
    if any(other.exists() for other in beside):
        return ()
    try:
        with path.open("rb") as file:
            order = {b"II*\0": "<", b"MM\0*": ">"}.get(file.read(4))
            if order is None:
                return ()
            file_size = path.stat().st_size
            file.seek(*struct.unpack(f"{order}I", file.read(4)))
            (count,) = struct.unpack(f"{order}H", file.read(2))
            found, numbers = [order.encode()], {}
            for tag, _, number, start in struct.iter_unpack(f"{order}HHII", file.read(12 * count)):
                if size := GEO_TAGS.get(tag, 0) * number:
                    if size > file_size:
                        return ()
                    numbers[tag] = number
                    file.seek(start)
                    value = file.read(size) if size > 4 else struct.pack("I", start)
                    found.append(struct.pack("II", tag, size) + value)
    except (OSError, struct.error):  # absent or cut short, as the reader will say
        return ()
    one_tie_point = 33550 in numbers and numbers.get(33922) == 6
    return tuple(found) if 34264 in numbers or one_tie_point else ()
