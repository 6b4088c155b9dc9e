"""Labelled shapes (tree crowns, fields, field points) placed on a raster and drawn into its grid."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio.features
import shapely
from numpy.typing import ArrayLike, NDArray
from rasterio.transform import Affine

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.coordinates import DEGREES
from m3amba_zoo.rasters.crs import (
    crs_label,
    distances,
    horizontal,
    is_geographic,
    move_points,
    reach,
    same_crs,
)
from m3amba_zoo.rasters.grid import CRS_REMEDY, Grid
from m3amba_zoo.scenes.scene import UNLABELLED

POLYGON_TYPES = (3, 6)
"""shapely's numbers for Polygon and MultiPolygon."""
POINT_TYPES = (0, 4)
"""shapely's numbers for Point and MultiPoint."""
MOST_VALUES = 5

logger = logging.getLogger(__name__)


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


def place(shapes: Shapes, grid: Grid, brush: Brush) -> Shapes:
    """Return the shapes that lie on a raster, in its CRS.

    A warning counts those that lie off it, and those on it that label no pixel.

    Args:
        shapes: one at least.
        grid: of the raster; it has a transform.
        brush: which pixels a shape labels.

    Raises:
        InputError: if all lie off the raster, for example because their CRS is another one than they say.
    """
    assert grid.transform is not None
    _require_degrees(shapes, grid)
    moved = _move(shapes, grid)
    on = _lie_on(moved, grid)
    if not on.any():
        raise InputError(
            f"{shapes.path}: {len(on)} of {len(on)} {shapes.kind} lie off the raster: "
            f"{_extents(shapes, moved, grid)}; {_remedy(shapes, grid)}"
        )
    if not on.all():
        off = moved.only(~on)
        logger.warning(
            f"{int((~on).sum())} of {len(on)} {shapes.kind} of {shapes.path} lie off the raster"
            f"{_count_values(off.values)}: {_extents(shapes.only(~on), off, grid)}"
            f"{_name_lost(moved.values, on)}"
        )
    if _is_one_unknown(shapes.crs, grid.crs):
        known, unknown = (shapes, grid) if horizontal(grid.crs) is None else (grid, shapes)
        logger.warning(
            f"{unknown.path} has no CRS: its coordinates are taken to be in {crs_label(known.crs)}, that of "
            f"{known.path}"
        )
    placed = moved.only(on)
    _warn_of_small(placed, grid, brush)
    return placed


def _count_values(values: Iterable[object]) -> str:
    """Say how often each value occurs: `` (30 of 'wheat', 2 of 'maize')``; nothing without values."""
    counts = Counter(value for value in values if value is not None).most_common()
    named = [f"{count} of {value!r}" for value, count in counts[:MOST_VALUES]]
    return f" ({', '.join(named)}{', ...' if len(counts) > MOST_VALUES else ''})" if named else ""


def _name_lost(values: NDArray[np.object_], kept: NDArray[np.bool_]) -> str:
    """Name the values of which nothing is kept; nothing if there is none."""
    lost = sorted(map(repr, {*values[~kept]} - {*values[kept], None}))
    return f"; nothing is left of {', '.join(lost)}" if lost else ""


def _warn_of_small(shapes: Shapes, grid: Grid, brush: Brush) -> None:
    """Warn of shapes on the raster that label no pixel."""
    assert grid.transform is not None
    held = hold_pixels(shapes, grid.shape, grid.transform, brush)
    if held.all():
        return
    remedy = "" if brush.touched else "; `touched: true` labels all pixels that a polygon touches"
    if brush.radius is not None:
        remedy = "; a larger 'radius' labels more"
    logger.warning(
        f"{int((~held).sum())} of {len(held)} {shapes.kind} of {shapes.path} hold no pixel centre"
        f"{_count_values(shapes.values[~held])}: they label nothing{_name_lost(shapes.values, held)}{remedy}"
    )


def _require_degrees(shapes: Shapes, grid: Grid) -> None:
    """Raise InputError if the CRS says degrees and most coordinates can be none."""
    if not is_geographic(shapes.crs):
        return
    bounds = np.abs(shapely.bounds(shapes.geometries))
    beyond = (bounds[:, 0::2].max(axis=1) > 360) | (bounds[:, 1::2].max(axis=1) > 90 + 1e-6)
    if beyond.mean() > 0.5:
        is_default = Path(shapes.path).suffix.lower() in (".geojson", ".json")
        default = " (what GeoJSON means if it names no other)" if is_default else ""
        raise InputError(
            f"{shapes.path}: its coordinates, {_span(shapes.geometries)}, are no degrees, but its CRS is "
            f"{crs_label(shapes.crs)}{default}; {_remedy(shapes, grid)}"
        )


def _lie_on(shapes: Shapes, grid: Grid) -> NDArray[np.bool_]:
    """Tell which shapes, in the raster's CRS, touch the raster."""
    assert grid.transform is not None
    finite = np.isfinite(shapely.bounds(shapes.geometries)).all(axis=1)
    finite[finite] = shapely.intersects(shapes.geometries[finite], footprint(grid.shape, grid.transform))
    return finite


def _move(shapes: Shapes, grid: Grid) -> Shapes:
    """Move shapes to the raster's CRS; a point outside of its projection's domain becomes infinite.

    Of polygons that reach far beyond the raster only the part around it is moved: corners far away would be
    infinite, and edges from there straight where they should be bent.
    """
    try:
        moved = shapes.to_crs(grid.crs)
    except InputError as error:
        raise InputError(f"{shapes.path} on {grid.path}: {error}") from error
    left, bottom, right, top = shapely.bounds(_outline(grid, shapes.crs))
    margin = max(right - left, top - bottom)
    if moved is shapes or not np.isfinite(margin):
        return moved
    near = shapely.box(left - margin, bottom - margin, right + margin, top + margin)
    far = shapely.intersects(shapes.geometries, near) & ~shapely.within(shapes.geometries, near)
    far &= np.isin(shapely.get_type_id(shapes.geometries), POLYGON_TYPES)
    parts = shapely.segmentize(shapely.intersection(shapes.geometries[far], near), margin / 100)
    parts = shapes.only(far)._replace(geometries=parts).to_crs(grid.crs).geometries
    are_polygons = np.isin(shapely.get_type_id(parts), POLYGON_TYPES)
    moved.geometries[np.flatnonzero(far)[are_polygons]] = parts[are_polygons]
    return moved


def _outline(grid: Grid, crs: str | None) -> shapely.Polygon:
    """Return the raster's outline in another CRS; in its own if either is unknown."""
    assert grid.transform is not None
    outline = footprint(grid.shape, grid.transform)
    source, target = horizontal(grid.crs), horizontal(crs)
    if source is None or target is None or same_crs(source, target):
        return outline
    dense = shapely.segmentize(outline, outline.length / 100)  # a straight edge is bent in another CRS
    return shapely.transform(dense, lambda points: move_points(points, source, target))


def _extents(shapes: Shapes, moved: Shapes, grid: Grid) -> str:
    """Say where the shapes and the raster lie, in the raster's CRS if the shapes have a place there."""
    finite = np.isfinite(shapely.bounds(moved.geometries)).all(axis=1)
    told = moved.only(finite) if finite.any() else shapes
    lost = len(finite) - int(finite.sum()) if finite.any() else 0
    nowhere = f" ({lost} of them have no place in this CRS)" if lost else ""
    common = f", both in {crs_label(told.crs)}" if horizontal(told.crs) else ""
    if _is_one_unknown(shapes.crs, grid.crs):
        common = f" ({crs_label(shapes.crs)} and {crs_label(grid.crs)})"
    outline = _outline(grid, told.crs)
    return f"they span {_span(told.geometries)}{nowhere}, the raster {grid.path} {_span(outline)}{common}"


def _remedy(shapes: Shapes, grid: Grid) -> str:
    """Say what puts shapes on the raster: another CRS, or x and y exchanged."""
    swapped = shapes._replace(geometries=shapely.transform(shapes.geometries, lambda points: points[:, ::-1]))
    for tried in (shapes, swapped):
        for crs in dict.fromkeys((shapes.crs, grid.crs, DEGREES)):
            try:
                count = int(_lie_on(tried._replace(crs=crs).to_crs(grid.crs), grid).sum())
            except InputError:
                continue
            if not count:
                continue
            found = f"{count} of {len(shapes.values)}"
            if tried is swapped:
                return (
                    f"with x and y exchanged, {found} lie on it, so latitude and longitude seem to be "
                    "exchanged; longitude (easting) first is expected"
                )
            return (
                f"taken as {crs_label(crs)}, {found} lie on it, so `--crs {crs_label(crs)}` "
                f"(`crs: {crs_label(crs)}` in scene.yaml) should state it"
            )
    if horizontal(grid.crs) is None and horizontal(shapes.crs) is not None:
        return f"the raster has no CRS: {CRS_REMEDY}"
    other = "if their CRS is another one, --crs (crs: in scene.yaml) states it"
    return f"{shapes.kind} on the raster are expected; {other}"


def _is_one_unknown(first: str | None, other: str | None) -> bool:
    return (horizontal(first) is None) != (horizontal(other) is None)


def _span(geometries: shapely.Geometry | NDArray[np.object_]) -> str:
    left, bottom, right, top = shapely.total_bounds(geometries)
    return f"x {left:.9g} to {right:.9g}, y {bottom:.9g} to {top:.9g}"
