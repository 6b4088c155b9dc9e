"""Regions of interest that ENVI wrote as text."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.reading import library_errors, read_bytes

HEAD_BYTES = 4096
HINT = "in ENVI's ROI tool, 'Output ROIs to ASCII' with the pixels' location writes such a file"


class Region(NamedTuple):
    """One region of interest.

    Attributes:
        name: as in the file.
        color: red, green, blue; 0 to 255; or None.
        rows: of its pixels, from 0.
        columns: of its pixels, from 0.
    """

    name: str
    color: tuple[int, int, int] | None
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]


class Regions(NamedTuple):
    """The regions of a file.

    Attributes:
        regions: in the order of the file.
        shape: rows and columns of the image on which they were drawn, or None if the file does not tell.
        path: the file.
    """

    regions: tuple[Region, ...]
    shape: tuple[int, int] | None
    path: str

    def require_size(self, shape: tuple[int, int], image: str) -> None:
        """Raise InputError unless the regions belong to an image of this size; ``image`` names it."""
        if self.shape is not None and self.shape != shape:
            raise InputError(
                f"{self.path}: drawn on an image of {self.shape[0]} x {self.shape[1]} pixels (rows x "
                f"columns), but {image} has {shape[0]} x {shape[1]}; regions of this image are expected"
            )
        for region in self.regions:
            outside = (region.rows < 0) | (region.rows >= shape[0])
            outside |= (region.columns < 0) | (region.columns >= shape[1])
            if outside.any():
                raise InputError(
                    f"{self.path}: region '{region.name}' has a point at column "
                    f"{region.columns[outside][0] + 1}, row {region.rows[outside][0] + 1}, expected columns "
                    f"1..{shape[1]} and rows 1..{shape[0]}, those of {image}"
                )

    def covers(self, shape: tuple[int, int]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """Yield each name with the mask ``(H, W)`` of its pixels, in the order of the file."""
        for name in dict.fromkeys(region.name for region in self.regions):
            mask = np.zeros(shape, bool)
            for region in self.regions:
                if region.name == name:
                    mask[region.rows, region.columns] = True
            yield name, mask


def is_region_file(path: str | Path) -> bool:
    """Tell whether a file holds ENVI's regions as text, by its first lines.

    Raises:
        InputError: if it holds ENVI's regions in another form (XML, binary).
    """
    path = Path(path)
    if not os.path.isfile(path):
        return False
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.lstrip(b"\xef\xbb\xbf \r\n").startswith(b";") and b"ROI name:" in head:
        return True
    if path.suffix.lower() == ".roi" or b"<RegionsOfInterest" in head:
        form = "XML" if b"<RegionsOfInterest" in head else "a form other than text"
        raise InputError(f"{path}: regions of interest in {form}; as text they are expected ({HINT})")
    return False


def read_regions(path: str | Path) -> Regions:
    """Read regions of interest that ENVI wrote as text.

    Comments announce the regions: name, colour and number of points. The points follow region by region, one
    per line, under a line of comment that names the columns: ``ID X Y`` and others, or no line if these are
    the first three. X is the column, Y the row, from 1.

    Raises:
        InputError: if the points are not as the comments announce, or have no pixel position.
    """
    path = Path(path)
    content = read_bytes(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:  # names in the code page of the ENVI that wrote them
        text = content.decode("latin-1")
    names = [name.strip() for name in re.findall(r"^;\s*ROI name:(.*)$", text, re.MULTILINE)]
    counts = [int(count) for count in re.findall(r"^;\s*ROI npts:\s*(\d{1,18})\s*$", text, re.MULTILINE)]
    colors = re.findall(r"^;\s*ROI rgb value:\s*\{(\d{1,3}),\s*(\d{1,3}),\s*(\d{1,3})\}", text, re.MULTILINE)
    size = re.search(
        r"^;\s*File Dimensions?:\s*(\d{1,9})\s*x\s*(\d{1,9})", text, re.MULTILINE | re.IGNORECASE
    )
    if not counts or len(names) != len(counts):
        raise InputError(
            f"{path}: {len(names)} lines 'ROI name' and {len(counts)} 'ROI npts'; one of each per region is "
            f"expected ({HINT})"
        )
    rows, columns = _read_points(path, text)
    if len(rows) != sum(counts):
        raise InputError(
            f"{path}: {len(rows)} points, but its comments announce {sum(counts)} in {len(counts)} regions; "
            "it may be cut short"
        )
    ends = np.cumsum(counts)[:-1]
    told: list = (
        [tuple(map(int, color)) for color in colors] if len(colors) == len(names) else [None] * len(names)
    )
    regions = map(Region, names, told, np.split(rows, ends), np.split(columns, ends))
    return Regions(tuple(regions), size and (int(size[2]), int(size[1])), str(path))


def _read_points(path: Path, text: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows and columns of all points, from 0."""
    head, lines = ["ID", "X", "Y"], []
    for line in text.splitlines():
        words = re.sub(r"(?i)map\s+([xy])", r"map\1", line.lstrip("; ")).replace(",", " ").split()
        if words and words[0] in ("ID", "X", "Addr", "B1", "mapX", "Lat"):
            head = words
        elif words and not line.startswith(";"):
            lines.append(words)
    if not {"X", "Y"} <= set(head):
        raise InputError(
            f"{path}: the columns are {', '.join(head[:6])}; X and Y, the pixels' position, are expected "
            f"({HINT})"
        )
    places = head.index("X"), head.index("Y")
    expected = f"expected lines of {', '.join(head[:6])}"
    if any(len(line) <= max(places) for line in lines):
        raise InputError(f"{path}: {expected}, one is shorter")
    with library_errors(path, expected):
        points = np.array([[line[place] for place in places] for line in lines], float).reshape(-1, 2)
    if not (np.abs(points) < 2**53).all():
        raise InputError(f"{path}: X or Y is too large for a pixel's column and row")
    if not np.array_equal(points, np.floor(points)):
        raise InputError(f"{path}: X or Y is no whole number; the pixels' column and row from 1 are expected")
    columns, rows = points.T.astype(np.intp) - 1
    return rows, columns
