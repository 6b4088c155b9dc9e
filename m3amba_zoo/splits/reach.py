"""The guard: which pixels lie so close to a group that they cannot train if the group is held out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits.places import gaps, locate

Mask = NDArray[np.bool_]


def dilate(mask: Mask, distance: int) -> Mask:
    """Mark every pixel within ``distance`` pixels (Chebyshev) of a pixel of ``mask``."""
    if not mask.any():
        return mask
    return ndimage.maximum_filter(mask, 2 * distance + 1, mode="constant")


def reach(
    scenes: Sequence[Scene],
    masks: Sequence[Mask],
    groups: Sequence[NDArray[np.int64]],
    guard: int,
    footprint: float = 0.0,
) -> list[NDArray[np.int64]]:
    """Find the pixels in reach of each group, across the scenes of one CRS.

    Args:
        scenes: the scenes.
        masks: the pixels that count, one ``(H, W)`` per scene.
        groups: each scene's pixels' groups, ``(pixels of the mask,)``, numbered from 0 over all scenes.
        guard: pixels within this distance of one of the group's pixels are in reach (pixels, Chebyshev).
        footprint: so are pixels within this distance of the footprint of a scene with a pixel of the group
            (map units, along rows and columns).

    Returns:
        For each group the numbers of the pixels in reach, sorted, its own among them. Pixels are numbered
        over the masks of all scenes in a row.
    """
    places = locate(scenes)
    bounds = np.stack([place.bounds(scene.shape) for place, scene in zip(places, scenes, strict=True)])
    grids = np.array([place.grid for place in places])
    where = [np.nonzero(mask) for mask in masks]
    members = [np.unique(numbers).tolist() for numbers in groups]
    count = 1 + max(max(mine, default=-1) for mine in members)
    found: list[list[NDArray[np.int64]]] = [[] for _ in range(count)]
    start = 0
    for target, (place, mask) in enumerate(zip(places, masks, strict=True)):
        size = len(groups[target])
        gap = np.where((grids == place.grid)[:, None], gaps(bounds, bounds[target]), np.inf)
        gap[target] = -np.inf
        near: dict[int, Mask] = {}
        if footprint:
            assert place.pixel is not None
            wide = footprint / place.pixel  # along rows and columns
            near = _near_footprints(
                place.positions(*where[target]),
                {
                    i: (bounds[i] + np.concatenate([-wide, wide]), members[i])
                    for i in np.flatnonzero((gap < wide).all(axis=1)).tolist()
                },
            )
        if len(members[target]) == 1:
            near[members[target][0]] = np.ones(size, dtype=bool)
        # a group that reaches the whole scene needs no look at its points
        whole = {group for group, inside in near.items() if inside.all()}
        side = np.abs(place.to_grid[:2, :2]).sum(axis=1).max()  # of this scene's pixels in those of the grid
        close = np.flatnonzero((gap < guard * side).all(axis=1)).tolist()
        around = [i for i in close if not whole.issuperset(members[i])]
        hits: dict[int, NDArray[np.int64]] = {}
        if around:
            numbers = np.full(mask.shape, -1, dtype=np.int64)
            numbers[mask] = np.arange(size)
            points = np.concatenate([places[i].positions_in(place, *where[i]) for i in around])
            hits = _near_points(numbers, points, np.concatenate([groups[i] for i in around]), guard)
        for group, inside in near.items():
            inside[hits.get(group, [])] = True
            hits[group] = np.flatnonzero(inside)
        for group, hit in hits.items():
            found[group].append(start + hit)
        start += size
    return [np.concatenate(parts) for parts in found]


def _near_points(
    numbers: NDArray[np.int64], points: NDArray[np.float64], groups: NDArray[np.int64], guard: int
) -> dict[int, NDArray[np.int64]]:
    """Return, by group, the numbers of a scene's pixels within the guard of the group's points."""
    shape = np.array(numbers.shape)
    near = ((points > -guard - 1) & (points < shape + guard)).all(axis=1)
    if not near.any():
        return {}
    points, groups = points[near], groups[near]
    order = np.argsort(groups, kind="stable")
    members, starts = np.unique(groups[order], return_index=True)
    found = {}
    for group, mine in zip(members.tolist(), np.split(points[order], starts[1:]), strict=True):
        # a point between pixels counts as all pixels around it: the guard is never too narrow
        low, high = np.floor(mine).astype(np.int64), np.ceil(mine).astype(np.int64)
        first, last = low.min(axis=0) - guard, high.max(axis=0) + guard + 1
        canvas = np.zeros(last - first, dtype=bool)
        for rows in (low[:, 0], high[:, 0]):
            for columns in (low[:, 1], high[:, 1]):
                canvas[rows - first[0], columns - first[1]] = True
        begin, end = np.maximum(first, 0), np.minimum(last, shape)
        cut = tuple(slice(b - f, e - f) for b, e, f in zip(begin, end, first, strict=True))
        hit = numbers[begin[0] : end[0], begin[1] : end[1]][dilate(canvas, guard)[cut]]
        found[group] = hit[hit >= 0]
    return found


def _near_footprints(
    positions: NDArray[np.float64], footprints: dict[int, tuple[NDArray[np.float64], list[int]]]
) -> dict[int, Mask]:
    """Mark, by group, the positions inside one of its footprints: bounds and the groups inside, by scene."""
    found: dict[int, Mask] = {}
    if not len(positions):
        return found
    # most footprints hold all positions or none, which their extent tells
    first, last = positions.min(axis=0), positions.max(axis=0)
    for bounds, groups in footprints.values():
        if (last <= bounds[:2]).any() or (first >= bounds[2:]).any():
            continue
        if (first > bounds[:2]).all() and (last < bounds[2:]).all():
            inside = np.ones(len(positions), dtype=bool)
        else:
            row, column = ((positions > bounds[:2]) & (positions < bounds[2:])).T
            inside = row & column
        for group in groups:
            found[group] = np.logical_or(found.get(group, False), inside)
    return found
