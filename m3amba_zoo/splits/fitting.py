"""Windows and blocks that suit the labels of a new scene, so that every class trains and tests."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits.makers import TEST_FRACTION, blocks
from m3amba_zoo.splits.reach import dilate
from m3amba_zoo.splits.split import Split
from m3amba_zoo.splits.stratify import class_counts, grid

WINDOWS = (32, 16, 8)
"""Sides in pixels: those of the zoo's configs, where they were tried; less than 8 shows no surroundings."""
GUARDS_TO_BLOCK = 2
"""Blocks are so many guards wide at least: a narrow one that tests costs many times its training pixels."""
FEWEST_BLOCKS = 20
"""Of which about six test; with fewer, the score would depend on which ones were drawn."""
MOST_BLOCKS = 4096
"""With more, the search for blocks that serve all classes takes minutes and finds no better ones."""
DEEP = (1 - 0.1**0.5) / 2
"""How far from a square's border, in sides, the deepest tenth of its pixels begins."""
WELL_SERVED = 0.5
"""The share of the pixels that each part should have of each class, from which a split is good enough."""


class BlockSplit(NamedTuple):
    """Blocks that were found.

    Attributes:
        split: without validation pixels.
        window: side of the training windows in pixels.
        size: side of a block in pixels.
        guard: in pixels, half a window or more.
        served: for each class, the share of the pixels that its training and its test part should have and
            have; the smaller of both, ``(K,)``. 0: the class is on one side only.
    """

    split: Split
    window: int
    size: int
    guard: int
    served: NDArray[np.float64]


def patch_width(scenes: Sequence[Scene]) -> int:
    """Return how wide the patches of labels typically are, in pixels.

    It is the median over the classes of the side of the square whose pixels lie as deep inside as the class's
    do: of all of a square's pixels the deepest tenth is that of its middle, 0.34 sides from the border.
    """
    depths: list[list[NDArray]] = [[] for _ in scenes[0].classes]
    for scene in scenes:
        around = np.pad(scene.labels, 1)
        inner = ndimage.minimum_filter(around, 3) == ndimage.maximum_filter(around, 3)
        depth = 1 + ndimage.distance_transform_cdt(inner & (around > 0), "chessboard")[1:-1, 1:-1]
        for label, found in enumerate(depths, start=1):
            found.append(depth[scene.labels == label])
    deep = [np.percentile(np.concatenate(found), 90) for found in depths if any(map(len, found))]
    return round(float(np.median(deep) - 0.5) / DEEP)


def suitable_windows(scenes: Sequence[Scene]) -> list[int]:
    """Return windows to try, the best one first, which is about twice as wide as the patches of labels.

    Such a window shows a patch and what surrounds it. A wider one shows mostly pixels without a label: it
    costs time, and the guard that it asks for costs training pixels.
    """
    smallest = min(min(scene.shape) for scene in scenes)
    fitting = [window for window in WINDOWS if window <= smallest] or [smallest]
    wanted = 2 * patch_width(scenes)
    return [window for window in fitting if window <= wanted] or fitting[-1:]


def fit_blocks(
    scenes: Sequence[Scene],
    windows: Sequence[int],
    size: int | None = None,
    guard: int | None = None,
    seed: int = 0,
    test_fraction: float = TEST_FRACTION,
    untested: Collection[str] = (),
) -> BlockSplit:
    """Find the largest blocks that leave every class enough pixels to train and to test.

    The windows are tried in order, and for each the sizes of blocks from the largest: pixels close to each
    other are nearly copies, so the further a test pixel lies from training, the more its score means. The
    first split that serves all classes well is taken, else the one that serves its worst class best. It may
    leave a class on one side only, see ``find_undivided``.

    Args:
        scenes: with their labels.
        windows: sides in pixels; the guard follows.
        size: of the blocks, if it is fixed.
        guard: in pixels, if it is fixed.
        seed: of the choice of blocks.
        test_fraction: the share of each class's labelled pixels that should test.
        untested: names of classes that may be without test pixels.
    """
    judged = np.array([entry.name not in untested for entry in scenes[0].classes])
    total = class_counts(scenes, [scene.labelled for scene in scenes])
    best: BlockSplit | None = None
    for window in windows:
        half = -(-window // 2) if guard is None else guard
        for side in [size] if size is not None else _sizes(scenes, half):
            split = blocks(scenes, side, half, seed, test_fraction)
            made = BlockSplit(split, window, side, half, _served(split, scenes, total, test_fraction))
            worst = made.served[judged].min(initial=1)
            if best is None or worst == 0 or worst > best.served[judged].min(initial=1):
                best = made
            if worst >= WELL_SERVED:
                return made
    assert best is not None
    return best


def _served(
    split: Split, scenes: Sequence[Scene], total: NDArray[np.int64], test_fraction: float
) -> NDArray[np.float64]:
    kept, held = (class_counts(scenes, [m for _, m in split.parts(scenes, p)]) for p in ("train", "test"))
    with np.errstate(all="ignore"):
        return np.minimum(kept / ((1 - test_fraction) * total), held / (test_fraction * total)).clip(0, 1)


def _sizes(scenes: Sequence[Scene], guard: int) -> list[int]:
    """Return the sides of blocks to try for a guard, from the largest."""
    smallest = max(GUARDS_TO_BLOCK * guard, 1)
    sizes = [smallest]
    while sizes[-1] < max(max(scene.shape) for scene in scenes):
        sizes.append(2 * sizes[-1])
    counts = {size: sum(_count_blocks(scene, size) for scene in scenes) for size in sizes}
    fitting = [size for size, count in counts.items() if FEWEST_BLOCKS <= count <= MOST_BLOCKS]
    if fitting:
        return fitting[::-1]
    return [next(size for size, count in counts.items() if count <= MOST_BLOCKS)]


def _count_blocks(scene: Scene, size: int) -> int:
    """Count the blocks that hold a label."""
    return len(np.unique(grid(scene.shape, size)[scene.labelled]))


class Undivided(NamedTuple):
    """A class that cannot both train and test: its name, its pixels, and in how many places they lie."""

    name: str
    pixels: int
    places: int

    def __str__(self) -> str:
        return (
            f"'{self.name}' ({self.pixels} labelled pixels in {self.places} place{'s' * (self.places != 1)})"
        )


def find_undivided(
    scenes: Sequence[Scene], made: BlockSplit, untested: Collection[str] = ()
) -> list[Undivided]:
    """Return the classes that are on one side of a split only, without those that may be untested.

    Pixels closer than the guard are one place.
    """
    found = []
    for label in np.flatnonzero(made.served == 0) + 1:
        masks = [scene.labels == label for scene in scenes]
        places = sum(ndimage.label(dilate(mask, made.guard // 2), np.ones((3, 3)))[1] for mask in masks)
        name = scenes[0].classes[label - 1].name
        if name not in untested:
            found.append(Undivided(name, sum(int(mask.sum()) for mask in masks), places))
    return found
