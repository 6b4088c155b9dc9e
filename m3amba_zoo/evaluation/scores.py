"""Scores of a classification: OA, AA, kappa, those of each class, calibration; the packed predictions."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError

SCORES = ("oa", "aa", "kappa")


def confusion_matrix(labels: NDArray, predictions: NDArray, num_classes: int) -> NDArray[np.int64]:
    """Count pixels by true class (row) and predicted class (column).

    Args:
        labels: ``(n,)``, classes 1..K.
        predictions: ``(n,)``, classes 1..K.
        num_classes: K.
    """
    index = (labels.astype(np.int64) - 1) * num_classes + (predictions.astype(np.int64) - 1)
    return np.bincount(index, minlength=num_classes**2).reshape(num_classes, num_classes)


def scores(confusion: NDArray[np.int64], class_names: Sequence[str]) -> dict[str, Any]:
    """Return ``oa``, ``aa``, ``kappa``, ``mean_f1``, ``mean_iou``, ``per_class`` and ``confusion``.

    Scores are fractions. Those of a class k, with TP = C[k, k], are its recall TP / sum(C[k]) (as
    ``accuracy``), its ``precision`` TP / sum(C[:, k]), their harmonic mean ``f1``, and the intersection over
    union ``iou``, TP / (sum(C[k]) + sum(C[:, k]) - TP). AA, mean F1 and mean IoU are means over the classes
    that have pixels. Kappa is Cohen's (Educational and Psychological Measurement 20:37, 1960).

    A fraction 0 / 0 is 0: every score without pixels, and kappa if labels and predictions are all of one
    class, which shows nothing beyond chance. Only the recall of a class without pixels is None.
    """
    total = confusion.sum()
    support, predicted = confusion.sum(1), confusion.sum(0)
    correct, present = np.diag(confusion), support > 0
    recall = _ratio(correct, support)
    of_class = {
        "precision": _ratio(correct, predicted),
        "f1": _ratio(2 * correct, support + predicted),
        "iou": _ratio(correct, support + predicted - correct),
    }
    # in exact integers, because kappa divides by what chance leaves over
    by_chance = sum(int(mine) * int(theirs) for mine, theirs in zip(support, predicted, strict=True))
    agreed, squared = int(correct.sum()) * int(total), int(total) ** 2

    def mean(values: NDArray[np.float64]) -> float:
        return float(values[present].mean()) if present.any() else 0.0

    per_class = [
        {
            "name": name,
            "accuracy": float(recall[k]) if present[k] else None,
            **{score: float(values[k]) for score, values in of_class.items()},
            "support": int(support[k]),
        }
        for k, name in enumerate(class_names)
    ]
    return {
        "oa": int(correct.sum()) / int(total) if total else 0.0,
        "aa": mean(recall),
        "kappa": (agreed - by_chance) / (squared - by_chance) if squared > by_chance else 0.0,
        "mean_f1": mean(of_class["f1"]),
        "mean_iou": mean(of_class["iou"]),
        "per_class": per_class,
        "confusion": confusion.tolist(),
    }


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """Divide, with 0 for 0 / 0."""
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)


def expected_calibration_error(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_], bins: int = 15
) -> float:
    """Return the mean gap between confidence and accuracy over equal-width bins (Guo et al., ICML 2017)."""
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(index, minlength=bins)
    gap = np.abs(
        np.bincount(index, weights=confidence, minlength=bins)
        - np.bincount(index, weights=correct.astype(float), minlength=bins)
    )
    return float(gap.sum() / max(count.sum(), 1))


def pack_predicted(predicted: NDArray) -> str:
    """Pack ``(n,)`` predicted classes, 1..255: a byte per pixel, compressed, in base64.

    A run's record keeps them so that runs can be compared pixel by pixel.
    """
    return base64.b64encode(zlib.compress(predicted.astype(np.uint8).tobytes(), 9)).decode()


def unpack_predicted(packed: str, pixels: int) -> NDArray[np.uint8]:
    """Return the ``(pixels,)`` uint8 classes that ``pack_predicted`` was given.

    Raises:
        InputError: if the text is damaged, or was packed from another number of pixels.
    """
    try:  # one more than expected shows that there are more, however many
        unpacked = zlib.decompressobj().decompress(base64.b64decode(packed, validate=True), pixels + 1)
    except (binascii.Error, zlib.error, ValueError, OverflowError) as error:
        raise InputError(f"the packed predictions of {pixels} pixels are damaged ({error})") from error
    predicted = np.frombuffer(unpacked, np.uint8)
    if len(predicted) != pixels:
        found = len(predicted) if len(predicted) < pixels else "more"
        raise InputError(f"the packed predictions are of {found} pixels, expected {pixels}")
    return predicted
