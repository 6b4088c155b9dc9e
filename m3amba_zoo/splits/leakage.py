"""The leak meter: how much of a split's test can be answered from the position alone.

Neighbouring pixels are nearly copies of each other. A test pixel inside a training window was seen in
training, and a split whose test pixels lie next to training pixels rewards a model that looks up the nearest
label (Liang et al. 2017, arXiv 1605.05829; Nalepa et al. 2019, arXiv 1811.03707). Scenes of one CRS are
measured together, by place on the map; a scene without georeference is measured alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.scene import Scene, mirrored_indices
from m3amba_zoo.splits.places import NearestTraining, gaps, locate
from m3amba_zoo.splits.reach import Mask
from m3amba_zoo.splits.split import PARTS, Split
from m3amba_zoo.splits.stratify import class_counts, require_whole

OVERLAP = 0.01
"""Footprints overlap if they share more than this share of a pixel; less comes from rounding."""


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
        leaked_pixels: number of test pixels whose place lies inside any training window.
        leaked_share: their share of all test pixels.
        shared_object_pixels: number of test pixels on an object (``Scene.objects``) that also trains.
        distances: by class name; None for a class without a test pixel that has a distance.
        apart_pixels: test pixels without a distance, because no scene of their CRS trains.
        position_oa: overall accuracy of a 1-nearest-neighbour classifier on the place alone, a fraction.
    """

    split: str
    sha256: str
    window: int
    pixels: Mapping[str, Mapping[str, int]]
    test_pixels: int
    leaked_pixels: int
    leaked_share: float
    shared_object_pixels: int
    distances: Mapping[str, Distances | None]
    apart_pixels: int
    position_oa: float

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Return the header and one row per class: pixels in each part, and distances."""
        rows = []
        for name, distances in self.distances.items():
            counts = [str(self.pixels[part][name]) for part in PARTS]
            spread = dataclasses.astuple(distances) if distances else ()
            rows.append([name, *counts, *([f"{value:.0f}" for value in spread] or ["-"] * 4)])
        return ["class", *PARTS, "distance min", "5 %", "median", "max"], rows

    def sentences(self) -> list[str]:
        """Return the figures of the whole split, without those that are 0 and usually are."""
        said = [
            f"{self.leaked_pixels} of {self.test_pixels} test pixels ({self.leaked_share:.1%}) lie in a "
            f"training window of {self.window} x {self.window} pixels"
        ]
        if count := self.shared_object_pixels:
            said.append(f"{count} test pixels lie on an object (such as a tree) that also trains")
        if count := self.apart_pixels:
            said.append(f"{count} test pixels have no distance, because no scene of their CRS trains")
        said.append(
            f"position alone (1-nearest-neighbour on the place) scores {self.position_oa:.1%} OA: the floor "
            "a model must beat"
        )
        return said


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
        shared_object_pixels=_shared_object_pixels(split, scenes),
        distances=dict(zip(names, distances, strict=True)),
        apart_pixels=apart,
        position_oa=_position_oa(split, scenes),
    )


def leaked_pixels(split: Split, scenes: Sequence[Scene], window: int) -> int:
    """Count the test pixels that lie inside any training window.

    As in training, the window of a pixel (row, column) spans the rows ``row - window // 2`` to
    ``row - window // 2 + window - 1``, and the columns likewise. A window shows its own scene only, so the
    windows of another scene show a pixel where the two scenes overlap on the map.
    """
    require_whole("window", window, 1)
    if not scenes:
        return 0
    places = locate(scenes)
    bounds = np.stack([place.bounds(scene.shape) for place, scene in zip(places, scenes, strict=True)])
    leaked = [np.zeros(int(mask.sum()), bool) for _, mask in split.parts(scenes, "test")]
    tests = [np.nonzero(mask) for _, mask in split.parts(scenes, "test")]
    for index, (scene, train) in enumerate(split.parts(scenes, "train")):
        if not train.any():
            continue
        shown = _windows(train, window)
        leaked[index] |= shown[tests[index]]
        gap = gaps(bounds, bounds[index]).max(axis=1)
        for other in np.flatnonzero(gap < -OVERLAP):
            if other != index and places[other].grid == places[index].grid:
                nearest = places[other].positions_in(places[index], *tests[other]).round().astype(np.int64)
                inside = ((nearest >= 0) & (nearest < scene.shape)).all(axis=1)
                leaked[other][inside] |= shown[tuple(nearest[inside].T)]
    return sum(int(found.sum()) for found in leaked)


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


def _shared_object_pixels(split: Split, scenes: Sequence[Scene]) -> int:
    def shown(part: str) -> list[NDArray[np.int64]]:
        of_part = split.parts(scenes, part)
        return [scene.objects[mask] for scene, mask in of_part if scene.objects is not None]

    trained = np.unique(np.concatenate([np.zeros(1, np.int64), *shown("train")]))[1:]  # without 0, no object
    return sum(int(np.isin(objects, trained).sum()) for objects in shown("test"))


def _distances(split: Split, scenes: Sequence[Scene]) -> tuple[list[Distances | None], int]:
    """Return the distances of each class, and the number of test pixels without a distance."""
    places = locate(scenes)
    trains = [np.nonzero(mask) for _, mask in split.parts(scenes, "train")]
    labels, values, apart = [], [], 0
    for grid in {place.grid for place in places}:
        members = [index for index, place in enumerate(places) if place.grid == grid]
        known = np.concatenate([places[index].positions(*trains[index]) for index in members])
        nearest = cKDTree(known)
        for index in members:
            test = split.masks[scenes[index].name]["test"]
            if len(known):
                values.append(nearest.query(places[index].positions(*np.nonzero(test)), p=np.inf)[0])
                labels.append(scenes[index].labels[test])
            else:
                apart += int(test.sum())
    of_class, distance = np.concatenate(labels), np.concatenate(values)
    pooled = [distance[of_class == index + 1] for index in range(len(scenes[0].classes))]
    return [
        Distances(*np.percentile(found, (0, 5, 50, 100)).tolist()) if len(found) else None for found in pooled
    ], apart


def _position_oa(split: Split, scenes: Sequence[Scene]) -> float:
    """Return the accuracy of the nearest training pixel's class; ties go either way."""
    nearest = NearestTraining(scenes, [mask for _, mask in split.parts(scenes, "train")])
    right = [
        nearest.predict(index, *np.nonzero(mask)) == scene.labels[mask]
        for index, (scene, mask) in enumerate(split.parts(scenes, "test"))
    ]
    return float(np.concatenate(right).mean())
