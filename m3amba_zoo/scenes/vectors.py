"""Vector files (GeoPackage, shapefile, GeoJSON, KML, FlatGeobuf): labelled polygons and points."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from m3amba_zoo.errors import InputError, close_names
from m3amba_zoo.memory import require_memory
from m3amba_zoo.rasters.indirect import check_vector
from m3amba_zoo.reading import library_errors
from m3amba_zoo.scenes.shapes import POINT_TYPES, POLYGON_TYPES, Shapes

EXPECTED = "GeoPackage, shapefile, GeoJSON, KML or FlatGeobuf"
SUFFIXES = (".gpkg", ".shp", ".geojson", ".json", ".kml", ".kmz", ".fgb", ".gdb", ".gml")
"""Files of these suffixes are no rasters, whatever is said of them."""
COLLECTION = 7
"""shapely's number for GeometryCollection."""
MOST_EXAMPLES = 3
BYTES_OF_FEATURE = 200
"""What a feature takes at least, as an object with its coordinates and its value."""
UNREADABLE = "not a readable vector file, it may be cut short, damaged or lack a part"

logger = logging.getLogger(__name__)


def read_shapes(
    path: str | Path,
    attribute: str | None,
    layer: str | None = None,
    skip_invalid: bool = False,
) -> Shapes:
    """Read the polygons and points of a vector file with one attribute.

    Args:
        path: the file (for Esri's file geodatabase, the folder).
        attribute: the name of the attribute to read; None reads none, all values are then None.
        layer: the layer to read; may be None if the file has one.
        skip_invalid: leave out features without a valid shape, with a warning, in place of refusing them.

    Raises:
        InputError: if the file is absent, damaged or not a vector file, lacks the layer or the attribute,
            has several layers and none is named, or holds lines or invalid shapes.
    """
    with _reading(path):
        layer = _find_layer(path, layer)
        info = pyogrio.read_info(path, layer=layer)
        require_memory(path, BYTES_OF_FEATURE * info["features"], f"{info['features']:,} features")
        if attribute is not None:
            _require_attribute(path, layer, attribute, info)
        columns = [] if attribute is None else [attribute]
        _, numbers, encoded, read = pyogrio.raw.read(
            path, layer=layer, columns=columns, force_2d=True, return_fids=True
        )
        geometries = shapely.from_wkb(encoded, on_invalid="ignore")
        crs = (info["crs"] and CRS.from_string(info["crs"]).to_string()) or None
    values = np.full(len(geometries), None, object)
    if attribute is not None:
        plain = _plain(read[0], info, attribute)
        if _hold_lists(plain):
            raise InputError(f"{path}: '{attribute}' holds lists; one value per feature is expected")
        values[:] = plain
    geometries = np.array([_merged(geometry) for geometry in geometries], object)
    wrong = _describe_invalid(geometries, encoded)
    found = np.array([not reason for reason in wrong], bool)
    _require_kind(path, geometries[found], numbers[found])
    shapes = Shapes(geometries, values, numbers, crs, str(path))
    if found.all():
        return shapes
    _report_invalid(path, wrong, numbers, skip_invalid)
    return shapes.only(found)


def list_attributes(path: str | Path, layer: str | None = None) -> dict[str, list[Any]]:
    """Return the distinct values, in order of first appearance, of each attribute of a layer.

    Raises:
        InputError: see ``read_shapes``.
    """
    with _reading(path):
        layer = _find_layer(path, layer)
        info = pyogrio.read_info(path, layer=layer)
        require_memory(path, BYTES_OF_FEATURE * info["features"], f"{info['features']:,} features")
        meta, _, _, columns = pyogrio.raw.read(path, layer=layer, read_geometry=False)
    read = {
        str(name): _plain(column, info, name) for name, column in zip(meta["fields"], columns, strict=True)
    }
    return {
        name: list(dict.fromkeys(value for value in values if value is not None))
        for name, values in read.items()
        if not _hold_lists(values)
    }


def propose_attributes(path: str | Path, layer: str | None = None) -> str:
    """Say which attributes a layer has and what they hold, for a message."""
    told = []
    for name, values in list_attributes(path, layer).items():
        if values:
            examples = ", ".join(map(repr, values[:MOST_EXAMPLES]))
            more = ", ..." if len(values) > MOST_EXAMPLES else ""
            told.append(f"'{name}' ({len(values)} values: {examples}{more})")
    return ", ".join(told) or "no attribute with a value"


@contextlib.contextmanager
def _reading(path: str | Path) -> Iterator[None]:
    """Turn what GDAL raises into one sentence, and what it warns of into lines of the log."""
    expected = f"polygons or points as {EXPECTED} are expected"
    if not os.path.exists(path):
        raise InputError(f"{path}: no such file; {expected}")
    check_vector(path)
    with warnings.catch_warnings(record=True) as caught, library_errors(path, UNREADABLE, expected):
        warnings.simplefilter("always")
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                unfolded = sum(member.file_size for member in archive.infolist())
            require_memory(path, unfolded, "what it unfolds to")
        yield
    for text in dict.fromkeys(str(warning.message) for warning in caught):
        logger.warning("%s: %s", path, text)


def _find_layer(path: str | Path, layer: str | None) -> str:
    """Return the layer to read: the one that is named, or the only one with shapes."""
    listed = pyogrio.list_layers(path)
    known = [str(name) for name, kind in listed if kind is not None]
    if layer is not None and layer not in known:
        hint = close_names(layer, known) or f"it has {', '.join(known) or 'none with shapes'}"
        raise InputError(f"{path}: no layer '{layer}'; {hint}")
    if layer is None and not known:
        raise InputError(f"{path}: a table without shapes; polygons or points as {EXPECTED} are expected")
    if layer is None and len(known) > 1:
        raise InputError(
            f"{path} has {len(known)} layers ({', '.join(known)}); the key 'layer' must name one of them"
        )
    return layer or known[0]


def _require_attribute(path: str | Path, layer: str, attribute: str, info: dict[str, Any]) -> None:
    known = [str(name) for name in info["fields"]]
    if attribute not in known:
        alike = next((name for name in known if name.lower() == attribute.lower()), attribute)
        hint = close_names(alike, known) or f"it has {', '.join(known) or 'none'}"
        raise InputError(f"{path}: no attribute '{attribute}'; {hint}")


def _plain(column: NDArray, info: dict[str, Any], attribute: str) -> list[Any]:
    """Return an attribute's values as Python's own, texts without blanks around; None for none and blanks."""
    position = [str(name) for name in info["fields"]].index(attribute)
    # whole numbers are read as floats where some features have none
    whole = str(info["dtypes"][position]).startswith(("int", "uint"))
    values = [None if isinstance(value, float) and value != value else value for value in column.tolist()]
    # blanks at the ends cannot be seen in a GIS, and many formats have no other way to leave a text out
    values = [value.strip() or None if isinstance(value, str) else value for value in values]
    return [int(value) if whole and value is not None else value for value in values]


def _hold_lists(values: list[Any]) -> bool:
    return any(isinstance(value, list | np.ndarray) for value in values)


def _merged(geometry: shapely.Geometry | None) -> shapely.Geometry | None:
    """Return a collection of polygons, or of points, as one shape; anything else as it is."""
    if geometry is None or shapely.get_type_id(geometry) != COLLECTION or geometry.is_empty:
        return geometry
    parts = shapely.get_parts(geometry)
    kinds = shapely.get_type_id(parts)
    if np.isin(kinds, POLYGON_TYPES).all():
        return shapely.union_all(parts)
    return shapely.multipoints(parts) if (kinds == POINT_TYPES[0]).all() else geometry


def _describe_invalid(geometries: NDArray[np.object_], encoded: NDArray[np.object_]) -> list[str]:
    """Say of each feature why it has no valid shape; empty if it has one."""
    reasons = []
    for geometry, source in zip(geometries, encoded, strict=True):
        if source is None:
            reasons.append("no geometry")
        elif geometry is None:
            reasons.append("a geometry that cannot be read")
        elif geometry.is_empty:
            reasons.append("an empty geometry")
        else:
            reasons.append("" if geometry.is_valid else shapely.is_valid_reason(geometry))
    return reasons


def _report_invalid(path: str | Path, wrong: list[str], numbers: NDArray, skip: bool) -> None:
    """Warn of features without a valid shape, or refuse them."""
    named = [f"feature {number}: {why}" for number, why in zip(numbers, wrong, strict=True) if why]
    listed = "; ".join(named[:MOST_EXAMPLES]) + ("; ..." if len(named) > MOST_EXAMPLES else "")
    text = f"{path}: {len(named)} of {len(wrong)} features have no valid shape ({listed})"
    if not skip:
        raise InputError(
            f"{text}; the file may be cut short, or they must be mended; `skip_invalid: true` leaves them out"
        )
    logger.warning("%s and are left out", text)


def _require_kind(path: str | Path, geometries: NDArray[np.object_], numbers: NDArray) -> None:
    """Refuse lines and mixed collections."""
    other = ~np.isin(shapely.get_type_id(geometries), (*POLYGON_TYPES, *POINT_TYPES))
    if other.any():
        raise InputError(
            f"{path}: {int(other.sum())} of {len(other)} features are neither polygons nor points (the "
            f"first: feature {numbers[other][0]}, a {geometries[other][0].geom_type}); polygons or points "
            "are expected, around lines polygons"
        )
