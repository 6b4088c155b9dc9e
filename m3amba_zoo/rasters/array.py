"""Arrays as stores of pixels: numpy's, xarray's, and MATLAB and NumPy files, which are read whole."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray
from rasterio.windows import Window

from m3amba_zoo.errors import InputError
from m3amba_zoo.numpy_files import check_arrays
from m3amba_zoo.rasters.bands import Bands, proper_names, to_nm
from m3amba_zoo.rasters.coordinates import (
    BAND,
    COLUMN,
    ROW,
    axis_of,
    crs_of,
    crs_of_names,
    number_of,
    order_of,
    put_in_order,
    transform_of,
    transform_of_text,
)
from m3amba_zoo.rasters.matlab import is_by_matlab, list_variables, read_image
from m3amba_zoo.rasters.request import RasterRequest
from m3amba_zoo.rasters.store import Pixels, Store
from m3amba_zoo.reading import library_errors

ARRAY_FILES = (".mat", ".npy", ".npz")


class ArrayStore(Store):
    """Bands in memory.

    Args:
        data: ``(C, H, W)``: a numpy array, or one that turns into it where it is sliced, as dask's do.
        mask: True where values are missing, ``(C, H, W)`` or ``(1, H, W)``, or None.
        bands: what is known of them.
    """

    def __init__(self, data: Any, mask: NDArray[np.bool_] | None = None, bands: Bands | None = None) -> None:
        super().__init__(len(data), (data.shape[1], data.shape[2]), data.dtype)
        self._data, self._mask = data, mask
        self.has_mask, self.held = mask is not None, isinstance(data, np.ndarray)
        self.bands = bands or Bands()

    def read(self, bands: Sequence[int], window: Window) -> Pixels:
        """Read a window; a view if the bands are all in order."""
        at = (slice(None), *window.toslices())
        values, mask = self._data[at], None if self._mask is None else self._mask[at]
        if list(bands) != list(range(self.count)):
            values = values[list(bands)]
            mask = mask if mask is None or len(mask) == 1 else mask[list(bands)]
        return Pixels(np.asarray(values), mask)

    def fingerprint(self) -> str:
        """Return a hash of pixels and mask; of pixels that are yet to be computed, what never recurs."""
        if self.files:
            return ""
        if not isinstance(self._data, np.ndarray):
            return uuid.uuid4().hex
        digest = hashlib.sha256(np.ascontiguousarray(self._data).tobytes())
        if self._mask is not None:
            digest.update(np.packbits(self._mask).tobytes())
        return digest.hexdigest()


def read_array_file(request: RasterRequest) -> NDArray:
    """Read a variable of a MATLAB file, or a NumPy file, as ``(C, H, W)``.

    Raises:
        InputError: if the file is absent or damaged, holds something else, or more than the memory that is
            free.
    """
    path = Path(request.path)
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file; a MATLAB or NumPy file is expected")
    if path.suffix.lower() == ".mat":
        data = read_image(path, request.key or _only_image(path))
        if request.axes and len(data) > 1:  # those of the variable, H x W x C, as MATLAB shows it
            return put_in_order(data.transpose(1, 2, 0), request.axes)
        return data
    with library_errors(path, "not a readable NumPy file of numbers, it may be cut short or damaged"):
        with path.open("rb") as file:
            check_arrays(file, path, request.key)
        data = np.load(path, allow_pickle=False)
        if isinstance(data, NpzFile):
            data = _of_archive(path, data, request.key)
    if not isinstance(data, np.ndarray):
        raise InputError(f"{path}: holds no array; real numbers (bands, rows, columns) are expected")
    if data.ndim not in (2, 3) or data.dtype.kind not in "biuf":
        raise InputError(
            f"{path}: holds {data.dtype} {data.shape}; real numbers (bands, rows, columns) are expected"
        )
    if data.ndim == 2:
        return data[None]
    return put_in_order(data, request.axes) if request.axes else data


def order_is_guessed(request: RasterRequest) -> str:
    """Say that a MATLAB file's order of axes is not sure, because MATLAB has not written it; else empty."""
    path = Path(request.path)
    if request.axes or path.suffix.lower() != ".mat" or is_by_matlab(path, request.key or _only_image(path)):
        return ""
    return (
        "was not written by MATLAB, which reverses the order of axes in HDF5 files; it is read as if it was "
        "('axes' states another order)"
    )


def _of_archive(path: Path, archive: NpzFile, key: str) -> NDArray:
    """Return an array of an .npz file: the one of this name, or the only one."""
    with archive:
        if key in archive or (len(archive) == 1 and not key):
            return archive[key or archive.files[0]]
        found = f"no array '{key}'" if key else f"{len(archive)} arrays"
        raise InputError(
            f"{path}: has {found}; expected the key of one, as in {path.name}:{next(iter(archive), 'NAME')}; "
            f"it holds {', '.join(archive) or 'none'}"
        )


def _only_image(path: Path) -> str:
    """Return the one variable of a MATLAB file that can be an image."""
    found = list_variables(path)
    numeric = {n: v.shape for n, v in found.items() if v.kind not in ("struct", "cell", "char")}
    images = [name for name, shape in numeric.items() if len(shape) in (2, 3) and min(shape[:2]) > 1]
    if len(images) == 1:
        return images[0]
    listed = ", ".join(f"'{n}' ({' x '.join(map(str, v.shape))} {v.kind})" for n, v in found.items())
    raise InputError(
        f"{path}: is a MATLAB file, so the variable's key is expected, as in "
        f"{path.name}:{next(iter(images or found), 'NAME')}; it holds {listed or 'none'}"
    )


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
    stated = [array.attrs.get(name) for name in ("_FillValue", "nodata", "missing_value")]
    fill = next((value for value in (*stated, encoding.get("_FillValue")) if value is not None), None)
    if fill is not None:
        store.nodata = (number_of(fill, name, "_FillValue"),) * store.count
    store.scales = store.scales * number_of(array.attrs.get("scale_factor", 1), name, "scale_factor")
    store.offsets = store.offsets + number_of(array.attrs.get("add_offset", 0), name, "add_offset")
    mapping = str(array.attrs.get("grid_mapping") or encoding.get("grid_mapping", ""))
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
