"""Tiny georeferenced files for the tests of the readers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.transform import Affine, from_origin

CRS = "EPSG:32617"
ORIGIN = from_origin(500_000, 4_000_000, 1, 1)


def write_raster(
    path: Path, data: NDArray, transform: Affine | None = ORIGIN, crs: str | None = CRS, **profile
):
    """Write (C, H, W) with GDAL and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = data.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "crs": crs, **profile}
    if transform is not None:
        profile["transform"] = transform
    with rasterio.open(path, "w", dtype=data.dtype.name, **profile) as file:
        file.write(data)
    return path


def pixel_box(row: int, column: int, rows: int, columns: int, transform: Affine = ORIGIN) -> shapely.Polygon:
    """Return the box over a block of pixels."""
    left, top = transform.c + column * transform.a, transform.f + row * transform.e
    return shapely.box(left, top + rows * transform.e, left + columns * transform.a, top)


def write_polygons(
    path: Path,
    geometries: list,
    crs: str = CRS,
    driver: str | None = None,
    layer: str | None = None,
    **fields: list,
) -> Path:
    """Write geometries with attributes; the suffix tells the format, unless a driver is named."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = [np.array(values, object if isinstance(values[0], str) else None) for values in fields.values()]
    kind = geometries[0].geom_type if geometries[0] is not None else "Polygon"
    options = {"driver": driver, "layer": layer, "geometry_type": kind, "crs": crs}
    pyogrio.raw.write(path, shapely.to_wkb(geometries), columns, list(fields), **options)
    return path
