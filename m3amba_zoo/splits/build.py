"""From a config's ``split=dict(...)`` to a split: made, dealt anew at random, validation held out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import SPLITS
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits.split import PARTS, Split
from m3amba_zoo.splits.stratify import (
    Mask,
    class_counts,
    dilate,
    grid,
    hold_out,
    pixels,
    require_whole,
    spread,
)

FEW_SCENES = 4
SMALLEST_BLOCK = 16


def build_split(cfg: Mapping[str, Any], scenes: Sequence[Scene]) -> Split:
    """Build a split from ``dict(type=maker, ..., random=dict(...), val=dict(...))``.

    ``random`` (optional) has the options of ``deal_at_random``, ``val`` (optional) those of
    ``hold_out_validation``.

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
    if random is not None:
        _check_options("the split's random", deal_at_random, random, {"split": split, "scenes": scenes})
        split = deal_at_random(split, scenes, **random)
    if val is not None:
        _check_options("the split's val", hold_out_validation, val, {"split": split, "scenes": scenes})
        split = hold_out_validation(split, scenes, **val)
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
    return Split(f"{split.name}+random-seed{seed}", masks)


def hold_out_validation(
    split: Split, scenes: Sequence[Scene], fraction: float, guard: int, seed: int = 0
) -> Split:
    """Move about ``fraction`` of each class's training pixels to validation.

    The groups to move are chosen by ``stratify.hold_out``. They are whole scenes if the split is by scene (no
    scene both trains and tests) and has more than four training scenes. Otherwise they are regions: sets of
    training pixels further than ``guard`` from all others, so that moving one costs no pixel. A region larger
    than four guards is cut into blocks of that size.

    Training pixels within ``guard`` pixels (Chebyshev) of a validation pixel are dropped. A class that would
    keep less than half of what it should has no validation pixels, for example a class of one small region.

    Raises:
        InputError: if the split has validation pixels already, or none can be held out.
    """
    require_whole("val.guard", guard, 0)
    if split.count("val"):
        raise InputError(
            f"split '{split.name}' has validation pixels already; val=dict(...) expects a split without"
        )
    masks = [mask for _, mask in split.parts(scenes, "train")]
    if _is_by_scene(split, scenes):
        groups = [np.zeros(scene.shape, dtype=np.int64) for scene in scenes]
    else:
        groups = [_regions(mask, guard) for mask in masks]
    train, val = hold_out(scenes, masks, groups, fraction, guard, seed, floor=(1 - fraction) / 2)
    if not any(mask.any() for mask in val):
        raise InputError(
            f"split '{split.name}': no validation pixels can be held out with fraction {fraction:g} and "
            f"guard {guard}, because every class would lose too many training pixels; a smaller guard is "
            "expected"
        )
    held_out = {
        scene.name: {**split.masks[scene.name], "train": mine, "val": theirs}
        for scene, mine, theirs in zip(scenes, train, val, strict=True)
    }
    return Split(f"{split.name}+val{fraction:g}-guard{guard}-seed{seed}", {**split.masks, **held_out})


def _is_by_scene(split: Split, scenes: Sequence[Scene]) -> bool:
    trains = [bool(mask.any()) for _, mask in split.parts(scenes, "train")]
    tests = [bool(mask.any()) for _, mask in split.parts(scenes, "test")]
    # with few scenes, a whole one would be too large a share to hold out
    return sum(trains) > FEW_SCENES and not any(a and b for a, b in zip(trains, tests, strict=True))


def _regions(mask: Mask, guard: int) -> NDArray[np.int64]:
    """Number the sets of pixels further than ``guard`` from each other, ``(H, W)``; large ones are cut."""
    # grown by half the guard, pixels closer than the guard touch: the regions lie more than a guard apart
    regions, _ = ndimage.label(dilate(mask, guard // 2), structure=np.ones((3, 3)))
    size = max(4 * guard, SMALLEST_BLOCK)
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
