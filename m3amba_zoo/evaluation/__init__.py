"""From windows' logits to a scene's scores. Importing registers the metric."""

from m3amba_zoo.evaluation.scene_metric import (
    Evaluation,
    SceneLogits,
    SceneMetric,
    evaluate_scenes,
    predict_scenes,
)
from m3amba_zoo.evaluation.scores import confusion_matrix, expected_calibration_error, scores
from m3amba_zoo.evaluation.significance import FixedPart, fixed_part

__all__ = [
    "Evaluation",
    "FixedPart",
    "SceneLogits",
    "SceneMetric",
    "confusion_matrix",
    "evaluate_scenes",
    "expected_calibration_error",
    "fixed_part",
    "predict_scenes",
    "scores",
]
