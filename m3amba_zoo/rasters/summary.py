"""What a raster holds: bands, values and missing pixels, read a few rows at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.memory import require_memory
from m3amba_zoo.rasters.array import ARRAY_FILES
from m3amba_zoo.rasters.geofile import UNREADABLE, array_name, gdal_errors
from m3amba_zoo.rasters.grid import Grid
from m3amba_zoo.rasters.indirect import open_dataset
from m3amba_zoo.rasters.opening import OpenRaster
from m3amba_zoo.rasters.raster import Raster
from m3amba_zoo.rasters.request import RasterRequest

BYTES_AT_ONCE = 2**25
FILLS = (0.0, -9999.0, -32768.0, 65535.0, -99999.0)
"""Values by which files mark missing pixels without saying so; ``check_finite`` refuses very large ones."""
MANY = 0.001
"""The share of pixels from which such a value is worth a word."""
SIMULATED_TAG = "SIMULATED"
"""A raster with this tag is simulated; what is made of it says so, too."""
FEW_VARYING = 1e-6
"""A band whose deviation is below this share of its mean is constant (``Standardize`` refuses it)."""


class RasterSummary(NamedTuple):
    """What a raster holds.

    Attributes:
        header: names, wavelengths, numbers, nodata and unit of the bands, without rows.
        grid: where the pixels lie.
        low, high: smallest and largest value of each band, ``(C,)`` float64; NaN for a band without a value.
        unseen: the pixels without a value in any band, ``(H, W)``.
        incomplete: how many pixels have values in some bands and lack them in others.
        fill: a value that fills all bands of more than a thousandth of the pixels, and of how many; None if
            there is none, or the file marks missing pixels itself.
    """

    header: Raster
    grid: Grid
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    unseen: NDArray[np.bool_]
    incomplete: int
    fill: tuple[float, int] | None


class FileFacts(NamedTuple):
    """What a file says that ``open_raster`` does not use: the unit of all bands, if they share one."""

    unit: str = ""
    simulated: bool = False


def summarize(opened: OpenRaster, modality: str) -> RasterSummary:
    """Read a raster once and say what it holds.

    Raises:
        InputError: if the file is damaged or larger than the memory that is free, or a value is infinite.
    """
    bands, (height, width) = len(opened.header.data), opened.grid.shape
    low, high = np.full(bands, np.inf), np.full(bands, -np.inf)
    require_memory(opened.path, height * width, f"a mask of {height} x {width} pixels")
    unseen = np.zeros((height, width), bool)
    incomplete, filled = 0, np.zeros(len(FILLS), np.int64)
    for first, last in strips(opened):
        raster = opened.read(first, last)
        raster.check_finite(modality, first)
        missing = raster.missing()
        lacking = missing.any(axis=0)
        unseen[first:last] = missing.all(axis=0)
        incomplete += int((lacking & ~unseen[first:last]).sum())
        for band, (values, absent) in enumerate(zip(raster.data, missing, strict=True)):
            present = values[~absent] if lacking.any() else values
            if present.size:
                low[band] = min(low[band], float(present.min()))
                high[band] = max(high[band], float(present.max()))
        same = (raster.data == raster.data[0]).all(axis=0) & ~lacking
        with np.errstate(over="ignore"):
            first_band = raster.data[0][same].astype(np.float32)  # as most files hold such values
            filled += [np.count_nonzero(first_band == np.float32(value)) for value in FILLS]
    empty = low > high
    low[empty] = high[empty] = np.nan
    if bands == 1:
        filled[FILLS.index(0.0)] = 0  # a single band can well be 0: flat ground, no return
    most = int(filled.argmax())
    is_marked = unseen.any() or low.min() == high.max()
    fill = None if is_marked or filled[most] <= MANY * unseen.size else (FILLS[most], int(filled[most]))
    return RasterSummary(opened.header, opened.grid, low, high, unseen, incomplete, fill)


def constant_bands(opened: OpenRaster, chosen: NDArray[np.bool_]) -> list[int]:
    """Return the positions of the bands that are missing or constant over the pixels that a mask chooses.

    No model can be fitted to such a band, see ``Standardize``.

    Args:
        opened: the raster.
        chosen: the pixels, ``(H, W)``.
    """
    bands = len(opened.header.data)
    count, origin = np.zeros(bands), np.full(bands, np.nan)
    total, squares = np.zeros(bands), np.zeros(bands)
    for first, last in strips(opened):
        if not chosen[first:last].any():
            continue
        pixels = opened.read(first, last).pixels(chosen[first:last]).astype(np.float64)
        present = ~np.isnan(pixels)
        new = np.isnan(origin) & present.any(axis=0)
        origin[new] = pixels[present.argmax(axis=0), np.arange(bands)][new]
        away = np.where(present, pixels - origin, 0)  # from a value of the band, for the sake of digits
        count += present.sum(axis=0)
        total += away.sum(axis=0)
        squares += (away**2).sum(axis=0)
    with np.errstate(all="ignore"):
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
        varies = deviation > FEW_VARYING * np.abs(origin + mean)
    return np.flatnonzero(~varies).tolist()


def file_facts(request: RasterRequest) -> FileFacts:
    """Read the bands' unit and whether the pixels are simulated from a file's own metadata.

    Raises:
        InputError: if GDAL cannot read the file.
    """
    if request.parts:
        facts = [file_facts(part) for part in request.parts]
        units = {one.unit for one in facts}
        return FileFacts(units.pop() if len(units) == 1 else "", any(one.simulated for one in facts))
    if request.path.lower().endswith(ARRAY_FILES):
        return FileFacts()
    name = array_name(request.path, request.key) if request.key else request.path
    with gdal_errors(str(request), UNREADABLE), open_dataset(name) as file:
        units = {unit or "" for unit in file.units}
        return FileFacts(units.pop() if len(units) == 1 else "", SIMULATED_TAG in file.tags())


def strips(opened: OpenRaster) -> list[tuple[int, int]]:
    """Return first and last row (excluded) of strips of about 32 MiB."""
    height, width = opened.grid.shape
    of_row = max(1, opened.bands_in_file * width * opened.header.data.dtype.itemsize)
    rows = max(1, min(height, BYTES_AT_ONCE // of_row))
    return [(first, min(first + rows, height)) for first in range(0, height, rows)]


def written_bands(numbers: list[int]) -> list[int | str]:
    """Write band numbers as ``parse_bands`` reads them: runs of three or more in order as ranges."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    written: list[int | str] = []
    for run in runs:
        written += [f"{run[0]}-{run[-1]}"] if len(run) > 2 else run
    return written
