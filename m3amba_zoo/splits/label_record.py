"""The labels that a split was made for: kept in its file, compared where it is used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from m3amba_zoo.scenes.scene import Scene

LABELS = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "required": ["sha256", "classes"],
        "properties": {
            "sha256": {"type": "string"},
            "classes": {"type": "object", "additionalProperties": {"type": "integer"}},
        },
    },
}
"""What ``record_labels`` returns (JSON Schema)."""
SHOWN = 4  # classes


def record_labels(scenes: Sequence[Scene]) -> dict[str, dict[str, Any]]:
    """Return by scene the sha256 of its labels, and the number of pixels of each class."""
    found = {}
    for scene in scenes:
        digest = hashlib.sha256(json.dumps(list(scene.shape)).encode())
        digest.update(scene.labels.astype(np.uint8).tobytes())
        counts = np.bincount(scene.labels.ravel(), minlength=len(scene.classes) + 1)[1:]
        names = [entry.name for entry in scene.classes]
        found[scene.name] = {
            "sha256": digest.hexdigest(),
            "classes": dict(zip(names, counts.tolist(), strict=True)),
        }
    return found


def changed_labels(recorded: Mapping[str, Any], scenes: Sequence[Scene]) -> str:
    """Say how labels differ from those that were recorded; empty if they do not, or nothing was recorded."""
    now = record_labels([scene for scene in scenes if scene.name in recorded])
    other = [name for name, found in now.items() if found["sha256"] != recorded[name]["sha256"]]
    if not other:
        return ""
    before, after = recorded[other[0]]["classes"], now[other[0]]["classes"]
    changes = [
        f"'{name}' had {before.get(name, 0):,} pixels and has {after.get(name, 0):,}"
        for name in dict.fromkeys((*before, *after))
        if before.get(name, 0) != after.get(name, 0)
    ]
    more = f" and {len(changes) - SHOWN} more classes" if len(changes) > SHOWN else ""
    told = ", ".join(changes[:SHOWN]) + more or "as many pixels of each class, but others"
    return f"the labels of scene '{other[0]}' have changed since the split was made ({told})"
