"""Which differences between models are more than chance: a spatial block bootstrap, and groups by rank.

Neighbouring pixels are not independent, so whole blocks of the test part are drawn, not pixels (Künsch,
Annals of Statistics 17:1217, 1989; Roberts et al., Ecography 40:913, 2017). All models and seeds have the
same test part, so that every draw gives each of them the same blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.evaluation.scores import SCORES
from m3amba_zoo.splits.scene_data import SceneData
from m3amba_zoo.splits.stratify import grid, require_whole

DRAWS = 4000
LEVEL = 0.05
CHUNK = 500
Drawn = NDArray[np.float64]


class Interval(NamedTuple):
    """A difference of mean scores as a fraction, its 95 % interval, and the two-sided p value."""

    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class FixedPart:
    """The test part of a dataset, the same for all its runs.

    Attributes:
        sha256: the hash of its masks.
        labels: the classes of its pixels, 1..K, ``(n,)`` uint8, scene by scene, each in row-major order, as a
            record's ``predicted`` lists them.
        blocks: the number of each pixel's block, 0..G-1, ``(n,)`` int32; every number occurs.
    """

    sha256: str
    labels: NDArray[np.integer]
    blocks: NDArray[np.integer]

    def scores(self, predicted: NDArray[np.integer], num_classes: int) -> Drawn:
        """Return OA, AA and kappa of the whole part (first row) and of each draw of blocks.

        A draw's AA is the mean over the classes that it has: a draw may lack a class that few blocks have.

        Args:
            predicted: the classes that a run predicts, 1..K, ``(n,)``.
            num_classes: K.

        Returns:
            ``(1 + DRAWS, 3)``.
        """
        names, block = np.unique(self.blocks, return_inverse=True)
        confusion = np.zeros((len(names), num_classes, num_classes))
        np.add.at(confusion, (block, self.labels.astype(int) - 1, predicted.astype(int) - 1), 1)
        return _scores(_weights(len(names)), confusion)


@lru_cache(maxsize=8)
def _weights(blocks: int) -> Drawn:
    """Return how often each block is taken, ``(1 + DRAWS, G)``: once (the whole part), then in each draw."""
    drawn = np.random.default_rng(0).multinomial(blocks, np.full(blocks, 1 / blocks), size=DRAWS)
    return np.concatenate([np.ones((1, blocks)), drawn])


def _scores(weights: Drawn, confusion_GKK: Drawn) -> Drawn:
    flat = confusion_GKK.reshape(len(confusion_GKK), -1)
    found = []
    for start in range(0, len(weights), CHUNK):
        summed = (weights[start : start + CHUNK] @ flat).reshape(-1, *confusion_GKK.shape[1:])
        total, support = summed.sum((1, 2)), summed.sum(2)
        right = np.diagonal(summed, axis1=1, axis2=2)
        oa = right.sum(1) / total
        recalls = np.divide(right, support, out=np.full_like(right, np.nan), where=support > 0)
        chance = (support * summed.sum(1)).sum(1) / total**2
        kappa = np.divide(oa - chance, 1 - chance, out=np.zeros_like(oa), where=chance < 1)
        found.append(np.stack([oa, np.nanmean(recalls, axis=1), kappa], axis=1))
    return np.concatenate(found)


def difference(first: Drawn, second: Drawn) -> dict[str, Interval]:
    """Compare two models' mean scores over their seeds, as ``FixedPart.scores`` gives them for each run.

    The interval lies between the 2.5 and the 97.5 percentile of the draws. The p value is twice the share of
    draws on the other side of zero (Davison and Hinkley, Bootstrap Methods, 1997, chapter 4).
    """
    apart = first - second
    found = {}
    for name, (whole, *drawn) in zip(SCORES, apart.T, strict=True):
        values = np.array(drawn)
        low, high = np.percentile(values, (100 * LEVEL / 2, 100 - 100 * LEVEL / 2))
        beyond = min((values <= 0).sum(), (values >= 0).sum())
        found[name] = Interval(whole, low, high, min(1.0, 2 * (1 + beyond) / (1 + len(values))))
    return found


def holm(p: Sequence[float]) -> list[float]:
    """Return p values adjusted for their number (Holm, Scandinavian Journal of Statistics 6:65, 1979)."""
    order = np.argsort(p)
    steps = np.asarray(p, dtype=float)[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted.tolist()


def rank_groups(models: Mapping[str, Drawn]) -> dict[str, int]:
    """Return each model's group, 1 for the best: those that cannot be told from the group's leader by OA.

    Args:
        models: the models' scores, as for ``difference``, the best mean OA first.
    """
    groups: dict[str, int] = {}
    left, group = list(models), 1
    while left:
        leader, *others = left
        p = holm([difference(models[leader], models[other])["oa"].p for other in others])
        members = [leader, *(other for other, value in zip(others, p, strict=True) if value >= LEVEL)]
        groups |= dict.fromkeys(members, group)
        left = [model for model in left if model not in groups]
        group += 1
    return groups


def fixed_part(data: SceneData, side: int | None = None) -> FixedPart:
    """List the pixels of the test part, for a bootstrap over spatial blocks.

    Neighbouring pixels are not independent. A bootstrap that draws whole blocks keeps them together
    (Künsch, Annals of Statistics 17:1217, 1989). Blocks are squares from a scene's upper left corner; none
    crosses scenes, and a scene no larger than a block is one.

    Args:
        data: the scenes and their split; their rasters are not read.
        side: rows and columns of a block in pixels; None takes the split's groups of scenes as blocks, or
            each scene where the split has no groups.

    Raises:
        InputError: if ``side`` is not a whole number of 1 or more.
    """
    if side is not None:
        require_whole("side", side, 1)
    groups = data.split.groups
    labels, blocks, start = [], [], 0
    for scene, mask in data.split.parts(data.scenes, "test"):
        if side is None and groups is not None:
            numbers = np.full(scene.shape, groups.numbers[scene.name])
        else:
            numbers = grid(scene.shape, side or max(scene.shape)) + start
        labels.append(scene.labels[mask].astype(np.uint8))
        blocks.append(numbers[mask])
        start = int(numbers.max()) + 1
    numbered = np.unique(np.concatenate(blocks), return_inverse=True)[1].astype(np.int32)
    return FixedPart(data.split.test_sha256, np.concatenate(labels), numbered)
