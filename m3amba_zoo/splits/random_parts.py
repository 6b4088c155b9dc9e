"""The random counterpart of a split: the same pixels and counts, dealt out without regard to place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits.split import PARTS, Split
from m3amba_zoo.splits.stratify import require_whole


def deal_at_random(split: Split, scenes: Sequence[Scene], seed: int = 0) -> Split:
    """Deal the parts of a split out anew among its pixels, class by class.

    Each part keeps its number of pixels of each class, over all scenes, so that only the place differs: what
    a model scores more on this split than on the given one, it owes to neighbours in training.

    Args:
        split: the split to shuffle.
        scenes: its scenes; labels suffice.
        seed: of the deal.

    Raises:
        InputError: a seed that is no whole number.
    """
    require_whole("random.seed", seed, 0)
    labels = np.concatenate([scene.labels.ravel() for scene in scenes])
    part = np.full(len(labels), -1)
    for number, name in enumerate(PARTS):
        part[np.concatenate([mask.ravel() for _, mask in split.parts(scenes, name)])] = number
    generator = np.random.default_rng(seed)
    for label in range(1, len(scenes[0].classes) + 1):
        members = np.flatnonzero((labels == label) & (part >= 0))
        part[members] = generator.permutation(part[members])
    ends = np.cumsum([scene.labels.size for scene in scenes])[:-1]
    masks = {
        scene.name: {name: of_scene.reshape(scene.shape) == number for number, name in enumerate(PARTS)}
        for scene, of_scene in zip(scenes, np.split(part, ends), strict=True)
    }
    return Split(f"{split.name}+random-seed{seed}", masks)
