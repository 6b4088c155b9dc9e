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
    count = 1 + max(int(numbers.max(initial=-1)) for numbers in groups)
    found: list[list[NDArray[np.int64]]] = [[] for _ in range(count)]
    start = 0
    for target, (place, mask) in enumerate(zip(places, masks, strict=True)):
        numbers = np.full(mask.shape, -1, dtype=np.int64)
        numbers[mask] = np.arange(start, start + len(groups[target]))
        start += len(groups[target])
        apart = gaps(bounds, bounds[target]).max(axis=1)
        around = np.flatnonzero((grids == place.grid) & (apart <= guard)).tolist()
        points = [places[i].positions_in(place, *where[i]) for i in around]
        _add_near_points(
            found, numbers, np.concatenate(points), np.concatenate([groups[i] for i in around]), guard
        )
        if footprint:
            assert place.pixel is not None
            wide = footprint / place.pixel
            own = place.positions(*where[target])
            for i in np.flatnonzero((grids == place.grid) & (apart < wide)).tolist():
                inside = ((own > bounds[i][:2] - wide) & (own < bounds[i][2:] + wide)).all(axis=1)
                for group in np.unique(groups[i]):
                    found[group].append(numbers[mask][inside])
    return [np.unique(np.concatenate(parts)) for parts in found]


def _add_near_points(
    found: list[list[NDArray[np.int64]]],
    numbers: NDArray[np.int64],
    points: NDArray[np.float64],
    groups: NDArray[np.int64],
    guard: int,
) -> None:
    """Add to each group the numbers of a scene's pixels within the guard of the group's points."""
    shape = np.array(numbers.shape)
    near = ((points > -guard - 1) & (points < shape + guard)).all(axis=1)
    if not near.any():
        return
    points, groups = points[near], groups[near]
    order = np.argsort(groups, kind="stable")
    members, starts = np.unique(groups[order], return_index=True)
    for group, mine in zip(members, np.split(points[order], starts[1:]), strict=True):
        # a point between pixels counts as all pixels around it: the guard is never too narrow
        low, high = np.floor(mine).astype(np.int64), np.ceil(mine).astype(np.int64)
        first, last = low.min(axis=0) - guard, high.max(axis=0) + guard + 1
        canvas = np.zeros(last - first, dtype=bool)
        for rows in (low[:, 0], high[:, 0]):
            for columns in (low[:, 1], high[:, 1]):
                canvas[rows - first[0], columns - first[1]] = True
        begin, end = np.maximum(first, 0), np.minimum(last, shape)
        if (begin >= end).any():
            continue
        cut = tuple(slice(b - f, e - f) for b, e, f in zip(begin, end, first, strict=True))
        window = numbers[begin[0] : end[0], begin[1] : end[1]]
        hit = window[dilate(canvas, guard)[cut]]
        found[group].append(hit[hit >= 0])
