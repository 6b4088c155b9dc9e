"""From windows' logits to a scene's scores, for networks and classical classifiers alike.

Overlapping windows average, what lies beyond the border is cut off, and each pixel is counted once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_reduce
from mmengine.evaluator import BaseMetric
from numpy.typing import NDArray
from torch import Tensor

from m3amba_zoo.evaluation.scores import (
    SCORES,
    confusion_matrix,
    expected_calibration_error,
    pack_predicted,
    scores,
)
from m3amba_zoo.models.baselines.classical import PixelClassifier, log_probabilities
from m3amba_zoo.models.baselines.spectra import row_chunks
from m3amba_zoo.registry import METRICS
from m3amba_zoo.scenes.scene import Scene, check_number_of_classes, seen_pixels
from m3amba_zoo.splits import Split
from m3amba_zoo.splits.scene_data import SceneData


@dataclass(frozen=True)
class Evaluation:
    """Scores of one part of a split, and the maps they come from.

    Attributes:
        part: of the split that was scored.
        scores: those of ``scores.scores``, ``ece``, ``pixels``, and ``predicted`` (see ``pack_predicted``:
            scene by scene, each in row-major order, as ``significance.fixed_part`` lists them).
        class_maps: ``(H, W)`` uint8 by scene, 1..K, 0 where nothing was predicted or no raster shows the
            pixel; without scenes of which nothing was predicted.
    """

    part: str
    scores: dict[str, Any]
    class_maps: dict[str, NDArray[np.uint8]] = field(repr=False)


def evaluate_scenes(
    stitched: Sequence[SceneLogits],
    scenes: Sequence[Scene],
    split: Split,
    part: str,
    modalities: Sequence[str] | None = None,
) -> Evaluation:
    """Score stitched logits on one part of a split.

    Args:
        stitched: of each scene.
        scenes: with their rasters.
        split: which pixels are scored.
        part: of the split.
        modalities: that the model reads, by default all; pixels that none of them shows are 0 in the maps,
            as in a Predictor's, unless they are scored.

    Raises:
        RuntimeError: if a pixel of the part was not predicted, or the number of pixels scored is not that
            of the part.
    """
    num_classes = len(scenes[0].classes)
    labels, predictions, confidences = [], [], []
    class_maps = {}
    for logits, (scene, mask) in zip(stitched, split.parts(scenes, part), strict=True):
        class_map = logits.class_map()
        if class_map.any():
            class_maps[scene.name] = np.where(seen_pixels(scene, modalities) | mask, class_map, 0)
        if (class_map[mask] == 0).any():
            raise RuntimeError(
                f"{int((class_map[mask] == 0).sum())} {part} pixels of scene '{scene.name}' were not "
                "predicted: they lie in no window, or their logits are not finite"
            )
        labels.append(scene.labels[mask])
        predictions.append(class_map[mask])
        at_pixels = logits.total[:, mask] / logits.count[mask]
        confidences.append(torch.from_numpy(at_pixels).softmax(0).amax(0).numpy())
    truth, predicted = np.concatenate(labels), np.concatenate(predictions)
    confusion = confusion_matrix(truth, predicted, num_classes)
    if confusion.sum() != split.count(part):
        raise RuntimeError(
            f"{confusion.sum()} pixels were scored, but the split has {split.count(part)} {part} pixels"
        )
    classes = scenes[0].classes
    result = scores(confusion, [land_class.name for land_class in classes])
    for entry, land_class in zip(result["per_class"], classes, strict=True):
        entry["color"] = list(land_class.color)  # other maps are drawn in the same colours
    result["ece"] = expected_calibration_error(np.concatenate(confidences), truth == predicted)
    result["pixels"] = int(confusion.sum())
    result["predicted"] = pack_predicted(predicted)
    return Evaluation(part, result, class_maps)


@METRICS.register_module()
class SceneMetric(BaseMetric):
    """OA, AA and kappa of stitched scenes, for datasets of ``SceneWindows``.

    After a loop ``evaluation`` holds the full result, for hooks that write reports.

    Attributes:
        keep_logits: whether ``logits`` is kept, for a report; a scene of 15 classes takes 60 bytes a pixel.
        logits: of each scene in the last loop, if they are to be kept.
    """

    default_prefix = None

    def __init__(self) -> None:
        super().__init__()
        self.evaluation: Evaluation | None = None
        self.keep_logits = False
        self.logits: list[SceneLogits] | None = None
        self._stitched: list[SceneLogits] | None = None

    def _start(self) -> list[SceneLogits]:
        scenes = self.dataset_meta["data"].scenes  # type: ignore[index]
        return [SceneLogits(len(scene.classes), scene.shape) for scene in scenes]

    def process(self, data_batch: Any, data_samples: Sequence[Tensor]) -> None:
        """Stitch a batch of windows' logits ``(K, S, S)``."""
        if self._stitched is None:
            self._stitched = self._start()
        for position, logits in enumerate(data_samples):
            self._stitched[int(data_batch["scene"][position])].add(
                logits.cpu().numpy(), int(data_batch["row"][position]), int(data_batch["column"][position])
            )

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Unused: ``evaluate`` scores the stitched scenes."""
        raise NotImplementedError

    def evaluate(self, size: int) -> dict[str, float]:
        """Add up the windows of all ranks and score them."""
        data, part = self.dataset_meta["data"], self.dataset_meta["part"]  # type: ignore[index]
        stitched = self._stitched or self._start()
        self._stitched = None
        for scene in stitched:
            for array in (scene.total, scene.count):
                all_reduce(torch.from_numpy(array))
        self.logits = stitched if self.keep_logits else None
        modalities = self.dataset_meta.get("modalities")  # type: ignore[union-attr]
        self.evaluation = evaluate_scenes(stitched, data.scenes, data.split, part, modalities)
        return {name: self.evaluation.scores[name] for name in SCORES}


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
