"""Arrays with named axes and coordinates, as xarray's DataArray, without xarray itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.array import ArrayStore
from m3amba_zoo.rasters.axes import BAND, COLUMN, ROW, axis_of, order_of, put_in_order
from m3amba_zoo.rasters.bands import Bands, proper_names, to_nm
from m3amba_zoo.rasters.coordinates import crs_of, crs_of_names, number_of, transform_of, transform_of_text


@runtime_checkable
class LabelledArray(Protocol):
    """What is read of xarray's DataArray."""

    dims: Any
    coords: Any
    attrs: Any
    data: Any


def read_labelled(array: LabelledArray, name: str) -> ArrayStore:
    """Return a store of an array, with what its coordinates and attributes say, as rioxarray writes them.

    Which axis is which, is told by their names (``band``, ``y``, ``x``; ``latitude``, ``longitude``; ...).
    Wavelengths are a coordinate ``wavelength`` along the bands; the CRS is that of the coordinate
    ``spatial_ref``, or an attribute ``crs``; the transform is that of ``spatial_ref``, else follows from the
    pixels' coordinates.

    Args:
        array: of 2 or 3 axes; where dask holds the pixels, they are computed when they are read.
        name: for messages.

    Raises:
        InputError: if the axes' names do not say which are rows and columns.
    """
    dims, coords = [str(dim) for dim in array.dims], array.coords
    axes = [axis_of(dim, coords[dim].attrs if dim in coords else None) for dim in dims]
    order = order_of(axes)
    if order is None:
        raise InputError(
            f"{name}: its axes are {', '.join(dims)}; names that tell rows and columns, such as band, y, x, "
            "are expected"
        )
    data, of_axis = put_in_order(array.data, order), dict(zip(order.split(", "), dims, strict=True))
    store = ArrayStore(data, bands=_bands(array, of_axis.get(BAND)))
    encoding = getattr(array, "encoding", {})  # what xarray has applied already when it opened a file
    fill = _first(array.attrs, ("_FillValue", "nodata", "missing_value"))
    if fill is None:
        fill = encoding.get("_FillValue")
    if fill is not None:
        store.nodata = (number_of(fill, name, "_FillValue"),) * store.count
    store.scales = store.scales * number_of(array.attrs.get("scale_factor", 1), name, "scale_factor")
    store.offsets = store.offsets + number_of(array.attrs.get("add_offset", 0), name, "add_offset")
    mapping = str(
        _first(array.attrs, ("grid_mapping",)) or getattr(array, "encoding", {}).get("grid_mapping", "")
    )
    placed = coords[mapping].attrs if mapping in coords else {}
    placed = placed or (coords["spatial_ref"].attrs if "spatial_ref" in coords else {})
    store.crs = crs_of(placed, name) or crs_of(array.attrs, name)
    store.transform = transform_of_text(placed.get("GeoTransform"))
    if store.transform is None and all(of_axis[axis] in coords for axis in (ROW, COLUMN)):
        store.transform = transform_of(*(coords[of_axis[axis]].values for axis in (COLUMN, ROW)))
        store.crs = store.crs or crs_of_names(of_axis[COLUMN], of_axis[ROW])
    return store


def _bands(array: LabelledArray, axis: str | None) -> Bands:
    """Return names and wavelengths of the bands along an axis."""
    along = {str(key): c for key, c in array.coords.items() if axis is not None and tuple(c.dims) == (axis,)}
    wavelengths, remark = None, ""
    for key, coordinate in along.items():
        if "wavelength" in key.lower() and coordinate.dtype.kind in "iuf":
            unit = str(coordinate.attrs.get("units", ""))
            wavelengths, remark = to_nm(coordinate.values.astype(np.float64), unit)
            break
    names = [coordinate.values.tolist() for coordinate in along.values() if coordinate.dtype.kind in "UTO"]
    described = array.attrs.get("long_name")  # as rioxarray holds the bands' descriptions
    if axis is not None and isinstance(described, list | tuple):
        names.append(list(described))
    return Bands(proper_names(names[0]) if names else (), wavelengths, remark=remark)


def _first(values: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((values[name] for name in names if values.get(name) is not None), None)
