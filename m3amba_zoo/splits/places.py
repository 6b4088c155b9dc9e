"""Where scenes lie towards each other: scenes of one CRS share one grid of pixels, so distances cross scenes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine
from sklearn.neighbors import KNeighborsClassifier

from m3amba_zoo.scenes.scene import Scene

DECIMALS = 6
"""Places are rounded to a millionth of a pixel, so that tiles of one grid stay on it."""


class Place(NamedTuple):
    """A scene's place in a grid of pixels.

    Attributes:
        grid: number of the grid. Scenes of one CRS share one; a scene without georeference has its own.
        to_grid: from the scene's (column, row) to the grid's; whole numbers are the centres of pixels. The
            grid is that of the first scene of its CRS.
        pixel: side of a pixel of the grid in map units of the CRS, or None without georeference.
    """

    grid: int
    to_grid: Affine
    pixel: float | None

    def positions(self, rows: NDArray, columns: NDArray) -> NDArray[np.float64]:
        """Return the (row, column) of pixels in the grid, ``(n, 2)``."""
        x, y = _apply(self.to_grid, columns, rows)
        return np.stack([y, x], axis=1).round(DECIMALS)

    def positions_in(self, other: Place, rows: NDArray, columns: NDArray) -> NDArray[np.float64]:
        """Return the (row, column) of this scene's pixels in another scene of the same grid, ``(n, 2)``."""
        x, y = _apply(~other.to_grid * self.to_grid, columns, rows)
        return np.stack([y, x], axis=1).round(DECIMALS)

    def bounds(self, shape: tuple[int, int]) -> NDArray[np.float64]:
        """Return the footprint's (top, left, bottom, right) in the grid, for a scene of this shape."""
        low, (bottom, right) = -0.5, (side - 0.5 for side in shape)
        corners = self.positions(np.array([low, low, bottom, bottom]), np.array([low, right, low, right]))
        return np.concatenate([corners.min(axis=0), corners.max(axis=0)])


def locate(scenes: Sequence[Scene]) -> list[Place]:
    """Find the place of each scene."""
    found: list[Place] = []
    first: dict[CRS, tuple[int, Affine]] = {}
    for number, scene in enumerate(scenes):
        if scene.crs is None or scene.transform is None:
            found.append(Place(number, Affine.identity(), None))
            continue
        grid, transform = first.setdefault(CRS.from_string(scene.crs), (number, scene.transform))
        to_centre, to_corner = Affine.translation(0.5, 0.5), Affine.translation(-0.5, -0.5)
        same = scene.transform == transform
        to_grid = Affine.identity() if same else to_corner * ~transform * scene.transform * to_centre
        found.append(Place(grid, to_grid, abs(transform.determinant) ** 0.5))
    return found


def gaps(bounds: NDArray[np.float64], one: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (row, column) gaps between footprints ``(n, 4)`` and one footprint, ``(n, 2)``; 0: none."""
    return np.maximum(np.maximum(bounds[:, :2] - one[2:], one[:2] - bounds[:, 2:]), 0)


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


def _apply(affine: Affine, x: NDArray, y: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return affine.a * x + affine.b * y + affine.c, affine.d * x + affine.e * y + affine.f
