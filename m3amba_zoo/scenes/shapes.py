"""Labelled shapes (tree crowns, fields, field points) drawn into a raster's grid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import rasterio.features
import shapely
from numpy.typing import ArrayLike, NDArray
from rasterio.transform import Affine

from m3amba_zoo.rasters.crs import distances, horizontal, move_points, reach, same_crs
from m3amba_zoo.scenes.scene import UNLABELLED

POLYGON_TYPES = (3, 6)
"""shapely's numbers for Polygon and MultiPolygon."""
POINT_TYPES = (0, 4)
"""shapely's numbers for Point and MultiPoint."""


class Shapes(NamedTuple):
    """Polygons and points with one attribute each.

    Attributes:
        geometries: shapely polygons and points, ``(N,)``.
        values: the attribute of each, ``(N,)``; None if it has none.
        numbers: of the features in the file, as a GIS shows them, ``(N,)`` int64.
        crs: ``EPSG:n`` or WKT, or None.
        path: the file.
    """

    geometries: NDArray[np.object_]
    values: NDArray[np.object_]
    numbers: NDArray[np.int64]
    crs: str | None
    path: str

    @property
    def kind(self) -> str:
        """What they are, for messages."""
        types = shapely.get_type_id(self.geometries)
        areas, points = np.isin(types, POLYGON_TYPES), np.isin(types, POINT_TYPES)
        return "polygons" if areas.all() else "points" if points.all() else "shapes"

    def only(self, chosen: NDArray) -> Shapes:
        """Return the shapes that a mask or indices ``(N,)`` choose."""
        return self._replace(
            geometries=self.geometries[chosen], values=self.values[chosen], numbers=self.numbers[chosen]
        )

    def to_crs(self, crs: str | None) -> Shapes:
        """Return the shapes in another CRS; unchanged if either CRS is unknown.

        Points outside of the domain of the CRS's projection become infinite.

        Raises:
            InputError: if there is no way from one CRS to the other.
        """
        source, target = horizontal(self.crs), horizontal(crs)
        if source is None or target is None or same_crs(source, target):
            return self
        moved = shapely.transform(self.geometries, lambda points: move_points(points, source, target))
        return self._replace(geometries=moved, crs=crs)


class Brush(NamedTuple):
    """Which pixels a shape labels.

    Attributes:
        touched: those that a polygon touches, else those whose centre it holds.
        radius: in m; those whose centre lies within it of a point. None: the one that holds the point.
    """

    touched: bool = False
    radius: float | None = None


CENTRES = Brush()


def cover_by_value(
    shapes: Shapes, shape: tuple[int, int], transform: Affine, brush: Brush = CENTRES
) -> Iterator[tuple[object, NDArray[np.bool_]]]:
    """Mark the pixels that shapes label, by the shapes' value.

    Args:
        shapes: in the grid's CRS; those without a value are left out.
        shape: rows and columns of the grid.
        transform: of the grid.
        brush: which pixels a shape labels.

    Yields:
        Each value that has a shape in the grid, in order of first appearance, with its mask ``(H, W)``.
    """
    near = shapely.intersects(shapes.geometries, footprint(shape, transform))
    by_value: dict[object, list[int]] = {}
    for index in np.flatnonzero(near).tolist():
        if shapes.values[index] is not None:
            by_value.setdefault(shapes.values[index], []).append(index)
    for value, chosen in by_value.items():
        mask = np.zeros(shape, np.uint8)
        _draw(shapes.only(np.array(chosen)), np.ones(len(chosen), np.uint8), mask, transform, brush)
        yield value, mask.astype(bool)


def merge_covers(
    covers: Iterable[tuple[object, NDArray[np.bool_]]], numbers: Mapping[object, int], shape: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Join the masks of ``cover_by_value`` to one label map.

    Returns:
        The labels ``(H, W)``, and which pixels lie under shapes of different values. These stay unlabelled,
        as do values without a label in ``numbers``.
    """
    labels = np.full(shape, UNLABELLED, np.uint8)
    covered, contested = np.zeros((2, *shape), bool)
    for value, mask in covers:
        labels[mask] = numbers.get(value, UNLABELLED)
        contested |= covered & mask
        covered |= mask
    labels[contested] = UNLABELLED
    return labels, contested


def hold_pixels(
    shapes: Shapes, shape: tuple[int, int], transform: Affine, brush: Brush = CENTRES
) -> NDArray[np.bool_]:
    """Tell which shapes label a pixel, ``(N,)``; the arguments are those of ``cover_by_value``."""
    held = np.zeros(len(shapes.geometries), bool)
    hidden = np.arange(len(held))
    while len(hidden):  # a shape that is not seen lies under others, so it is drawn again without them
        drawn = np.zeros(shape, np.uint32)
        _draw(shapes.only(hidden), np.arange(1, len(hidden) + 1, dtype=np.uint32), drawn, transform, brush)
        seen = np.zeros(len(hidden) + 1, bool)
        seen[drawn.ravel()] = True
        if not seen[1:].any():
            break
        held[hidden[seen[1:]]] = True
        hidden = hidden[~seen[1:]]
    return held


def footprint(shape: tuple[int, int], transform: Affine) -> shapely.Polygon:
    """Return the outline of a grid in map coordinates, turned as the grid is."""
    rows, columns = shape
    return shapely.Polygon(_applied(transform, [(0, 0), (columns, 0), (columns, rows), (0, rows)]))


def _draw(shapes: Shapes, burnt: NDArray, drawn: NDArray, transform: Affine, brush: Brush) -> None:
    """Write the shapes' ``burnt`` numbers ``(N,)`` into a map ``(H, W)``, the later above the earlier."""
    areas = np.isin(shapely.get_type_id(shapes.geometries), POLYGON_TYPES)
    polygons = list(zip(shapes.geometries[areas], burnt[areas].tolist(), strict=True))
    if polygons:
        rasterio.features.rasterize(polygons, out=drawn, transform=transform, all_touched=brush.touched)
    for geometry, number in zip(shapes.geometries[~areas], burnt[~areas], strict=True):
        for point in shapely.get_coordinates(geometry):
            drawn[_around(point, shapes.crs, drawn.shape, transform, brush.radius)] = number


def _around(
    point: NDArray[np.float64],
    crs: str | None,
    shape: tuple[int, ...],
    transform: Affine,
    radius: float | None,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of the pixels that a point labels."""
    if radius is None:
        column, row = np.floor(_applied(~transform, point)).astype(np.intp)
        inside = 0 <= row < shape[0] and 0 <= column < shape[1]
        return (np.array([row]), np.array([column])) if inside else (np.empty(0, np.intp),) * 2
    spread = reach(point, radius, crs)
    corners = _applied(~transform, point + spread * np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)]))
    first = np.maximum(np.floor(corners.min(axis=0)), 0).astype(np.intp)
    last = np.minimum(np.ceil(corners.max(axis=0)), shape[::-1]).astype(np.intp)
    columns, rows = np.meshgrid(*map(np.arange, first, last))
    pixels = np.column_stack([columns.ravel(), rows.ravel()])
    within = distances(point, _applied(transform, pixels + 0.5), crs) <= radius
    column, row = pixels[within].T
    return row, column


def _applied(transform: Affine, points: ArrayLike) -> NDArray[np.float64]:
    """Return points ``(..., 2)`` after a transform."""
    matrix = np.reshape(transform, (3, 3))
    return np.asarray(points) @ matrix[:2, :2].T + matrix[:2, 2]
