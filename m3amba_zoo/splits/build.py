"""From a config's ``split=dict(...)`` to a split: made, dealt anew at random, validation held out."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import SPLITS
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits.places import SceneGroups, group_scenes
from m3amba_zoo.splits.reach import Mask, dilate
from m3amba_zoo.splits.split import PARTS, HeldOut, Split
from m3amba_zoo.splits.stratify import (
    class_counts,
    grid,
    hold_out,
    number_apart,
    pixels,
    require_whole,
    served,
    spread,
    thin,
)

logger = logging.getLogger(__name__)
FEW_GROUPS = 4
SMALLEST_BLOCK = 16
BLOCK_CUTS = (1, 2, 4, 8)
"""Blocks are made so many times smaller, one after the other, until enough can be held out."""
ENOUGH = 0.75
"""The share of what was asked for that is enough, if no class is without."""


def build_split(cfg: Mapping[str, Any], scenes: Sequence[Scene]) -> Split:
    """Build a split from ``dict(type=maker, ..., random=dict(...), val=dict(...))``.

    ``random`` (optional) has the options of ``deal_at_random``, ``val`` (optional) those of
    ``hold_out_validation``. A run's ``--seed`` is the seed of these two; the maker's own is part of the
    dataset, so the test part is the same for all seeds. A warning says if validation has less than half of
    the share asked for, or lacks a class.

    Raises:
        InputError: if there is no such maker, an option is wrong or missing, masks do not fit the scenes, or
            there is no test pixel or a class without training pixels.
    """
    options = dict(cfg)
    val, random = options.pop("val", None), options.pop("random", None)
    if not isinstance(options.get("type"), str):
        raise InputError(
            f"the split is {dict(cfg)}; type=NAME is expected, one of {', '.join(SPLITS.names())}"
        )
    SPLITS.check(options["type"])
    arguments = {key: value for key, value in options.items() if key != "type"}
    _check_options(f"split '{options['type']}'", SPLITS.get(options["type"]), arguments, {"scenes": scenes})
    split = SPLITS.build(options, default_args={"scenes": scenes})
    _check_usable(split, scenes)
    if val is not None:
        _check_options("the split's val", hold_out_validation, val, {"split": split, "scenes": scenes})
        split = hold_out_validation(split, scenes, **val)
        if split.held_out is not None:
            _warn_of_little(split.held_out, split.name)
    if random is not None:  # last, so that each part keeps its number of pixels of each class
        _check_options("the split's random", deal_at_random, random, {"split": split, "scenes": scenes})
        split = deal_at_random(split, scenes, **random)
    return split


def deal_at_random(split: Split, scenes: Sequence[Scene], seed: int = 0) -> Split:
    """Deal the pixels of a split to its parts anew, class by class, without regard to place.

    Each part keeps its number of pixels of each class over all scenes, so only the places differ. A model
    owes what it scores more on the new split to neighbours in training.

    Raises:
        InputError: if the seed is not a whole number.
    """
    require_whole("random.seed", seed, 0)
    used = [np.any(list(split.masks[scene.name].values()), axis=0) for scene in scenes]
    labels = pixels([scene.labels for scene in scenes], used)
    numbered = [np.argmax([split.masks[scene.name][name] for name in PARTS], axis=0) for scene in scenes]
    part = pixels(numbered, used)
    generator = np.random.default_rng(seed)
    for label in range(1, len(scenes[0].classes) + 1):
        members = np.flatnonzero(labels == label)
        part[members] = generator.permutation(part[members])  # which keeps the counts
    dealt = [spread(part == number, used) for number in range(len(PARTS))]
    masks = {
        scene.name: dict(zip(PARTS, of_scene, strict=True))
        for scene, *of_scene in zip(scenes, *dealt, strict=True)
    }
    # what validation reached stays, but the parts are no longer whole groups of scenes
    return replace(split, name=f"{split.name}+random-seed{seed}", masks=masks, groups=None)


def hold_out_validation(
    split: Split, scenes: Sequence[Scene], fraction: float, guard: int, seed: int = 0, step: int = 1
) -> Split:
    """Move about ``fraction`` of each class's training pixels to validation.

    The groups to move are chosen by ``stratify.hold_out``. They are whole groups of scenes if the split is by
    scene (no scene both trains and tests) and more than four groups train; the groups, and the guard around
    their footprints, are those of the split. Otherwise they are regions: sets of training pixels further than
    ``guard`` from all others, so that moving one costs no pixel. A region larger than four guards is cut into
    blocks of that size. If much less than the fraction can be moved so, or a class is left without validation
    pixels, regions are cut into smaller blocks, and the best of these divisions is taken.

    Training pixels within ``guard`` pixels (Chebyshev) of a validation pixel are dropped. A class that would
    keep less than half of what it should has no validation pixels, for example a class of one small region.
    ``Split.held_out`` of the result says what was reached.

    Args:
        split: a split without validation pixels.
        scenes: its scenes.
        fraction: the share of each class's training pixels to move.
        guard: in pixels; across the scenes of one CRS as well.
        seed: of the choice.
        step: only every ``step``-th row and column of what is moved validates; the rest is in no part.

    Raises:
        InputError: if the split has validation pixels already, or none can be held out.
    """
    require_whole("val.guard", guard, 0)
    require_whole("val.step", step, 1)
    if split.count("val"):
        raise InputError(
            f"split '{split.name}' has validation pixels already; val=dict(...) expects a split without"
        )
    masks = [mask for _, mask in split.parts(scenes, "train")]
    together = _groups_of_scenes(split, scenes)
    if together is not None:
        ways = [[np.full(scene.shape, together.numbers[scene.name]) for scene in scenes]]
    else:
        largest = max(4 * guard, SMALLEST_BLOCK)
        ways = [number_apart([_regions(m, guard, largest // cut) for m in masks]) for cut in BLOCK_CUTS]
    total, floor = class_counts(scenes, masks), (1 - fraction) / 2
    best, most = None, 0.0
    for groups in ways:
        made = hold_out(
            scenes, masks, groups, fraction, guard, seed, floor, together.guard if together else 0.0
        )
        kept, held = (class_counts(scenes, part) for part in made)
        good = served(total, kept, held, fraction)
        if good > most:
            best, most = made, good
        if held.sum() >= ENOUGH * fraction * total.sum() and held[total > 0].all():
            break
    if best is None:
        raise InputError(
            f"split '{split.name}': no validation pixels can be held out with fraction {fraction:g} and "
            f"guard {guard}, because every class would lose too many training pixels; a smaller guard is "
            "expected"
        )
    scored = thin(best.held, step)
    without = (total > 0) & (class_counts(scenes, scored) == 0)
    reached = HeldOut(
        asked=fraction,
        share=float(class_counts(scenes, best.held).sum() / total.sum()),
        classes_without=tuple(scenes[0].classes[index].name for index in np.flatnonzero(without)),
    )
    moved = {
        scene.name: {**split.masks[scene.name], "train": mine, "val": theirs}
        for scene, mine, theirs in zip(scenes, best.kept, scored, strict=True)
    }
    name = f"{split.name}+val{fraction:g}-guard{guard}-seed{seed}" + (f"-step{step}" if step != 1 else "")
    return replace(split, name=name, masks={**split.masks, **moved}, held_out=reached)


def _groups_of_scenes(split: Split, scenes: Sequence[Scene]) -> SceneGroups | None:
    """Return the groups of scenes to hold out of a split by scene; None if regions are to be held out."""
    trains = [bool(mask.any()) for _, mask in split.parts(scenes, "train")]
    tests = [bool(mask.any()) for _, mask in split.parts(scenes, "test")]
    if any(a and b for a, b in zip(trains, tests, strict=True)):
        return None
    groups = split.groups or group_scenes(scenes)
    training = {groups.numbers[scene.name] for scene, mine in zip(scenes, trains, strict=True) if mine}
    # with few groups, a whole one would be too large a share to hold out
    return groups if len(training) > FEW_GROUPS else None


def _warn_of_little(held_out: HeldOut, name: str) -> None:
    """Warn if validation has less than half of the share asked for, or lacks a class."""
    if held_out.share >= held_out.asked / 2 and not held_out.classes_without:
        return
    without = ", ".join(held_out.classes_without) or "none"
    logger.warning(
        "split '%s': validation has %.1f %% of the training pixels, %g %% were asked for; classes without "
        "validation pixels: %s",
        name,
        100 * held_out.share,
        100 * held_out.asked,
        without,
    )


def _regions(mask: Mask, guard: int, size: int) -> NDArray[np.int64]:
    """Number the sets of pixels further than ``guard`` from each other, ``(H, W)``.

    Those with more than ``size`` rows or columns are cut into blocks of that size.
    """
    # grown by half the guard, pixels closer than the guard touch: the regions lie more than a guard apart
    regions, _ = ndimage.label(dilate(mask, guard // 2), structure=np.ones((3, 3)))
    large = [False] + [max(s.stop - s.start for s in box) > size for box in ndimage.find_objects(regions)]
    block = np.where(np.array(large)[regions], grid(mask.shape, size) + 1, 0)
    return regions.astype(np.int64) * (block.max() + 1) + block


def _check_usable(split: Split, scenes: Sequence[Scene]) -> None:
    """Raise InputError unless the split fits the scenes, every class trains and some pixel tests."""
    split.check(scenes)
    counts = {part: class_counts(scenes, [mask for _, mask in split.parts(scenes, part)]) for part in PARTS}
    for part, wanted in (("train", "labelled training"), ("test", "test")):
        if not counts[part].any():
            raise InputError(f"split '{split.name}' has no {wanted} pixel in the {len(scenes)} scenes given")
    labelled = class_counts(scenes, [scene.labelled for scene in scenes])
    lacking = [
        f"'{land_class.name}' (0 train, {counts['val'][index]} validation and {counts['test'][index]} test "
        f"of {labelled[index]} labelled pixels)"
        for index, land_class in enumerate(scenes[0].classes)
        if counts["train"][index] == 0
    ]
    if lacking:
        raise InputError(f"split '{split.name}' leaves without training pixels: class {', '.join(lacking)}")


def _check_options(what: str, maker: Callable, options: Any, given: Mapping[str, Any]) -> None:
    if not isinstance(options, Mapping):
        raise InputError(f"{what} is {options!r}; a dict of options is expected")
    signature = inspect.signature(maker)
    known = ", ".join(name for name in signature.parameters if name not in given)
    try:
        signature.bind(**given, **options)
    except TypeError as error:
        raise InputError(f"{what}: {error}; its options are {known or 'none'}") from error
