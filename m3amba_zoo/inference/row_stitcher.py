"""Stitching windows that arrive row by row, in the memory of one row of windows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from m3amba_zoo.evaluation.stitching import SceneLogits


class RowStitcher:
    """Does what ``SceneLogits`` does for a whole scene, and gives the same map, bit for bit.

    Windows come in order of their rows. Once a window lies further down, the rows above it are finished:
    their logits become classes and are forgotten.

    Args:
        num_classes: K.
        wanted: ``(H, W)`` uint8, 1 for the pixels to classify and 0 for the others; it becomes the map.
        window: S.
        probabilities: whether to keep these too.

    Attributes:
        class_map: ``(H, W)`` uint8, 1..K; 0 where no class was wanted.
        probabilities: ``(K, H, W)`` float16, NaN where no class was wanted; or None.
    """

    def __init__(self, num_classes: int, wanted: NDArray[np.uint8], window: int, probabilities: bool) -> None:
        self.class_map, shape = wanted, wanted.shape
        self.probabilities: NDArray[np.float16] | None = None
        if probabilities:
            self.probabilities = np.full((num_classes, *shape), np.nan, np.float16)
        self._strip = SceneLogits(num_classes, (window, shape[1]))
        self._top: int | None = None

    def add(self, logits_KSS: NDArray[np.float32], row: int, column: int) -> None:
        """Add a window's logits ``(K, S, S)`` whose upper left corner may lie outside."""
        if self._top is None:
            self._top = row
        self._finish_rows(row - self._top)
        self._strip.add(logits_KSS, 0, column)

    def finish(self) -> None:
        """Finish the last rows."""
        self._finish_rows(self._strip.count.shape[0])

    def _finish_rows(self, count: int) -> None:
        """Write the uppermost rows of the strip and move it down by as many."""
        if self._top is None or count == 0:
            return
        strip, height = self._strip, self.class_map.shape[0]
        first, last = max(self._top, 0), min(self._top + count, height)
        rows = slice(first - self._top, last - self._top)
        wanted = self.class_map[first:last] > 0
        self.class_map[first:last] *= strip.class_map()[rows]
        if self.probabilities is not None:
            probable = softmax(strip.mean()[:, rows], axis=0)
            np.copyto(self.probabilities[:, first:last], probable, casting="same_kind", where=wanted)
        self._strip = SceneLogits(len(strip.total), strip.count.shape)  # type: ignore[arg-type]
        left = strip.count.shape[0] - count
        self._strip.total[:, :left], self._strip.count[:left] = strip.total[:, count:], strip.count[count:]
        self._top += count
