"""Labelled shapes placed on a raster: moved to its CRS, those off it counted; what is amiss if all are."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.crs import crs_label, horizontal, is_geographic, move_points, same_crs
from m3amba_zoo.rasters.grid import CRS_REMEDY, Grid
from m3amba_zoo.scenes.shapes import POLYGON_TYPES, Brush, Shapes, footprint, hold_pixels

DEGREES = "EPSG:4326"
MOST_VALUES = 5

logger = logging.getLogger(__name__)


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
