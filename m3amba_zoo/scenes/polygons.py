"""Label polygons (tree crowns, fields) read from vector files and drawn into a raster's grid."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyogrio
import rasterio.features
import rasterio.warp
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine, array_bounds

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.scene import UNLABELLED

POLYGON_TYPES = (3, 6)
"""shapely's numbers for Polygon and MultiPolygon."""
UNREADABLE = (
    pyogrio.errors.DataSourceError,
    pyogrio.errors.DataLayerError,
    shapely.errors.GEOSException,
    ValueError,
)


class Polygons(NamedTuple):
    """Polygons with one attribute each.

    Attributes:
        geometries: shapely polygons, ``(N,)``.
        values: the attribute of each, ``(N,)``; None if the file has none.
        crs: ``EPSG:n`` or WKT, or None.
        path: the file.
    """

    geometries: NDArray[np.object_]
    values: NDArray[np.object_]
    crs: str | None
    path: str

    def to_crs(self, crs: str | None) -> Polygons:
        """Return the polygons in another CRS; unchanged if either CRS is unknown."""
        if crs is None or self.crs is None or CRS.from_string(crs) == CRS.from_string(self.crs):
            return self

        def transform(points: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.column_stack(rasterio.warp.transform(self.crs, crs, points[:, 0], points[:, 1]))

        return self._replace(geometries=shapely.transform(self.geometries, transform), crs=crs)


def read_polygons(path: str | Path, attribute: str) -> Polygons:
    """Read the polygons of a vector file (shapefile, GeoPackage, GeoJSON) with one attribute.

    Args:
        path: the file.
        attribute: the name of the attribute to read.

    Raises:
        InputError: if the file is absent, damaged or not a vector file, lacks the attribute, or holds
            points, lines or features without geometry.
    """
    if not Path(path).exists():
        raise InputError(f"{path}: no such file; polygons as shapefile, GeoPackage or GeoJSON are expected")
    try:
        info = pyogrio.read_info(path)
        known = [str(name) for name in info["fields"]]
        if attribute not in known:
            close = difflib.get_close_matches(attribute, known, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"it has {', '.join(known) or 'none'}"
            raise InputError(f"{path}: no attribute '{attribute}'; {hint}")
        _, _, encoded, (values,) = pyogrio.raw.read(path, columns=[attribute], force_2d=True)
        geometries = shapely.from_wkb(encoded)
    except UNREADABLE as error:
        raise InputError(
            f"{path}: not a readable vector file, it may be cut short, damaged or lack a part "
            f"({' '.join(str(error).split())}); polygons as shapefile, GeoPackage or GeoJSON are expected"
        ) from error
    missing = shapely.is_missing(geometries)
    if missing.any():  # so GDAL reads the lost part of a shapefile that was cut short
        raise InputError(
            f"{path}: {int(missing.sum())} of {len(missing)} features have no geometry, the file may be cut "
            "short; polygons are expected"
        )
    other = ~np.isin(shapely.get_type_id(geometries), POLYGON_TYPES)
    if other.any():
        raise InputError(
            f"{path}: {int(other.sum())} of {len(other)} features are not polygons (the first: "
            f"{geometries[other][0].geom_type})"
        )
    crs = info["crs"] and CRS.from_string(info["crs"]).to_string()
    attributes = np.array([value if value == value else None for value in values.tolist()], object)
    return Polygons(geometries, attributes, crs, str(path))


def cover_by_value(
    polygons: Polygons, shape: tuple[int, int], transform: Affine
) -> dict[object, NDArray[np.bool_]]:
    """Mark the pixels whose centre lies in a polygon, by the polygon's value.

    Args:
        polygons: in the grid's CRS; those without a value are left out.
        shape: rows and columns of the grid.
        transform: of the grid.

    Returns:
        One mask ``(H, W)`` per value that has a polygon in the grid, in order of first appearance.
    """
    extent = shapely.box(*array_bounds(*shape, transform))
    near = shapely.intersects(polygons.geometries, extent)
    by_value: dict[object, list[shapely.Geometry]] = {}
    for geometry, value in zip(polygons.geometries[near], polygons.values[near], strict=True):
        if value is not None:
            by_value.setdefault(value, []).append(geometry)
    return {
        value: rasterio.features.rasterize(geometries, out_shape=shape, transform=transform).astype(bool)
        for value, geometries in by_value.items()
    }


def merge_covers(
    covers: Mapping[object, NDArray[np.bool_]], numbers: Mapping[object, int], shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """Join the masks of ``cover_by_value`` to a label map ``(H, W)`` uint8.

    Pixels under polygons of different values stay unlabelled, as do values without a label in ``numbers``.
    """
    labels = np.full(shape, UNLABELLED, np.uint8)
    depth = np.zeros(shape, np.intp)
    for value, mask in covers.items():
        labels[mask] = numbers.get(value, UNLABELLED)
        depth += mask
    labels[depth > 1] = UNLABELLED
    return labels
