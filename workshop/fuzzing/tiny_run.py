"""A run in miniature: its scene, its kept classifier, its record and its config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from m3amba_zoo.evaluation.scores import confusion_matrix, pack_predicted, scores
from m3amba_zoo.models.baselines.kept import keep
from m3amba_zoo.rasters import Raster
from m3amba_zoo.registry import CLASSIFIERS
from m3amba_zoo.scenes.scene import LandClass, Scene
from m3amba_zoo.splits.scene_data import SceneData
from m3amba_zoo.splits.split import Split
from workshop.fuzzing.raster_readers import COLUMNS, ROWS, pixels

LDA = {"type": "ShrinkageLDA"}
CHANNELS = {"hsi": 3, "lidar": 1}
CLASSES = (LandClass("wheat", (240, 200, 70)), LandClass("maize", (0, 200, 70)))
CONFIG = """
source = dict(type="manifest", path="scene.yaml")
split = dict(type="official")
modalities = ["hsi", "lidar"]
classifier = dict(type="ShrinkageLDA")
test_dataloader = dict(dataset=dict(type="SceneWindows"))
"""


def scene_data() -> SceneData:
    """Return a scene of two classes with its split."""
    labels = np.where(np.arange(COLUMNS) < 5, 1, 2).astype(np.uint8)[None].repeat(ROWS, axis=0)
    train = np.zeros((ROWS, COLUMNS), bool)
    train[:6] = True
    rasters = {"hsi": Raster(pixels("float32")), "lidar": Raster(pixels("float32", 1))}
    scene = Scene(name="harbour", rasters=rasters, labels=labels, classes=CLASSES)
    masks = {"harbour": {"train": train, "val": np.zeros_like(train), "test": ~train}}
    return SceneData("harbour", [scene], Split("official", masks), CLASSES)


def keep_classifier(path: Path) -> None:
    """Write a fitted classifier."""
    classifier = CLASSIFIERS.build({**LDA, "modalities": list(CHANNELS)})
    classifier.fit(scene_data(), 0)
    keep(classifier, path, CHANNELS, len(CLASSES))


def record() -> dict[str, Any]:
    """Return the record of a run as the leaderboard keeps it."""
    labels = np.array([1] * 30 + [2] * 30)
    predicted = np.array([1] * 25 + [2] * 35)
    found = scores(confusion_matrix(labels, predicted, 2), [entry.name for entry in CLASSES])
    for entry, about in zip(found["per_class"], CLASSES, strict=True):
        entry["color"] = list(about.color)
    named = {"group": "main", "dataset": "harbour", "model": "lda", "config": "baselines/lda.py"}
    return {
        "run": {**named, "options": ["a=1"], "tuned": ["a=1"]},
        **found,
        "predicted": pack_predicted(predicted),
        "pixels": 60,
        "dataset": "harbour",
        "simulated": False,
        "modalities": ["hsi", "lidar"],
        "wavelengths": {"hsi": [400, 500, 600]},
        "inputs": {
            "hsi": {
                "count": 3, "names": ["a", "b", "c"], "wavelengths": [400, 500, 600], "numbers": [0, 1, 2],
                "bands_in_file": 3, "unit": "reflectance", "stated": {"nodata": 0, "scale": 0.5},
                "mean": [1.0, 2.0, 3.0], "std": [1.0, 1.0, 1.0],
            },
            "lidar": {"count": 1},
        },
        "split": {
            "name": "official", "part": "test", "sha256": "a" * 64, "test_sha256": "b" * 64,
            "leaked_pixels": 0, "window": 1, "pixels": {"train": 60, "val": 0, "test": 60}, "val": None,
        },
        "selection": "the last epoch",
        "weights": {"file": "classifier.safetensors", "sha256": "c" * 64, "epoch": None},
        "seed": 0,
        "model": {
            "type": "ShrinkageLDA", "parameters": 10, "trained_parameters": 10, "flops_per_pixel": 20.0,
            "transductive": False,
        },
        "timing_s": {"train": 1.0, "test": 1.0},
        "pixels_per_second": 60.0,
        "memory_mib": {"process": 100.0},
        "threads": 1,
        "extended": [],
        "config_sha256": "d" * 64,
        "versions": {"torch": "2"},
        "machine": "x86_64, 2 CPU cores",
        "commit": "e" * 40,
        "command": "train.py",
    }  # fmt: skip
