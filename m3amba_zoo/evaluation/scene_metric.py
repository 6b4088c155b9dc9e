"""The metric of MMEngine's loops: windows in, scores of whole scenes out, each pixel counted once."""

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
from m3amba_zoo.evaluation.stitching import SceneLogits
from m3amba_zoo.registry import METRICS
from m3amba_zoo.scenes.scene import Scene, seen_pixels
from m3amba_zoo.splits import Split


@dataclass(frozen=True)
class Evaluation:
    """Scores of one part of a split, and the maps they come from.

    Attributes:
        part: of the split that was scored.
        scores: those of ``scores.scores``, ``ece``, ``pixels``, and ``predicted`` (see ``pack_predicted``:
            scene by scene, each in row-major order, as ``scored_pixels`` lists them).
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
