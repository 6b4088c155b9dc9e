"""Hold whole groups of pixels (blocks, regions, scenes) out of a set, about the same share of each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.scene import Scene

Mask = NDArray[np.bool_]
ATTEMPTS = 16


class Division(NamedTuple):
    """One mask ``(H, W)`` per scene: the pixels kept and those held out; the guard takes the rest."""

    kept: list[Mask]
    held: list[Mask]


def require_share(option: str, value: float) -> None:
    """Raise InputError unless ``value`` is a number between 0 and 1, both excluded."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise InputError(f"split option {option} is {value!r}; a number between 0 and 1 is expected")


def require_whole(option: str, value: int, least: int) -> None:
    """Raise InputError unless ``value`` is a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"split option {option} is {value!r}; a whole number of {least} or more is expected")


def dilate(mask: Mask, distance: int) -> Mask:
    """Mark every pixel within ``distance`` pixels (Chebyshev) of a pixel of ``mask``."""
    if not mask.any():
        return mask
    return ndimage.maximum_filter(mask, 2 * distance + 1, mode="constant")


def class_counts(scenes: Sequence[Scene], masks: Sequence[Mask]) -> NDArray[np.int64]:
    """Count the pixels under the masks (one per scene) by class: ``(K,)``."""
    classes = len(scenes[0].classes)
    counts = np.zeros(classes + 1, dtype=np.int64)
    for scene, mask in zip(scenes, masks, strict=True):
        counts += np.bincount(scene.labels[mask], minlength=classes + 1)
    return counts[1:]


def grid(shape: tuple[int, int], size: int) -> NDArray[np.int64]:
    """Number the ``size`` x ``size`` blocks of a scene from its upper left corner: ``(H, W)``."""
    rows, columns = (np.arange(side) // size for side in shape)
    return rows[:, None] * (columns[-1] + 1) + columns


def choose_groups(counts: NDArray[np.int64], fraction: float, seed: Sequence[int], pinned: Mask) -> Mask:
    """Choose the groups to hold out: iterative stratification, weighted by pixels.

    After Sechidis, Tsoumakas, Vlahavas 2011, "On the stratification of multi-label data". Every class that
    has a group ends with pixels on the kept side, and if possible on the held side as well.

    Args:
        counts: pixels by group and class, ``(G, K)``.
        fraction: the share of each class's pixels to hold out.
        seed: of the order of the groups.
        pinned: groups that must be kept, ``(G,)``.

    Returns:
        The groups to hold out, ``(G,)``.
    """
    order = np.random.default_rng(seed).permutation(len(counts))
    counts, pinned = counts[order], pinned[order]
    present = counts > 0
    kept = counts[pinned].sum(axis=0)
    held = np.zeros_like(kept)
    surplus = (1 - 2 * fraction) * counts.sum(axis=0)  # by how much kept exceeds held in the end
    waiting = present.any(axis=1) & ~pinned
    left = present[waiting].sum(axis=0)
    chosen = np.zeros(len(counts), dtype=bool)
    while waiting.any():
        # the class with the fewest groups left has the least choice, so it is served first
        rarest = np.where(left > 0, left, len(counts) + 1).argmin()
        group = (waiting & present[:, rarest]).argmax()
        last = present[group] & (left == 1)
        if (last & (kept == 0)).any():
            hold = False  # the last chance of one of its classes to train
        elif kept[rarest] == 0 or held[rarest] == 0:
            hold = bool(kept[rarest] > 0)  # a side without the class comes first, kept before held
        else:
            hold = bool(kept[rarest] - held[rarest] > surplus[rarest])  # the side that lacks more pixels
        (held if hold else kept)[:] += counts[group]
        chosen[order[group]] = hold
        waiting[group] = False
        left -= present[group]
    return chosen


def hold_out(
    scenes: Sequence[Scene],
    masks: Sequence[Mask],
    groups: Sequence[NDArray[np.int64]],
    fraction: float,
    guard: int,
    seed: int,
    floor: float = 0.0,
) -> Division:
    """Hold out groups of the pixels in ``masks`` and drop kept pixels within ``guard`` of a held one.

    This takes the best of 16 seeded choices (``choose_groups``). A class is lost if it keeps no more than the
    share ``floor`` of its pixels. Then all groups within ``guard`` of its pixels are kept, and the choice is
    made again.

    Args:
        scenes: the scenes, for their labels.
        masks: the labelled pixels to divide, one ``(H, W)`` per scene.
        groups: the number of each pixel's group, one ``(H, W)`` per scene; no group crosses scenes.
        fraction: the share of each class's pixels to hold out.
        guard: in pixels, Chebyshev.
        seed: of the choices.
        floor: the share of its pixels that each class keeps at least (0: one pixel).

    Raises:
        InputError: if fraction, guard or seed is out of range.

    Returns:
        The kept and the held pixels; no held pixel is within ``guard`` of a kept one.
    """
    require_share("fraction", fraction)
    require_whole("guard", guard, 0)
    require_whole("seed", seed, 0)
    # number the groups over all scenes, and only those that hold a pixel
    starts = np.cumsum([0] + [int(numbers.max()) + 1 for numbers in groups])
    numbered = [numbers + start for numbers, start in zip(groups, starts, strict=False)]
    used, group = np.unique(pixels(numbered, masks), return_inverse=True)
    labels = pixels([scene.labels for scene in scenes], masks)
    counts = np.zeros((len(used), len(scenes[0].classes)), dtype=np.int64)
    np.add.at(counts, (group, labels - 1), 1)
    total = counts.sum(axis=0)

    def attempt(number: int, pinned: Mask) -> tuple[Division, Mask, tuple[int, float]]:
        held = spread(choose_groups(counts, fraction, (seed, number), pinned)[group], masks)
        kept = [mask & ~dilate(out, guard) for mask, out in zip(masks, held, strict=True)]
        kept_counts, held_counts = class_counts(scenes, kept), class_counts(scenes, held)
        lost = (total > 0) & (kept_counts <= floor * total)
        # a class is served as well as the worse of its two sides, relative to the pixels that side should
        # have; the square root gives the badly served classes the most weight
        served = np.minimum(kept_counts / (1 - fraction), held_counts / fraction) / np.maximum(total, 1)
        return Division(kept, held), lost, (-int(lost.sum()), float(np.sqrt(served).sum()))

    pinned = np.zeros(len(used), dtype=bool)
    while True:  # each round pins more groups, and with all groups pinned no class is lost
        attempts = (attempt(number, pinned) for number in range(ATTEMPTS))
        division, lost, _ = max(attempts, key=lambda made: made[2])
        if not lost.any():
            return division
        of_lost = spread(lost[labels - 1], masks)
        near = [dilate(mask, guard) for mask in of_lost]
        pinned[group[pixels(near, masks)]] = True


def pixels(values: Sequence[NDArray], masks: Sequence[Mask]) -> NDArray:
    """Chain the values under the masks: ``(pixels,)``."""
    return np.concatenate([value[mask] for value, mask in zip(values, masks, strict=True)])


def spread(flags: Mask, masks: Sequence[Mask]) -> list[Mask]:
    """Put chained flags ``(pixels,)`` back into masks ``(H, W)``, the inverse of ``pixels``."""
    ends = np.cumsum([np.count_nonzero(mask) for mask in masks])[:-1]
    parts = []
    for mask, own in zip(masks, np.split(flags, ends), strict=True):
        full = np.zeros_like(mask)
        full[mask] = own
        parts.append(full)
    return parts
