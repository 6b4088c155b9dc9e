"""Cutting square windows out of scenes, mirrored at the scene's border."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.scene import Raster, Scene, mirrored_indices


def window_origin(center: int, window: int) -> int:
    """Return the first row (or column) of the window anchored at a pixel; the leak meter uses the same."""
    return center - window // 2


def cut_raster(raster: Raster, row: int, column: int, window: int) -> NDArray[np.float32]:
    """Return ``(C, S, S)`` float32 with the upper left corner at a pixel; nodata becomes NaN."""
    if row >= 0 and column >= 0 and row + window <= raster.shape[0] and column + window <= raster.shape[1]:
        data = raster.data[:, row : row + window, column : column + window]  # no index a pixel: much faster
    else:
        rows = mirrored_indices(row, window, raster.shape[0])
        columns = mirrored_indices(column, window, raster.shape[1])
        data = raster.data[:, rows[:, None], columns[None, :]]
    cut = data.astype(np.float32)
    if raster.nodata is not None:
        cut[Raster(data, nodata=raster.nodata).missing()] = np.nan
    return cut


def cut_labels(labels: NDArray, row: int, column: int, window: int) -> NDArray[np.int64]:
    """Return ``(S, S)`` int64; 0 beyond the scene's border, so that no pixel counts twice in a window."""
    cut = np.zeros((window, window), np.int64)
    height, width = labels.shape
    top, left = max(row, 0), max(column, 0)
    bottom, right = min(row + window, height), min(column + window, width)
    if top < bottom and left < right:
        cut[top - row : bottom - row, left - column : right - column] = labels[top:bottom, left:right]
    return cut


def grid_origins(length: int, window: int, stride: int) -> Iterator[int]:
    """Yield window starts that cover ``0 .. length - 1``; a shorter axis gets one centred window."""
    if length <= window:
        yield -((window - length) // 2)
        return
    yield from range(0, length - window, stride)
    yield length - window


def stride(window: int, overlap: float) -> int:
    """Return the step between windows that share a part ``overlap`` of their side.

    Raises:
        InputError: ``overlap`` is not in 0 <= overlap < 1.
    """
    if not 0 <= overlap < 1:
        raise InputError(f"overlap is {overlap}, expected 0 <= overlap < 1")
    return max(1, round(window * (1 - overlap)))


def check_window(scene: Scene, window: int, mirror_small_scenes: bool) -> None:
    """Raise InputError if a window is larger than a scene and mirroring was not asked for."""
    if window < 1:
        raise InputError(f"window is {window}, expected at least 1 pixel")
    if min(scene.shape) < window and not mirror_small_scenes:
        raise InputError(
            f"the window of {window} x {window} pixels is larger than scene '{scene.name}' "
            f"({scene.shape[0]} x {scene.shape[1]}); choose a smaller window, or mirror_small_scenes=True"
        )
