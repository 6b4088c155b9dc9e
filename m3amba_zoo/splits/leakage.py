"""The leak meter: how much of a split's test can be answered from the position alone.

Neighbouring pixels are nearly copies of each other. A test pixel inside a training window was seen in
training, and a split whose test pixels lie next to training pixels rewards a model that looks up the nearest
label (Liang et al. 2017, arXiv 1605.05829; Nalepa et al. 2019, arXiv 1811.03707). By convention, pixels of
different scenes do not leak into each other, so distances never cross scenes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table
from scipy import ndimage
from sklearn.neighbors import KNeighborsClassifier

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.scene import Scene, mirrored_indices
from m3amba_zoo.splits.split import PARTS, Split
from m3amba_zoo.splits.stratify import Mask, class_counts, require_whole


@dataclass(frozen=True)
class Distances:
    """Chebyshev distances in pixels from a class's test pixels to the nearest training pixel of any class."""

    min: float
    p5: float
    median: float
    max: float


@dataclass(frozen=True)
class Audit:
    """What the leak meter found.

    Attributes:
        split: the split's name.
        sha256: the split's hash.
        window: side of a training window in pixels.
        pixels: ``pixels[part][class name]``, counted over all scenes.
        test_pixels: number of test pixels.
        leaked_pixels: number of test pixels inside any training window.
        leaked_share: their share of all test pixels.
        distances: by class name; None for a class without test pixels in scenes that train.
        apart_pixels: test pixels in scenes without training pixels, which have no distance.
        position_oa: overall accuracy of a 1-nearest-neighbour classifier on (row, column) alone, a fraction.
    """

    split: str
    sha256: str
    window: int
    pixels: Mapping[str, Mapping[str, int]]
    test_pixels: int
    leaked_pixels: int
    leaked_share: float
    distances: Mapping[str, Distances | None]
    apart_pixels: int
    position_oa: float

    def __rich__(self) -> Group:
        """Show a table with one row per class, and the figures of the whole split below it."""
        table = Table(title=f"split {self.split}, sha256 {self.sha256[:8]}")
        table.add_column("class")
        for heading in (*PARTS, "distance min", "5 %", "median", "max"):
            table.add_column(heading, justify="right")
        for name, distances in self.distances.items():
            counts = [str(self.pixels[part][name]) for part in PARTS]
            spread = dataclasses.astuple(distances) if distances else ()
            table.add_row(name, *counts, *([f"{value:.0f}" for value in spread] or ["-"] * 4))
        return Group(
            table,
            f"{self.leaked_pixels} of {self.test_pixels} test pixels ({self.leaked_share:.1%}) lie in a "
            f"training window of {self.window} x {self.window} pixels",
            f"{self.apart_pixels} test pixels lie in scenes without training pixels and have no distance",
            f"position alone (1-nearest-neighbour on row and column) scores {self.position_oa:.1%} OA: the "
            "floor a model must beat",
        )


def audit(split: Split, scenes: Sequence[Scene], window: int) -> Audit:
    """Measure how far a split's test pixels are from its training pixels.

    Args:
        split: the split.
        scenes: its scenes; labels suffice.
        window: side of a training window in pixels.

    Raises:
        InputError: if the masks do not fit the scenes, or there is no training or no test pixel.
    """
    split.check(scenes)
    names = [land_class.name for land_class in scenes[0].classes]
    masks = {part: [mask for _, mask in split.parts(scenes, part)] for part in PARTS}
    counts = {part: class_counts(scenes, masks[part]) for part in PARTS}
    for part in ("train", "test"):
        if not counts[part].any():
            raise InputError(f"split '{split.name}' has no {part} pixel; train and test pixels are expected")
    test_pixels = int(counts["test"].sum())
    leaked = leaked_pixels(split, scenes, window)
    distances, apart = _distances(split, scenes)
    return Audit(
        split=split.name,
        sha256=split.sha256,
        window=window,
        pixels={part: dict(zip(names, counts[part].tolist(), strict=True)) for part in PARTS},
        test_pixels=test_pixels,
        leaked_pixels=leaked,
        leaked_share=leaked / test_pixels,
        distances=dict(zip(names, distances, strict=True)),
        apart_pixels=apart,
        position_oa=_position_oa(split, scenes, int(counts["train"].argmax()) + 1),
    )


def leaked_pixels(split: Split, scenes: Sequence[Scene], window: int) -> int:
    """Count the test pixels that lie inside any training window.

    As in training, the window of a pixel (row, column) spans the rows ``row - window // 2`` to
    ``row - window // 2 + window - 1``, and the columns likewise.
    """
    require_whole("window", window, 1)
    return sum(
        int((_windows(parts["train"], window) & parts["test"]).sum())
        for parts in (split.masks[scene.name] for scene in scenes)
    )


def _windows(train: Mask, window: int) -> Mask:
    """Mark every pixel that the window of any training pixel shows."""
    # a pixel lies in the windows of the training pixels from window - 1 - window // 2 before it to
    # window // 2 after it; the filter looks window // 2 back, one too many if window is even
    around = np.pad(train, window)
    covered = ndimage.maximum_filter(around, window, mode="constant", origin=window % 2 - 1)
    # windows beyond the border show mirrored pixels, so fold that part back into the scene
    for axis, length in enumerate(train.shape):
        covered = np.moveaxis(covered, axis, 0)
        folded = np.zeros((length, *covered.shape[1:]), bool)
        np.logical_or.at(folded, mirrored_indices(-window, len(covered), length), covered)
        covered = np.moveaxis(folded, 0, axis)
    return covered


def _distances(split: Split, scenes: Sequence[Scene]) -> tuple[list[Distances | None], int]:
    """Return the distances of each class, and the number of test pixels without a distance."""
    found: list[list[NDArray]] = [[] for _ in scenes[0].classes]
    apart = 0
    for scene in scenes:
        train, test = split.masks[scene.name]["train"], split.masks[scene.name]["test"]
        if not train.any():
            apart += int(test.sum())
            continue
        distance = ndimage.distance_transform_cdt(~train, metric="chessboard")
        for index, of_class in enumerate(found):
            of_class.append(distance[test & (scene.labels == index + 1)])
    pooled = [np.concatenate(of_class) if of_class else np.empty(0) for of_class in found]
    return [
        Distances(*np.percentile(values, (0, 5, 50, 100)).tolist()) if len(values) else None
        for values in pooled
    ], apart


def _position_oa(split: Split, scenes: Sequence[Scene], most_frequent: int) -> float:
    """Return the accuracy of 1-nearest-neighbour on (row, column), scene by scene; ties go either way.

    In a scene without training pixels, every pixel is given the most frequent training class.
    """
    correct = total = 0
    for scene in scenes:
        train, test = split.masks[scene.name]["train"], split.masks[scene.name]["test"]
        truth = scene.labels[test]
        total += len(truth)
        if not len(truth):
            continue
        if not train.any():
            correct += int((truth == most_frequent).sum())
            continue
        nearest = KNeighborsClassifier(n_neighbors=1).fit(np.argwhere(train), scene.labels[train])
        correct += int((nearest.predict(np.argwhere(test)) == truth).sum())
    return correct / total
