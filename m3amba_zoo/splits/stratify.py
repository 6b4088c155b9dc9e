"""Hold whole groups of pixels (blocks, regions, scenes) out of a set, about the same share of each class."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits.reach import Mask, reach

MOST_SEARCHES, ENOUGH_GROUPS = 16, 4096
"""Searches with up to 256 groups; with more groups each search finds a division about as good as another."""
SMALLEST_GAIN = 1e-9
NEARLY = 0.98
"""The first search that is nearly the best is taken: where one division is best, seeds still differ."""


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


class _Pieces(NamedTuple):
    """The pixels to divide, in pieces: those of one class and group that are in reach of the same groups.

    Attributes:
        classes: class of each piece, from 0.
        sizes: its number of pixels.
        in_reach: for each group the pieces in reach.
        own: pixels by group and class, ``(G, K)``.
    """

    classes: NDArray[np.int64]
    sizes: NDArray[np.int64]
    in_reach: list[NDArray[np.int64]]
    own: NDArray[np.int64]


def hold_out(
    scenes: Sequence[Scene],
    masks: Sequence[Mask],
    groups: Sequence[NDArray[np.int64]],
    fraction: float,
    guard: int,
    seed: int,
    floor: float = 0.0,
    footprint: float = 0.0,
    keep: int = 1,
) -> Division:
    """Hold out groups of the pixels in ``masks`` and drop kept pixels that are in their reach.

    The search starts with nothing held out. It goes through the groups in random order and holds out or
    takes back each one if every class keeps enough and the division gets better, until none makes it better.
    One of the best of up to 16 seeded searches is taken. A division is as good as its classes are served; a
    class is served as well as the worse of its two sides, relative to the pixels that the side should have.

    Args:
        scenes: the scenes, for their labels and places.
        masks: the labelled pixels to divide, one ``(H, W)`` per scene.
        groups: the number of each pixel's group, one ``(H, W)`` per scene; a group may cross scenes.
        fraction: the share of each class's pixels to hold out.
        guard: in pixels, Chebyshev; across the scenes of one CRS as well.
        seed: of the search.
        floor: the share of its pixels that each class keeps more than (0: it keeps one pixel).
        footprint: in map units; kept pixels so close to the footprint of a scene with held-out pixels are
            dropped, too.
        keep: groups of each class that are not held out at least, if the class has more than these.

    Raises:
        InputError: if fraction, guard or seed is out of range.

    Returns:
        The kept and the held pixels; no kept pixel is in reach of a held one.
    """
    require_share("fraction", fraction)
    require_whole("guard", guard, 0)
    require_whole("seed", seed, 0)
    first, group = _number(pixels(groups, masks))
    ends = np.cumsum([np.count_nonzero(mask) for mask in masks])[:-1]
    in_reach = reach(scenes, masks, np.split(group, ends), guard, footprint) if len(first) else []
    classes = pixels([scene.labels for scene in scenes], masks).astype(np.int64) - 1
    pieces = _cut(classes, group, in_reach, len(scenes[0].classes))
    searches = max(1, min(MOST_SEARCHES, ENOUGH_GROUPS // max(len(first), 1)))
    found = [_search(pieces, fraction, floor, keep, (seed, number)) for number in range(searches)]
    best = max(good for _, good in found)
    chosen = next(chosen for chosen, good in found if good >= NEARLY * best)
    kept = np.ones(len(group), dtype=bool)
    for number in np.flatnonzero(chosen):
        kept[in_reach[number]] = False
    return Division(spread(kept, masks), spread(chosen[group], masks))


def served(
    total: NDArray[np.int64], kept: NDArray[np.int64], held: NDArray[np.int64], fraction: float
) -> float:
    """Say how well a division serves the classes: 0 to the number of classes.

    The square root gives the badly served classes the most weight.
    """
    shares = np.minimum(kept / (1 - fraction), held / fraction) / np.maximum(total, 1)
    return float(np.sqrt(shares).sum())


def _cut(
    classes: NDArray[np.int64], group: NDArray[np.int64], in_reach: list[NDArray[np.int64]], count: int
) -> _Pieces:
    """Join the pixels that no choice of groups can tell apart."""
    # random numbers of 64 bits whose sums tell sets apart: of the pixel's class, its group, those it is near
    code = np.random.default_rng(0).integers(0, 2**64, (2 * len(in_reach) + count), dtype=np.uint64)
    key = code[classes] + code[count + group]
    for number, near in enumerate(in_reach):
        key[near] += code[count + len(in_reach) + number]
    first, piece = _number(key)
    own = np.bincount(group * count + classes, minlength=len(in_reach) * count).reshape(-1, count)
    pieces_near = [np.flatnonzero(np.bincount(piece[near], minlength=len(first))) for near in in_reach]
    return _Pieces(classes[first], np.bincount(piece, minlength=len(first)), pieces_near, own)


def _number(values: NDArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the distinct values in order: where each first is, and the number of every value.

    Pixels of a group lie together, so only the first value of each run is sorted.
    """
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1])[: len(values)])
    _, first, number = np.unique(values[starts], return_index=True, return_inverse=True)
    return starts[first], np.repeat(number, np.diff(starts, append=len(values)))


def _search(
    pieces: _Pieces, fraction: float, floor: float, keep: int, seed: Sequence[int]
) -> tuple[Mask, float]:
    """Climb to the best division that holding out or taking back one group leads to, and say how good."""
    total = pieces.own.sum(axis=0)
    least = np.where(total > 0, floor * total, -1)
    present = (pieces.own > 0).astype(np.int64)
    left = present.sum(axis=0)  # groups that are not held out
    least_left = np.minimum(keep, left - 1)
    kept, held = total.copy(), np.zeros_like(total)
    chosen = np.zeros(len(pieces.own), dtype=bool)
    over = np.zeros(len(pieces.sizes), dtype=np.int64)  # how many held-out groups each piece is in reach of
    best, last = 0.0, -1
    order = np.random.default_rng(seed).permutation(len(chosen))
    for step in itertools.cycle(range(len(order))):
        group = order[step]
        if step == last:
            break  # a whole round without gain
        if last < 0:
            last = step
        sign = -1 if chosen[group] else 1
        near = pieces.in_reach[group]
        turned = near[over[near] == (1 if chosen[group] else 0)]
        change = np.bincount(pieces.classes[turned], pieces.sizes[turned], len(total)).astype(np.int64)
        new_kept, new_held = kept - sign * change, held + sign * pieces.own[group]
        new_left = left - sign * present[group]
        if (new_kept <= least).any() or (new_left < least_left).any():
            continue
        good = served(total, new_kept, new_held, fraction)
        if good > best + SMALLEST_GAIN:
            kept, held, left, best, last = new_kept, new_held, new_left, good, step
            chosen[group] = not chosen[group]
            over[near] += sign
    return chosen, best


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


def number_apart(groups: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Number groups, ``(H, W)`` per scene, so that no two scenes have one in common."""
    starts = np.cumsum([0] + [int(numbers.max()) + 1 for numbers in groups])
    return [numbers + start for numbers, start in zip(groups, starts, strict=False)]


def thin(masks: Sequence[Mask], step: int) -> list[Mask]:
    """Keep the pixels of every ``step``-th row and column, because near pixels are nearly copies."""
    thinned = [np.zeros_like(mask) for mask in masks]
    for mask, sparse in zip(masks, thinned, strict=True):
        lattice = np.s_[step // 2 :: step, step // 2 :: step]
        sparse[lattice] = mask[lattice]
    return thinned
