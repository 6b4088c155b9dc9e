"""The pixels that a record's predictions belong to: their labels, and the spatial blocks they lie in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.splits.scene_data import SceneData
from m3amba_zoo.splits.stratify import grid, require_whole


class ScoredPixels(NamedTuple):
    """The pixels of a part, scene by scene, each in row-major order, as a record's ``predicted`` lists them.

    Attributes:
        labels: the true classes, 1..K, ``(n,)`` int64.
        block: the number of each pixel's block, 0..G-1, ``(n,)`` int64; every number occurs.
    """

    labels: NDArray[np.int64]
    block: NDArray[np.int64]


def scored_pixels(data: SceneData, part: str, side: int | None = None) -> ScoredPixels:
    """List a part's pixels, for a bootstrap over spatial blocks.

    Neighbouring pixels are not independent. A bootstrap that draws whole blocks keeps them together
    (Künsch, Annals of Statistics 17:1217, 1989). Blocks are squares from a scene's upper left corner; none
    crosses scenes, and a scene no larger than a block is one.

    Args:
        data: the scenes and their split; their rasters are not read.
        part: ``train``, ``val`` or ``test``.
        side: rows and columns of a block in pixels; None takes the split's groups of scenes as blocks, or
            each scene where the split has no groups.

    Raises:
        InputError: if ``side`` is not a whole number of 1 or more.
    """
    if side is not None:
        require_whole("side", side, 1)
    groups = data.split.groups
    labels, blocks, start = [], [], 0
    for scene, mask in data.split.parts(data.scenes, part):
        if side is None and groups is not None:
            numbers = np.full(scene.shape, groups.numbers[scene.name])
        else:
            numbers = grid(scene.shape, side or max(scene.shape)) + start
        labels.append(scene.labels[mask].astype(np.int64))
        blocks.append(numbers[mask])
        start = int(numbers.max()) + 1
    return ScoredPixels(np.concatenate(labels), np.unique(np.concatenate(blocks), return_inverse=True)[1])
