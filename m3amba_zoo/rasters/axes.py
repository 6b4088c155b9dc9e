"""Which axis of an array is which: bands, rows and columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.coordinates import text_of

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
