"""What names, attributes and coordinates of arrays state, in NetCDF files and in xarray: axes, place, CRS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray
from pyproj.exceptions import ProjError
from rasterio.transform import Affine

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.crs import horizontal, read_crs

DEGREES = "EPSG:4326"
CRS_ATTRIBUTES = ("crs_wkt", "spatial_ref", "crs", "epsg_code")
EVEN = 0.01
"""By this share of a pixel the coordinates of evenly spaced pixels may be off (float32, rounded texts)."""
BAND, ROW, COLUMN = AXES = ("band", "row", "column")
NAMES = {
    ROW: ("row", "rows", "y", "lat", "latitude", "northing", "line", "lines", "downtrack", "ydim", "ny"),
    COLUMN: (
        *("column", "columns", "col", "cols", "x", "lon", "long", "longitude", "easting"),
        *("sample", "samples", "crosstrack", "xdim", "nx"),
    ),
    BAND: ("band", "bands", "wavelength", "wavelengths", "channel", "channels", "lambda", "spectral"),
}
"""What files and programs call the axes, in lower case."""
CF_AXES = {
    **{"x": COLUMN, "projection_x_coordinate": COLUMN, "longitude": COLUMN},
    **{"y": ROW, "projection_y_coordinate": ROW, "latitude": ROW},
}
"""By an attribute ``axis`` or ``standard_name`` of the axis's coordinates (CF conventions)."""


def transform_of(x: NDArray, y: NDArray) -> Affine | None:
    """Return the transform of pixels with centres at these coordinates; None if they are not even."""
    if min(len(x), len(y)) < 2:
        return None
    if any(np.asarray(centres).dtype.kind not in "iuf" for centres in (x, y)):
        return None
    steps = []
    for centres in (np.asarray(x, np.float64), np.asarray(y, np.float64)):
        step = (centres[-1] - centres[0]) / (len(centres) - 1)
        even = centres[0] + step * np.arange(len(centres))
        if not step or not np.isfinite(step) or np.abs(centres - even).max() > EVEN * abs(step):
            return None
        steps.append(float(step))
    return Affine(steps[0], 0, float(x[0]) - steps[0] / 2, 0, steps[1], float(y[0]) - steps[1] / 2)


def transform_of_text(text: Any) -> Affine | None:
    """Return the transform of a text such as GDAL's ``GeoTransform``, or of six numbers; None for others."""
    words = text_of(text).split() if isinstance(text, (str, bytes)) else text
    try:
        numbers = [float(word) for word in words]
        return Affine.from_gdal(*numbers[:6])
    except (TypeError, ValueError):
        return None


def crs_of(attributes: Mapping[str, Any], where: str) -> str | None:
    """Return the horizontal CRS that attributes of a grid mapping or an array state, or None."""
    if text_of(attributes.get("grid_mapping_name")) and not any(attributes.get(n) for n in CRS_ATTRIBUTES):
        try:
            return horizontal(pyproj.CRS.from_cf(dict(attributes)).to_string())
        except (ProjError, KeyError, ValueError, TypeError) as error:
            raise InputError(f"{where}: its grid mapping is not known to PROJ ({error})") from error
    for name in CRS_ATTRIBUTES:
        if value := text_of(attributes.get(name)).strip():
            return horizontal(read_crs(f"{where}: '{name}'", value))
    return None


def crs_of_names(x: str, y: str) -> str | None:
    """Return the CRS of coordinates that are called longitude and latitude; None for others."""
    names = [name.rpartition("/")[2].lower() for name in (x, y)]
    return DEGREES if names[0].startswith("lon") and names[1].startswith("lat") else None


def number_of(value: Any, where: str, name: str) -> float:
    """Return the number that an attribute is; raise InputError if it is none, or several."""
    try:
        return float(np.ravel(value).item())
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: its attribute '{name}' is {value!r}; a number is expected") from error


def text_of(value: Any) -> str:
    """Return an attribute as text: what HDF5 files hold as bytes or an array of one; empty for None."""
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size == 1 else value.tolist()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def parse_axes(value: Any, where: str) -> str:
    """Return a statement such as ``row, column, band`` in this spelling.

    Raises:
        InputError: if it is no order of band, row and column; the message begins with ``where``.
    """
    words = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    axes = tuple(str(word).strip().lower() for word in words)
    if sorted(axes) != sorted(AXES):
        raise InputError(f"{where} is {value!r}; an order of band, row and column is expected, with commas")
    return ", ".join(axes)


def put_in_order(data: Any, axes: str) -> Any:
    """Transpose an array to ``(bands, rows, columns)``; ``axes`` is what ``order_of`` returns."""
    named = axes.split(", ")
    data = data.transpose([named.index(axis) for axis in AXES if axis in named])
    return data if BAND in named else data[None]


def axis_of(name: str, attributes: Mapping[str, Any] | None = None) -> str | None:
    """Return which axis a dimension is, by its name or its coordinates' attributes; None if unknown."""
    for key in ("axis", "standard_name"):
        word = text_of((attributes or {}).get(key)).lower()
        if word in CF_AXES:
            return CF_AXES[word]
    word = name.rpartition("/")[2].lower().replace("_", "")
    return next((axis for axis, names in NAMES.items() if word in names), None)


def order_of(axes: Sequence[str | None]) -> str | None:
    """Return the order of an array's axes, None if rows and columns are not both known.

    A third axis beside these holds the bands, whatever its name.
    """
    if len(axes) not in (2, 3) or axes.count(ROW) != 1 or axes.count(COLUMN) != 1:
        return None
    return ", ".join(axis if axis in (ROW, COLUMN) else BAND for axis in axes)
