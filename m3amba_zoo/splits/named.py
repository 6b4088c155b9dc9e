"""Scenes that a split by scene names, for training and for testing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from m3amba_zoo.errors import InputError, close_names
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits.reach import Mask, reach
from m3amba_zoo.splits.stratify import pixels, spread

LONGEST = 40
"""Characters of names in the name of a split; more names than that are counted."""


class Sides(NamedTuple):
    """Names of the scenes that train and that test, in the order of the scenes."""

    train: tuple[str, ...]
    test: tuple[str, ...]

    def __str__(self) -> str:
        return f"train_{_joined(self.train)}-test_{_joined(self.test)}"


def name_sides(scenes: Sequence[Scene], train: Sequence[str] | None, test: Sequence[str] | None) -> Sides:
    """Find the scenes that are named; where one side is None, it has all scenes that the other has not.

    Raises:
        InputError: if there is no such scene, one is on both sides, or a side is empty.
    """
    known = [scene.name for scene in scenes]
    for side, names in {"train": train, "test": test}.items():
        if names is None:
            continue
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise InputError(f"split option {side} is {names!r}; a list of names of scenes is expected")
        for name in names:
            if name not in known:
                hint = close_names(name, known) or f"the scenes are {', '.join(known)}"
                raise InputError(f"split option {side}: no scene is named '{name}'; {hint}")
    if both := set(train or ()) & set(test or ()):
        raise InputError(f"split 'by_scene': scene '{min(both)}' is to train and to test; one is expected")
    chosen = Sides(
        tuple(name for name in known if (name in train if train is not None else name not in (test or ()))),
        tuple(name for name in known if (name in test if test is not None else name not in (train or ()))),
    )
    for side, names in chosen._asdict().items():
        if not names:
            raise InputError(f"split 'by_scene': no scene is left to {side}; one at least is expected")
    return chosen


def divide_named(scenes: Sequence[Scene], sides: Sides, guard: float) -> tuple[list[Mask], list[Mask]]:
    """Return the training and the test pixels of each scene, ``(H, W)``.

    Training pixels within ``guard`` (map units) of the footprint of a scene that tests are in neither.
    """
    train = [scene.labelled & (scene.name in sides.train) for scene in scenes]
    test = [scene.labelled & (scene.name in sides.test) for scene in scenes]
    if not guard:
        return train, test
    used = [mine | theirs for mine, theirs in zip(train, test, strict=True)]
    numbers = [theirs[both].astype(np.int64) for theirs, both in zip(test, used, strict=True)]
    kept = pixels(train, used)
    in_reach = reach(scenes, used, numbers, 0, guard)
    kept[in_reach[1]] = False
    return spread(kept, used), test


def _joined(names: Sequence[str]) -> str:
    text = "+".join(names)
    return text if len(text) <= LONGEST else f"{len(names)}scenes"
