"""Maps of whole scenes out of a pixel classifier, strip by strip."""

from __future__ import annotations

import numpy as np

from m3amba_zoo.datasets.scene_data import SceneData
from m3amba_zoo.evaluation.baselines.classifiers import PixelClassifier
from m3amba_zoo.evaluation.baselines.spectra import row_chunks
from m3amba_zoo.evaluation.stitching import SceneLogits

SMALLEST_PROBABILITY = 1e-12  # keeps the logarithm of a tree's zero finite


def predict_scenes(classifier: PixelClassifier, data: SceneData) -> list[SceneLogits]:
    """Predict every pixel of every scene; the logarithms of the probabilities are the logits.

    Args:
        classifier: fitted on ``data``.
        data: the scenes.

    Returns:
        The logits of each scene, as ``evaluate_scenes`` takes them.
    """
    predicted = []
    for index, scene in enumerate(data.scenes):
        logits = SceneLogits(len(data.classes), scene.shape)
        for start, stop in row_chunks(scene):
            probabilities = classifier.probabilities(data, index, start, stop)
            log_probabilities = np.log(np.maximum(probabilities, SMALLEST_PROBABILITY)).astype(np.float32)
            logits.add(log_probabilities.T.reshape(-1, stop - start, scene.shape[1]), start, 0)
        predicted.append(logits)
    return predicted
