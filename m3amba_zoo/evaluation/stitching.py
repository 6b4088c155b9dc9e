"""Stitching windows' logits: overlapping windows average, what lies beyond the border is cut off."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.models.baselines.classical import PixelClassifier, log_probabilities
from m3amba_zoo.models.baselines.spectra import row_chunks
from m3amba_zoo.scenes.scene import check_number_of_classes
from m3amba_zoo.splits.scene_data import SceneData


class SceneLogits:
    """The running sum of windows' logits, over a whole scene or over a strip of rows that moves down it.

    A strip as high as a window is enough where windows come row by row: before the next row of windows,
    ``take_above`` takes out the rows that are finished.

    Args:
        num_classes: K.
        shape: H and W, of the scene or the strip.

    Attributes:
        total: the sum of logits, float32 ``(K, H, W)``.
        count: how many windows were added up, float32 ``(H, W)``.
        top: the scene's row that the first row is.

    Raises:
        InputError: if there are more than 255 classes, which a class map cannot tell apart.
    """

    def __init__(self, num_classes: int, shape: tuple[int, int], top: int = 0) -> None:
        check_number_of_classes("the model", num_classes)
        self.total = np.zeros((num_classes, *shape), np.float32)
        self.count = np.zeros(shape, np.float32)
        self.top = top

    def add(self, logits_KSS: NDArray[np.float32], row: int, column: int) -> None:
        """Add a window's logits ``(K, S, S)``; its upper left corner may lie outside the scene.

        Pixels with a logit that is NaN or infinite count as not predicted.
        """
        row -= self.top
        height, width = self.count.shape
        rows, columns = logits_KSS.shape[1:]
        top, left = max(row, 0), max(column, 0)
        bottom, right = min(row + rows, height), min(column + columns, width)
        if top >= bottom or left >= right:
            return
        inside = logits_KSS[:, top - row : bottom - row, left - column : right - column]
        predicted = np.isfinite(inside).all(0)
        self.total[:, top:bottom, left:right] += np.where(predicted, inside, 0)
        self.count[top:bottom, left:right] += predicted

    def take_above(self, row: int) -> SceneLogits:
        """Take out the scene's rows above ``row``, and move down by as many, where nothing is added yet."""
        height, width = self.count.shape
        moved, kept = row - self.top, height - (row - self.top)
        taken = SceneLogits(len(self.total), (moved, width), self.top)
        for mine, theirs in ((self.total, taken.total), (self.count, taken.count)):
            theirs[:] = mine[..., :moved, :]
            mine[..., :kept, :] = mine[..., moved:, :]
            mine[..., kept:, :] = 0
        self.top = row
        return taken

    def mean(self) -> NDArray[np.float32]:
        """Return the averaged logits ``(K, H, W)``; NaN where nothing was predicted."""
        with np.errstate(invalid="ignore"):
            return np.where(self.count > 0, self.total / self.count, np.nan).astype(np.float32)

    def class_map(self) -> NDArray[np.uint8]:
        """Return the most probable class ``(H, W)``, 1..K; 0 where nothing was predicted."""
        best = self.total.argmax(0).astype(np.uint8) + 1
        return np.where(self.count > 0, best, 0).astype(np.uint8)


def predict_scenes(
    classifier: PixelClassifier, data: SceneData, part: str | None = None
) -> list[SceneLogits]:
    """Predict every pixel of scenes; the logarithms of the probabilities are the logits.

    Args:
        classifier: fitted on ``data``.
        data: the scenes.
        part: predict only the scenes that have pixels of this part; None predicts all.

    Returns:
        The logits of each scene, as ``evaluate_scenes`` takes them.
    """
    predicted = []
    for index, scene in enumerate(data.scenes):
        logits = SceneLogits(len(data.classes), scene.shape)
        predicted.append(logits)
        if part is not None and not data.split.masks[scene.name][part].any():
            continue
        for start, stop in row_chunks(scene):
            rows = log_probabilities(classifier.probabilities(data, index, start, stop))
            logits.add(rows.T.reshape(-1, stop - start, scene.shape[1]), start, 0)
    return predicted
