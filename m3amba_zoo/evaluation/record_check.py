"""Reads metrics.json, and checks that its scores follow from what it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation import correctness
from m3amba_zoo.evaluation.scores import scores

SCORES = ("oa", "aa", "kappa")


def read_record(path: Path) -> dict[str, Any]:
    """Read a ``metrics.json`` or a kept record.

    Raises:
        InputError: it is absent, or no JSON object.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"{path}: is damaged ({error})") from error
    if not isinstance(record, dict):
        raise InputError(f"{path}: holds no record of a run")
    return record


def check_scores(record: Mapping[str, Any], name: str) -> None:
    """Check that each pixel of the part was scored once and that the scores follow from the confusion matrix.

    Raises:
        InputError: they do not; the message begins with ``name``.
    """
    confusion = np.array(record["confusion"])
    scored, expected = int(confusion.sum()), record["split"]["pixels"][record["split"]["part"]]
    if not scored == record["pixels"] == expected:
        raise InputError(
            f"{name}: scores are computed on {scored} pixels, but the split has {expected} "
            f"{record['split']['part']} pixels"
        )
    found = scores(confusion, [entry["name"] for entry in record["per_class"]])
    for score in SCORES:
        if abs(found[score] - record[score]) > 1e-9:
            raise InputError(
                f"{name}: {score} is {record[score]}, but the confusion matrix gives {found[score]}"
            )
    right = int(correctness.unpack(record["correct"], scored).sum())
    if right != np.trace(confusion):
        raise InputError(f"{name}: {right} pixels are marked as right, expected {np.trace(confusion)}")
