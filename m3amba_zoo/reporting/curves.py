"""What a training logged: MMEngine's ``scalars.json``, a JSON object per line and step."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from m3amba_zoo.reading import read_text

Curve = list[tuple[float, float]]
NO_SCALARS = ("step", "iter", "epoch", "time", "data_time", "memory")


def read_curves(work_dir: Path) -> dict[str, Curve]:
    """Return what a run logged at its steps: ``loss``, ``lr``, each part of the loss, scores on validation.

    A run that went on from a checkpoint has a folder per start; what a later one logged replaces what an
    earlier one logged from that step on. Values that are not finite, and lines that a killed process left
    unfinished, are passed over.

    Returns:
        ``(step, value)`` by name, in the order of steps.
    """
    curves: dict[str, Curve] = {}
    for file in sorted(work_dir.glob("*/vis_data/scalars.json")):
        found: dict[str, Curve] = {}
        for line in read_text(file).splitlines():
            for name, point in _points(line).items():
                found.setdefault(name, []).append(point)
        for name, points in found.items():
            before = [point for point in curves.get(name, []) if point[0] < points[0][0]]
            curves[name] = before + points
    return curves


def _points(line: str) -> dict[str, tuple[float, float]]:
    try:
        entry: Any = json.loads(line)
    except ValueError:
        return {}
    if not isinstance(entry, Mapping) or not isinstance(entry.get("step"), (int, float)):
        return {}
    return {
        name: (entry["step"], float(value))
        for name, value in entry.items()
        if name not in NO_SCALARS and isinstance(value, (int, float)) and math.isfinite(value)
    }
