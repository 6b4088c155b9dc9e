"""Where scenes lie towards each other: those of one CRS share one grid of pixels; near ones form groups."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.neighbors import KNeighborsClassifier

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.scene import Scene

DECIMALS = 6
"""Places are rounded to a millionth of a pixel, so that tiles of one grid stay on it."""


class Place(NamedTuple):
    """A scene's place in a grid of pixels.

    Attributes:
        grid: number of the grid. Scenes of one CRS share one; a scene without georeference has its own.
        to_grid: affine matrix ``(3, 3)`` from the scene's (column, row) to the grid's; whole numbers are the
            centres of pixels. The grid is that of the first scene of its CRS.
        pixel: height and width of a pixel of the grid in map units of the CRS, ``(2,)``, or None without
            georeference.
    """

    grid: int
    to_grid: NDArray[np.float64]
    pixel: NDArray[np.float64] | None

    def positions(self, rows: NDArray, columns: NDArray) -> NDArray[np.float64]:
        """Return the (row, column) of pixels in the grid, ``(n, 2)``."""
        return _apply(self.to_grid, rows, columns)

    def positions_in(self, other: Place, rows: NDArray, columns: NDArray) -> NDArray[np.float64]:
        """Return the (row, column) of this scene's pixels in another scene of the same grid, ``(n, 2)``."""
        same = self.to_grid is other.to_grid
        to_other = np.eye(3) if same else np.linalg.inv(other.to_grid) @ self.to_grid
        return _apply(to_other, rows, columns)

    def bounds(self, shape: tuple[int, int]) -> NDArray[np.float64]:
        """Return the footprint's (top, left, bottom, right) in the grid, for a scene of this shape."""
        low, (bottom, right) = -0.5, (side - 0.5 for side in shape)
        corners = self.positions(np.array([low, low, bottom, bottom]), np.array([low, right, low, right]))
        return np.concatenate([corners.min(axis=0), corners.max(axis=0)])


def locate(scenes: Sequence[Scene]) -> list[Place]:
    """Find the place of each scene."""
    found: list[Place] = []
    first: dict[str, tuple[CRS, int, NDArray[np.float64]]] = {}
    to_centre = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    for number, scene in enumerate(scenes):
        if scene.crs is None or scene.transform is None:
            found.append(Place(number, np.eye(3), None))
            continue
        to_map = np.reshape(scene.transform, (3, 3)) @ to_centre
        if scene.crs not in first:
            crs = CRS.from_string(scene.crs)
            # equal CRS spelt in two ways have two hashes
            first[scene.crs] = next((one for one in first.values() if one[0] == crs), (crs, number, to_map))
        _, grid, grid_to_map = first[scene.crs]
        same = np.array_equal(to_map, grid_to_map)
        to_grid = np.eye(3) if same else np.linalg.solve(grid_to_map, to_map)
        found.append(Place(grid, to_grid, np.hypot(*grid_to_map[:2, :2])[::-1]))
    return found


def gaps(bounds: NDArray[np.float64], one: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (row, column) gaps between footprints ``(n, 4)`` and one footprint, ``(n, 2)``.

    A gap below 0 is an overlap. Footprints overlap if both gaps are below 0.
    """
    return np.maximum(bounds[:, :2] - one[2:], one[:2] - bounds[:, 2:])


class NearestTraining:
    """The class of the nearest training pixel by place alone, among the scenes of one CRS.

    Where no scene of the CRS trains, it is the most frequent training class.

    Args:
        scenes: the scenes.
        train: their training masks, ``(H, W)`` each.
    """

    def __init__(self, scenes: Sequence[Scene], train: Sequence[NDArray[np.bool_]]) -> None:
        self.places = locate(scenes)
        labels = [scene.labels[mask] for scene, mask in zip(scenes, train, strict=True)]
        self._most_frequent = int(np.bincount(np.concatenate(labels)).argmax())
        self._nearest: dict[int, KNeighborsClassifier] = {}
        for grid in {place.grid for place in self.places}:
            members = [i for i, place in enumerate(self.places) if place.grid == grid and train[i].any()]
            if members:
                known = np.concatenate([self.places[i].positions(*np.nonzero(train[i])) for i in members])
                of_known = np.concatenate([labels[i] for i in members])
                self._nearest[grid] = KNeighborsClassifier(1).fit(known, of_known)

    def predict(self, index: int, rows: NDArray, columns: NDArray) -> NDArray[np.int64]:
        """Return the classes 1..K of pixels of the scene ``index``, ``(n,)``."""
        place = self.places[index]
        if place.grid not in self._nearest or not len(rows):
            return np.full(len(rows), self._most_frequent)
        return self._nearest[place.grid].predict(place.positions(rows, columns)).astype(np.int64)


def _apply(affine: NDArray[np.float64], rows: NDArray, columns: NDArray) -> NDArray[np.float64]:
    """Return the (row, column) to which an affine matrix takes each (column, row), ``(n, 2)``."""
    moved = np.stack([columns, rows], axis=1) @ affine[:2, :2].T + affine[:2, 2]
    return moved[:, ::-1].round(DECIMALS)


@dataclass(frozen=True)
class SceneGroups:
    """The groups of a split by scene, which validation keeps to as well.

    Attributes:
        numbers: each scene's group, by the scene's name.
        guard: in map units. Pixels this close to the footprint of a held-out scene do not train.
    """

    numbers: Mapping[str, int]
    guard: float = 0.0


def group_scenes(
    scenes: Sequence[Scene], distance: float = 0.0, region: float | None = None, guard: float = 0.0
) -> SceneGroups:
    """Group scenes that share an object (``Scene.objects``), are close, or lie in one region.

    Args:
        scenes: the scenes.
        distance: scenes of one CRS whose footprints are nearer than this are in one group (map units).
        region: side of the cells of a map grid; scenes of one CRS whose centres are in one cell are in one
            group (map units). None: no regions.
        guard: see ``SceneGroups``.

    Raises:
        InputError: if an option is out of range, or needs the georeference of a scene that has none.
    """
    for option, value in {"distance": distance, "guard": guard, "region": region}.items():
        wanted = "a number above 0" if option == "region" else "a number of 0 or more"
        number = not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
        if value is not None and not (number and value >= 0 and (value or option != "region")):
            raise InputError(f"split option {option} is {value!r}; {wanted} (map units) is expected")
        lacking = [scene.name for scene in scenes if scene.crs is None or scene.transform is None]
        if value and lacking:
            raise InputError(
                f"split option {option} is in map units, but scene '{lacking[0]}' has no georeference"
            )
    pairs = [*_share_objects(scenes), *_are_close(scenes, distance)]
    if region is not None:
        pairs += _in_one_cell(scenes, region)
    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    links = coo_array((np.ones(len(first)), (first, second)), shape=(len(scenes), len(scenes)))
    _, numbers = connected_components(links, directed=False)
    names = (scene.name for scene in scenes)
    return SceneGroups(dict(zip(names, numbers.tolist(), strict=True)), float(guard))


def _share_objects(scenes: Sequence[Scene]) -> list[tuple[int, int]]:
    seen: dict[int, int] = {}
    pairs = []
    for index, scene in enumerate(scenes):
        shown = [] if scene.objects is None else np.unique(scene.objects[scene.objects > 0]).tolist()
        pairs += [(seen.setdefault(number, index), index) for number in shown]
    return pairs


def _are_close(scenes: Sequence[Scene], distance: float) -> list[tuple[int, int]]:
    if not distance:
        return []
    places = locate(scenes)
    grids = np.array([place.grid for place in places])
    bounds = np.stack([place.bounds(scene.shape) for place, scene in zip(places, scenes, strict=True)])
    pairs = []
    for index, place in enumerate(places):
        away = np.hypot(*(np.maximum(gaps(bounds, bounds[index]), 0) * place.pixel).T)
        pairs += [(index, int(other)) for other in np.flatnonzero((grids == place.grid) & (away < distance))]
    return pairs


def _in_one_cell(scenes: Sequence[Scene], side: float) -> list[tuple[int, int]]:
    first: dict[tuple[int, int, int], int] = {}
    pairs = []
    for index, (scene, place) in enumerate(zip(scenes, locate(scenes), strict=True)):
        assert scene.transform is not None
        x, y, _ = np.reshape(scene.transform, (3, 3)) @ (scene.shape[1] / 2, scene.shape[0] / 2, 1)
        cell = (place.grid, math.floor(x / side), math.floor(y / side))
        pairs.append((first.setdefault(cell, index), index))
    return pairs
