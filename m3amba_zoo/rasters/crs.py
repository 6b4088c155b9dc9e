"""Coordinate reference systems: their horizontal part, their units, and points moved from one to another."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyproj
import rasterio.crs
from numpy.typing import NDArray
from pyproj.exceptions import ProjError
from rasterio.transform import Affine

from m3amba_zoo.errors import InputError


def read_crs(where: str, value: object) -> str:
    """Return the name of a CRS that a user states: ``EPSG:n`` (or n alone), WKT or PROJ's own language.

    Raises:
        InputError: beginning with ``where``, if no CRS is meant.
    """
    try:
        return pyproj.CRS.from_user_input(value).to_string()
    except (ProjError, TypeError) as error:
        raise InputError(f"{where} is {value!r}; a CRS such as EPSG:32617 is expected") from error


@lru_cache(maxsize=64)
def horizontal(crs: str | None) -> str | None:
    """Return the part of a CRS that says where on the earth a point lies.

    A compound CRS has heights beside it. An engineering CRS (ENVI's Arbitrary, GeoPackage's Undefined) says
    nothing about the earth: it counts as none.
    """
    parsed = _parsed(crs)
    if parsed is None:
        return crs
    if parsed.is_engineering:
        return None
    return parsed.sub_crs_list[0].to_string() if parsed.is_compound else crs


def same_crs(first: str | None, other: str | None) -> bool:
    """Tell whether two CRS have the same horizontal part, however they are written."""
    parts = horizontal(first), horizontal(other)
    if parts[0] is None or parts[1] is None or parts[0] == parts[1]:
        return parts[0] == parts[1]
    return rasterio.crs.CRS.from_string(parts[0]) == rasterio.crs.CRS.from_string(parts[1])


def move_points(points: NDArray[np.float64], source: str, target: str) -> NDArray[np.float64]:
    """Move points ``(N, 2)``, x (longitude) first, from one CRS to another.

    Points outside of the domain of ``target``'s projection become infinite.

    Raises:
        InputError: if there is no way from one CRS to the other, for example from the earth to Mars.
    """
    try:
        transformer = _transformer(source, target)
    except ProjError as error:
        raise InputError(
            f"coordinates in {crs_label(source)} cannot be expressed in {crs_label(target)}"
        ) from error
    moved = np.column_stack(transformer.transform(points[:, 0], points[:, 1]))
    moved[~np.isfinite(moved).all(axis=1)] = np.inf
    return moved


def is_geographic(crs: str | None) -> bool:
    """Tell whether coordinates are longitude and latitude."""
    parsed = _parsed(horizontal(crs))
    return parsed is not None and parsed.is_geographic


def metres_per_unit(crs: str | None) -> float | None:
    """Return how many metres one unit of a projected CRS has; None for degrees or without a CRS."""
    parsed = _parsed(horizontal(crs))
    return parsed.axis_info[0].unit_conversion_factor if parsed and parsed.is_projected else None


def pixel_area(crs: str | None, transform: Affine | None) -> float | None:
    """Return the area of a pixel in m2; None unless the CRS is projected."""
    unit = metres_per_unit(crs)
    return None if unit is None or transform is None else abs(transform.determinant) * unit**2


def distances(
    point: NDArray[np.float64], others: NDArray[np.float64], crs: str | None
) -> NDArray[np.float64]:
    """Measure from a point ``(2,)`` to others ``(N, 2)`` in m; in the coordinates' unit without a CRS."""
    ellipsoid = _ellipsoid(crs)
    if ellipsoid is None:
        return np.hypot(*(others - point).T) * (metres_per_unit(crs) or 1)
    start = np.broadcast_to(point, others.shape)
    return ellipsoid.inv(start[:, 0], start[:, 1], others[:, 0], others[:, 1])[2]


def reach(point: NDArray[np.float64], metres: float, crs: str | None) -> NDArray[np.float64]:
    """Return how far so many metres reach in x and y ``(2,)``, in the coordinates' unit; at least as far."""
    ellipsoid = _ellipsoid(crs)
    if ellipsoid is None:
        return np.full(2, metres / (metres_per_unit(crs) or 1))
    latitude = 1.01 * np.degrees(metres * ellipsoid.a / ellipsoid.b**2)  # degrees are shortest at the equator
    shrunk = np.cos(np.radians(min(abs(point[1]) + latitude, 89)))
    return np.array([latitude / shrunk, latitude])


def crs_label(crs: str | None) -> str:
    """Name a CRS in a message: ``EPSG:n``, or the name in its WKT."""
    parsed = _parsed(crs)
    if parsed is None:
        return crs or "no CRS"
    return parsed.to_string() if parsed.to_string().startswith("EPSG:") else parsed.name


@lru_cache(maxsize=64)
def _parsed(crs: str | None) -> pyproj.CRS | None:
    """Return what PROJ knows of a CRS; None if there is none, or PROJ does not understand what GDAL does."""
    try:
        return None if crs is None else pyproj.CRS.from_user_input(crs)
    except ProjError:
        return None


def _ellipsoid(crs: str | None) -> pyproj.Geod | None:
    """Return the ellipsoid on which to measure if coordinates are longitude and latitude, else None."""
    parsed = _parsed(horizontal(crs))
    return parsed.get_geod() if parsed is not None and parsed.is_geographic else None


@lru_cache(maxsize=16)
def _transformer(source: str, target: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(source, target, always_xy=True)
