"""Validation pixels out of the training pixels, with a guard between."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits.split import Split
from m3amba_zoo.splits.stratify import Mask, dilate, grid, hold_out, require_whole

FEW_SCENES = 4
SMALLEST_BLOCK = 16


def hold_out_validation(
    split: Split, scenes: Sequence[Scene], fraction: float, guard: int, seed: int = 0
) -> Split:
    """Move about ``fraction`` of each class's training pixels to validation.

    A split by scene (no scene both trains and tests) with more than four training scenes gives whole
    scenes. Any other gives regions of the training area: sets of training pixels that lie further than
    ``guard`` from all others, so that moving one costs no pixel; a region larger than four guards is cut
    into blocks of that size. They are chosen by ``stratify.hold_out``. Training pixels within
    ``guard`` pixels (Chebyshev) of a validation pixel are dropped, and a class that would keep less than
    half of what it should stays in training as a whole: a class of one small region has no validation pixels.

    Raises:
        InputError: the split has validation pixels already, or none can be held out.
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
            f"guard {guard}, for every class would lose too many training pixels; a smaller guard is expected"
        )
    held_out = {
        scene.name: {**split.masks[scene.name], "train": mine, "val": theirs}
        for scene, mine, theirs in zip(scenes, train, val, strict=True)
    }
    return Split(f"{split.name}+val{fraction:g}-guard{guard}-seed{seed}", {**split.masks, **held_out})


def _is_by_scene(split: Split, scenes: Sequence[Scene]) -> bool:
    trains = [bool(mask.any()) for _, mask in split.parts(scenes, "train")]
    tests = [bool(mask.any()) for _, mask in split.parts(scenes, "test")]
    return sum(trains) > FEW_SCENES and not any(a and b for a, b in zip(trains, tests, strict=True))


def _regions(mask: Mask, guard: int) -> NDArray[np.int64]:
    """Number the sets of pixels further than ``guard`` from each other, the large ones cut into blocks."""
    # two pixels touch once each is grown by half the guard: the regions lie more than guard apart
    regions, _ = ndimage.label(dilate(mask, guard // 2), structure=np.ones((3, 3)))
    size = max(4 * guard, SMALLEST_BLOCK)
    large = [False] + [max(s.stop - s.start for s in box) > size for box in ndimage.find_objects(regions)]
    block = np.where(np.array(large)[regions], grid(mask.shape, size) + 1, 0)
    return regions.astype(np.int64) * (block.max() + 1) + block
