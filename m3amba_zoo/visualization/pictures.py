"""What a sheet of maps shows: scenes that touch are joined to one picture, and large ones thinned."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.transform import Affine
from scipy.sparse.csgraph import connected_components

from m3amba_zoo.maps.furniture import Place
from m3amba_zoo.rasters import Raster
from m3amba_zoo.rasters.grid import GRID_TOLERANCE
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits import Split
from m3amba_zoo.splits.places import gaps, locate

LONGEST_SIDE = 2000
"""Of pictures with more rows or columns, only every n-th pixel is drawn."""
FEW_SCENES = 40
"""So many scenes are drawn one by one, even if they touch."""
LARGEST_STEP = 16
"""Test pixels further apart than this are no lattice, but few."""

Mask = NDArray[np.bool_]


class Picture(NamedTuple):
    """One scene or several that touch, in the pixels that are drawn.

    Attributes:
        scenes: which.
        rasters: by modality; between joined scenes NaN, their nodata.
        labels: 0 unlabelled and between scenes.
        class_map: 0 not predicted and between scenes.
        train: mask of the pixels that train or validate.
        test: mask of the scored pixels.
        place: of the drawn pixels on the earth.
    """

    scenes: list[Scene]
    rasters: dict[str, Raster]
    labels: NDArray
    class_map: NDArray[np.uint8]
    train: Mask
    test: Mask
    place: Place


class _Lattice(NamedTuple):
    """Every ``step``-th row and column from ``row`` and ``column`` on."""

    step: int
    row: int
    column: int


def make_pictures(
    scenes: Sequence[Scene], class_maps: Mapping[str, NDArray[np.uint8]], split: Split
) -> Iterator[Picture]:
    """Yield the pictures of scenes with class maps, in the order of their first scenes.

    If there are many scenes, those of one CRS that touch and lie on one grid of pixels are joined. If only
    every n-th row and column of the scenes is scored, these alone are drawn.
    """
    lattice = _lattice([split.masks[scene.name]["test"] for scene in scenes])
    for members, corners in _touching(scenes, lattice.step):
        yield _picture(members, corners, lattice, class_maps, split)


def _lattice(tested: Sequence[Mask]) -> _Lattice:
    """Return the lattice on which the scored pixels of all scenes lie."""
    places = np.concatenate([np.argwhere(mask) for mask in tested])
    if len(places):
        first = places.min(axis=0)
        step = int(np.gcd.reduce((places - first).ravel()))
        if 1 < step <= LARGEST_STEP:
            return _Lattice(step, *(first % step).tolist())
    return _Lattice(1, 0, 0)


def _touching(scenes: Sequence[Scene], step: int) -> Iterator[tuple[list[Scene], NDArray[np.int64]]]:
    """Yield scenes that touch, with the row and column of each in their common grid, ``(n, 2)``."""
    places = locate(scenes)
    shifts = np.stack([place.to_grid for place in places])
    corners = np.round(shifts[:, 1::-1, 2] / step).astype(np.int64) * step
    on_grid = np.isclose(shifts[:, :2, :2], np.eye(2)).all(axis=(1, 2))
    on_grid &= (np.abs(corners - shifts[:, 1::-1, 2]) < GRID_TOLERANCE).all(axis=1)
    grids = np.where(on_grid, [place.grid for place in places], -1 - np.arange(len(scenes)))
    bounds = np.concatenate([corners, corners + [scene.shape for scene in scenes]], axis=1)
    if len(scenes) <= FEW_SCENES:
        grids = -1 - np.arange(len(scenes))
    touch = [
        (gaps(bounds, own).max(axis=1) == 0) & (grids == grid)
        for own, grid in zip(bounds, grids, strict=True)
    ]
    count, numbers = connected_components(np.array(touch), directed=False)
    for number in range(count):
        members = np.flatnonzero(numbers == number).tolist()
        yield [scenes[index] for index in members], corners[members] - corners[members].min(axis=0)


def _picture(
    members: list[Scene],
    corners: NDArray[np.int64],
    lattice: _Lattice,
    class_maps: Mapping[str, NDArray[np.uint8]],
    split: Split,
) -> Picture:
    height, width = (corners + [scene.shape for scene in members]).max(axis=0)
    step = lattice.step * math.ceil(max(height, width) / (lattice.step * LONGEST_SIDE))
    shape = len(range(lattice.row, height, step)), len(range(lattice.column, width, step))

    def join(arrays: Sequence[NDArray], empty: float) -> NDArray:
        """Thin arrays ``(..., H, W)``, one per scene, and lay them side by side."""
        drawn = np.full((*arrays[0].shape[:-2], *shape), empty, arrays[0].dtype)
        for array, (row, column) in zip(arrays, corners, strict=True):
            top, left = (lattice.row - row) % step, (lattice.column - column) % step
            part = array[..., top::step, left::step]
            y, x = (row + top - lattice.row) // step, (column + left - lattice.column) // step
            drawn[..., y : y + part.shape[-2], x : x + part.shape[-1]] = part
        return drawn

    rasters = {}
    for name, raster in members[0].rasters.items():
        own = [scene.rasters[name] for scene in members]
        if len(own) == 1 and not raster.may_lack_values:
            rasters[name] = replace(raster, data=join([raster.data], 0))
        else:  # NaN also lies in the gaps between scenes
            floats = [one.floats() for one in own]
            rasters[name] = replace(raster, data=join(floats, math.nan), nodata=None, mask=None)
    masks = [split.masks[scene.name] for scene in members]
    return Picture(
        members,
        rasters,
        join([scene.labels for scene in members], 0),
        join([class_maps[scene.name] for scene in members], 0),
        join([of_scene["train"] | of_scene["val"] for of_scene in masks], False),
        join([of_scene["test"] for of_scene in masks], False),
        Place(members[0].crs, _drawn_transform(members[0].transform, corners[0], lattice, step), shape),
    )


def _drawn_transform(
    transform: Affine | None, corner: NDArray[np.int64], lattice: _Lattice, step: int
) -> Affine | None:
    """Return the transform of the drawn pixels, given that of a scene and its corner in the picture."""
    if transform is None:
        return None
    row, column = (start - int(at) for start, at in zip((lattice.row, lattice.column), corner, strict=True))
    return transform @ Affine.translation(column, row) @ Affine.scale(step)
