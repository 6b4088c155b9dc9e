"""The makers of splits, registered in ``SPLITS``: functions that take the scenes and return a Split.

A config writes ``split=dict(type="blocks", size=32, guard=16, seed=0)``. A split's name records the maker
and its arguments, without defaults of those that are not required (the seed is always there).
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from m3amba_zoo.errors import InputError, close_names
from m3amba_zoo.registry import SPLITS
from m3amba_zoo.scenes.scene import Scene, seen_pixels
from m3amba_zoo.splits.places import SceneGroups, group_scenes
from m3amba_zoo.splits.reach import Mask, reach
from m3amba_zoo.splits.split import Split, changed_labels
from m3amba_zoo.splits.stratify import (
    class_counts,
    grid,
    hold_out,
    number_apart,
    pixels,
    require_share,
    require_whole,
    spread,
    thin,
)

logger = logging.getLogger(__name__)
TEST_FRACTION = 0.3
TRAIN_FRACTION = 0.6
KEEP = 2
"""Groups of a class that train at least, if it has more, so that one of them can validate."""
LONGEST = 40
"""Characters of names in the name of a split; more names than that are counted."""


def _assemble(
    name: str,
    scenes: Sequence[Scene],
    train: Sequence[Mask],
    test: Sequence[Mask],
    groups: SceneGroups | None = None,
) -> Split:
    masks = {
        scene.name: {"train": mine, "val": np.zeros(scene.shape, dtype=bool), "test": theirs}
        for scene, mine, theirs in zip(scenes, train, test, strict=True)
    }
    return Split(name, masks, groups)


@SPLITS.register_module()
def official(scenes: Sequence[Scene]) -> Split:
    """Take the masks that were published with the scenes (``Scene.official``).

    Raises:
        InputError: if a scene has no official split.
    """
    train, test = [], []
    for scene in scenes:
        if scene.official is None:
            raise InputError(
                f"scene '{scene.name}' has no official split; a split of type 'blocks', 'by_scene' or "
                "'per_class' is expected"
            )
        train.append(scene.official["train"])
        test.append(scene.official["test"])
    return _assemble("official", scenes, train, test)


@SPLITS.register_module()
def per_class(
    scenes: Sequence[Scene],
    k: int | None = None,
    fraction: float | None = None,
    counts: Sequence[int] | None = None,
    seed: int = 0,
) -> Split:
    """Draw random training pixels of each class over all scenes; all other labelled pixels test.

    This split leaks, because test pixels lie among training pixels. It serves to measure how much
    (``splits.leakage``) and to compare with papers that use it.

    Args:
        scenes: the scenes.
        k: training pixels per class, or
        fraction: the share of each class's pixels that train (at least one pixel), or
        counts: training pixels of each class, in the order of the class table.
        seed: of the draw.

    Raises:
        InputError: if not exactly one of k, fraction and counts is given, or a class has too few pixels.
    """
    given = {"k": k, "fraction": fraction, "counts": counts}
    named = [option for option, value in given.items() if value is not None]
    if len(named) != 1:
        raise InputError(
            f"split 'per_class' got {' and '.join(named) or 'no amount'}; exactly one of k, fraction and "
            "counts is expected"
        )
    require_whole("seed", seed, 0)
    classes = scenes[0].classes
    labelled = [scene.labelled for scene in scenes]
    available = class_counts(scenes, labelled)
    if k is not None:
        require_whole("k", k, 1)
        wanted = np.full(len(classes), k)
        made = f"k{k}"
    elif fraction is not None:
        require_share("fraction", fraction)
        wanted = np.where(available > 0, np.maximum(1, np.round(fraction * available).astype(int)), 0)
        made = f"fraction{fraction:g}"
    else:
        assert counts is not None
        if not isinstance(counts, Sequence) or len(counts) != len(classes):
            raise InputError(
                f"split option counts is {counts!r}; a number for each of {len(classes)} classes is expected"
            )
        for count in counts:
            require_whole("counts", count, 0)
        wanted = np.array(counts)
        made = f"counts{'_'.join(map(str, counts))}"
    # draw from the labelled pixels of all scenes in a row
    labels = pixels([scene.labels for scene in scenes], labelled)
    generator = np.random.default_rng(seed)
    train = np.zeros(len(labels), dtype=bool)
    for index, land_class in enumerate(classes):
        if wanted[index] > available[index]:
            raise InputError(
                f"split 'per_class' wants {wanted[index]} training pixels of class '{land_class.name}', "
                f"which has {available[index]} labelled pixels"
            )
        train[generator.permutation(np.flatnonzero(labels == index + 1))[: wanted[index]]] = True
    mine = spread(train, labelled)
    theirs = [mask & ~own for mask, own in zip(labelled, mine, strict=True)]
    return _assemble(f"per_class-{made}-seed{seed}", scenes, mine, theirs)


@SPLITS.register_module()
def blocks(
    scenes: Sequence[Scene],
    size: int,
    guard: int,
    seed: int = 0,
    test_fraction: float = TEST_FRACTION,
    step: int = 1,
) -> Split:
    """Cut each scene into blocks and let whole blocks test, each class on both sides if possible.

    ``stratify.hold_out`` chooses the blocks. Training pixels within ``guard`` pixels (Chebyshev) of a test
    pixel are dropped; test pixels never are. If the guard would take all training pixels of a class, the
    class has no test pixels instead.

    Args:
        scenes: the scenes.
        size: side of a block in pixels.
        guard: in pixels; half the window or more keeps every test pixel out of every training window.
        seed: of the choice of blocks.
        test_fraction: the share of each class's labelled pixels that should test.
        step: only every ``step``-th row and column of the blocks that test is scored.
    """
    require_whole("size", size, 1)
    require_whole("step", step, 1)
    require_share("test_fraction", test_fraction)
    labelled = [scene.labelled for scene in scenes]
    grids = number_apart([grid(scene.shape, size) for scene in scenes])
    train, test = hold_out(scenes, labelled, grids, test_fraction, guard, seed, keep=KEEP)
    name = f"blocks-size{size}-guard{guard}-seed{seed}"
    if test_fraction != TEST_FRACTION:
        name += f"-test_fraction{test_fraction:g}"
    if step != 1:
        name += f"-step{step}"
    return _assemble(name, scenes, train, thin(test, step))


@SPLITS.register_module()
def by_scene(
    scenes: Sequence[Scene],
    seed: int = 0,
    train_fraction: float = TRAIN_FRACTION,
    distance: float = 0.0,
    region: float | None = None,
    guard: float = 0.0,
    step: int = 1,
    train: Sequence[str] | None = None,
    test: Sequence[str] | None = None,
) -> Split:
    """Let whole groups of scenes train or test: those named, or each class on both sides if possible.

    Scenes that share an object (``Scene.objects``) are one group, and those that ``distance`` or ``region``
    joins. ``stratify.hold_out`` chooses the groups. A class of only one group trains. Validation pixels that
    are held out of this split keep to its groups and its guard.

    With ``train`` or ``test`` nothing is chosen: the named scenes train and test. If only one of them is
    given, all other scenes are on the other side, else scenes that are not named are in no part.

    Args:
        scenes: the scenes, two or more groups of them with labels.
        seed: of the choice of groups.
        train_fraction: the share of each class's labelled pixels that should train.
        distance: scenes of one CRS whose footprints are nearer than this are one group (map units).
        region: scenes of one CRS whose centres lie in one cell of a map grid with cells of this side are one
            group (map units); for tiles that all touch.
        guard: training pixels so close to the footprint of a scene that tests are dropped (map units).
        step: only every ``step``-th row and column of the scenes that test is scored.
        train: names of the scenes that train.
        test: names of the scenes that test.

    Raises:
        InputError: if fewer than two groups have labelled pixels, an option in map units is given for
            scenes without georeference, or a scene is named that does not exist, or on both sides.
    """
    require_share("train_fraction", train_fraction)
    require_whole("step", step, 1)
    groups = group_scenes(scenes, distance, region, guard)
    labelled = [scene.labelled for scene in scenes]
    if train is not None or test is not None:
        if train_fraction != TRAIN_FRACTION:
            raise InputError("split option train_fraction chooses nothing where train or test names scenes")
        sides = name_sides(scenes, train, test)
        name = f"by_scene-{sides}" + (f"-guard{guard:g}" if guard else "")
        name += f"-step{step}" if step != 1 else ""
        kept, held = divide_named(scenes, sides, guard)
        return _assemble(name, scenes, kept, thin(held, step), groups)
    found = len({groups.numbers[scene.name] for scene in scenes if scene.labelled.any()})
    if found < 2:
        raise InputError(
            f"split 'by_scene': the scenes with labels form {found} group(s); two or more are expected (a "
            "split of type 'blocks' divides one scene)"
        )
    whole = [np.full(scene.shape, groups.numbers[scene.name]) for scene in scenes]
    kept, held = hold_out(scenes, labelled, whole, 1 - train_fraction, 0, seed, footprint=guard, keep=KEEP)
    name = f"by_scene-seed{seed}"
    given = {
        "train_fraction": train_fraction,
        "distance": distance,
        "region": region,
        "guard": guard,
        "step": step,
    }
    for option, default in inspect.signature(by_scene).parameters.items():
        if option in given and given[option] != default.default:
            name += f"-{option}{given[option]:g}"
    return _assemble(name, scenes, kept, thin(held, step), groups)


@SPLITS.register_module()
def file(scenes: Sequence[Scene], path: str | Path) -> Split:
    """Read a split saved by ``Split.save`` or ``m3amba split make``; its name and hash are the file's.

    A split that was made from labels alone loses the pixels that no raster shows, and so has another hash.
    A warning says if the labels have changed since it was made.

    Raises:
        InputError: if the file is absent or damaged, or does not fit the scenes.
    """
    split = Split.read(path)
    changed = changed_labels(split.labels, scenes)
    anew = "'m3amba split make' makes it anew"
    try:
        split = _without_unseen(split, scenes)
        split.check(scenes)
    except InputError as error:
        raise InputError(f"{path}: {error}" + (f"; {changed}; {anew}" if changed else "")) from error
    if changed:
        logger.warning("%s: %s; pixels that are newly labelled are in no part of it; %s", path, changed, anew)
    return split


def _without_unseen(split: Split, scenes: Sequence[Scene]) -> Split:
    """Take the pixels that no raster shows out of a split that was made from labels alone."""
    masks = dict(split.masks)
    for scene in scenes:
        seen, parts = seen_pixels(scene), masks.get(scene.name, {})
        if parts and not seen.all() and all(mask.shape == seen.shape for mask in parts.values()):
            masks[scene.name] = {part: mask & seen for part, mask in parts.items()}
    return replace(split, masks=masks)


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
