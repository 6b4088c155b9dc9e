"""Scores of a classification: OA, AA, kappa, those of each class, calibration; which pixels were right."""

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
    """Return ``oa``, ``aa``, ``kappa`` (fractions), ``per_class`` and ``confusion``.

    AA is the mean recall of the classes that have pixels; a class without pixels has recall None.
    Kappa is Cohen's (Educational and Psychological Measurement 20:37, 1960).
    """
    total = confusion.sum()
    support, predicted = confusion.sum(1), confusion.sum(0)
    correct = np.diag(confusion)
    oa = correct.sum() / total
    chance = (support * predicted).sum() / total**2
    recall = np.divide(correct, support, out=np.full(len(support), np.nan), where=support > 0)
    precision = np.divide(correct, predicted, out=np.zeros(len(support)), where=predicted > 0)
    f1 = np.divide(
        2 * correct, support + predicted, out=np.zeros(len(support)), where=support + predicted > 0
    )
    per_class = [
        {
            "name": name,
            "accuracy": None if support[k] == 0 else float(recall[k]),
            "precision": float(precision[k]),
            "f1": float(f1[k]),
            "support": int(support[k]),
        }
        for k, name in enumerate(class_names)
    ]
    return {
        "oa": float(oa),
        "aa": float(np.nanmean(recall)),
        "kappa": float((oa - chance) / (1 - chance)) if chance < 1 else 1.0,
        "per_class": per_class,
        "confusion": confusion.tolist(),
    }


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


def pack_correct(correct: NDArray[np.bool_]) -> str:
    """Pack ``(n,)`` booleans, whether each pixel was right: eight to a byte, compressed, in base64.

    A run's record keeps them so that runs can be compared in pairs.
    """
    return base64.b64encode(zlib.compress(np.packbits(correct).tobytes(), 9)).decode()


def unpack_correct(packed: str, pixels: int) -> NDArray[np.bool_]:
    """Return the ``(pixels,)`` booleans that ``pack_correct`` was given.

    Raises:
        InputError: if the text is damaged, or was packed from another number of pixels.
    """
    try:
        bits = np.frombuffer(zlib.decompress(base64.b64decode(packed, validate=True)), np.uint8)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise InputError(f"the packed correctness of {pixels} pixels is damaged ({error})") from error
    if len(bits) != -(-pixels // 8):
        raise InputError(f"the packed correctness has {len(bits)} bytes, expected those of {pixels} pixels")
    return np.unpackbits(bits, count=pixels).astype(bool)
