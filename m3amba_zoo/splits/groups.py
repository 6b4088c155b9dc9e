"""Scenes that train or test together: they share an object, lie close to each other, or in one region."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits.places import gaps, locate


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
