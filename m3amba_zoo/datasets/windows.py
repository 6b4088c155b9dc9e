"""Square windows: cut out of scenes, mirrored at the border, and laid on a grid that covers a scene."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters import Raster
from m3amba_zoo.rasters.opened import OpenRaster
from m3amba_zoo.scenes.scene import Scene, mirrored_indices


class Window(NamedTuple):
    """One window of a grid.

    Attributes:
        row, column: of the upper left corner of its T x T pixels; negative if the scene is smaller.
        inputs: float32 ``(C, T + 2 M, T + 2 M)`` by modality.
    """

    row: int
    column: int
    inputs: dict[str, NDArray[np.float32]]


class WindowGrid:
    """Windows that together cover every pixel of a scene, row by row from the top.

    Args:
        shape: H and W of the scene.
        window: T, the side of the square of pixels that get logits.
        overlap: the share of a window that the next one covers again, 0 to below 1.
        margin: M, how many pixels a model reads around the square on each side.

    Attributes:
        shape: H and W.
        window: T.
        side: T + 2 M, the side of the square that is cut out.

    Raises:
        InputError: if ``overlap`` or ``margin`` is out of range.
    """

    def __init__(self, shape: tuple[int, int], window: int, overlap: float = 0.0, margin: int = 0) -> None:
        if not 0 <= overlap < 1:
            raise InputError(f"overlap is {overlap}, expected 0 <= overlap < 1")
        if margin < 0:
            raise InputError(f"margin is {margin}, expected 0 or more pixels")
        self.shape, self.window, self.margin, self.side = shape, window, margin, window + 2 * margin
        step = max(1, round(window * (1 - overlap)))
        self._rows, self._columns = (_origins(length, window, step) for length in shape)

    def __len__(self) -> int:
        return len(self._rows) * len(self._columns)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield the row and column of each window."""
        return itertools.product(self._rows, self._columns)

    def cut(self, rasters: Mapping[str, Raster], row: int, column: int) -> dict[str, NDArray[np.float32]]:
        """Return the inputs of the window at a row and column: ``(C, side, side)`` by modality."""
        top, left = row - self.margin, column - self.margin
        return {m: cut_raster(raster, top, left, self.side) for m, raster in rasters.items()}

    def rows_of_windows(self, first: int, last: int) -> list[int]:
        """Return the upper rows of the windows that show a pixel of rows ``first .. last - 1``."""
        return [row for row in self._rows if row < last and row + self.window > first]

    def read_row(self, rasters: Mapping[str, OpenRaster], row: int) -> dict[str, Raster]:
        """Read what the windows with this upper row show: rows ``row - M`` on, ``side`` of them, mirrored.

        Raises:
            InputError: if a file is damaged.
        """
        rows = mirrored_indices(row - self.margin, self.side, self.shape[0])
        first, last = int(rows.min()), int(rows.max()) + 1
        read = {m: raster.read(first, last) for m, raster in rasters.items()}
        if len(rows) != last - first or (np.diff(rows) != 1).any():  # mirrored at the border
            read = {m: raster.crop(rows - first, slice(None)) for m, raster in read.items()}
        return {m: Raster(raster.floats()) for m, raster in read.items()}

    def cut_row(self, strips: Mapping[str, Raster], row: int) -> Iterator[Window]:
        """Cut the windows with this upper row from what ``read_row`` read, from left to right."""
        for column in self._columns:
            yield Window(row, column, self.cut(strips, self.margin, column))


def _origins(length: int, window: int, step: int) -> list[int]:
    """Return window starts that cover ``0 .. length - 1``; a shorter axis gets one centred window."""
    if length <= window:
        return [-((window - length) // 2)]
    return [*range(0, length - window, step), length - window]


def window_origin(center: int, window: int) -> int:
    """Return the first row (or column) of the window around a pixel; ``leaked_pixels`` uses the same rule."""
    return center - window // 2


def cut_raster(raster: Raster, row: int, column: int, window: int) -> NDArray[np.float32]:
    """Return ``(C, S, S)`` float32 with the upper left corner at a pixel; a missing value is NaN."""
    height, width = raster.shape
    if row >= 0 and column >= 0 and row + window <= height and column + window <= width:
        cut = raster.crop(slice(row, row + window), slice(column, column + window))  # faster than indices
    else:
        cut = raster.crop(mirrored_indices(row, window, height), mirrored_indices(column, window, width))
    return cut.floats()


def cut_labels(labels: NDArray, row: int, column: int, window: int) -> NDArray[np.int64]:
    """Return ``(S, S)`` int64; 0 beyond the scene's border, so that no pixel counts twice in a window."""
    cut = np.zeros((window, window), np.int64)
    height, width = labels.shape
    top, left = max(row, 0), max(column, 0)
    bottom, right = min(row + window, height), min(column + window, width)
    if top < bottom and left < right:
        cut[top - row : bottom - row, left - column : right - column] = labels[top:bottom, left:right]
    return cut


def check_window(scene: Scene, window: int, mirror_small_scenes: bool) -> None:
    """Raise InputError if a window is larger than a scene and mirroring was not asked for."""
    if window < 1:
        raise InputError(f"window is {window}, expected at least 1 pixel")
    if min(scene.shape) < window and not mirror_small_scenes:
        raise InputError(
            f"the window of {window} x {window} pixels is larger than scene '{scene.name}' "
            f"({scene.shape[0]} x {scene.shape[1]}); choose a smaller window, or mirror_small_scenes=True"
        )
