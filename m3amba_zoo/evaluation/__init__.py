"""From windows' logits to a scene's scores. Importing registers the metric."""

from m3amba_zoo.evaluation.scene_metric import Evaluation, SceneMetric, evaluate_scenes
from m3amba_zoo.evaluation.scored_pixels import ScoredPixels, scored_pixels
from m3amba_zoo.evaluation.scores import confusion_matrix, expected_calibration_error, scores
from m3amba_zoo.evaluation.stitching import SceneLogits, predict_scenes

__all__ = [
    "Evaluation",
    "SceneLogits",
    "SceneMetric",
    "ScoredPixels",
    "confusion_matrix",
    "evaluate_scenes",
    "expected_calibration_error",
    "predict_scenes",
    "scored_pixels",
    "scores",
]
