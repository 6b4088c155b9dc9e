"""Arrays of HDF5 and NetCDF version 4 files as stores of pixels, by the names of their axes.

GDAL takes the last two axes for rows and columns, whatever they are, and turns NetCDF arrays upside down if
it does not know their coordinates. It reads arrays of two axes without names.

Files are opened after a look at what hangs their reader (the global heaps of the HDF5 File Format
Specification, III.E), or leads it to other files, which a file from a stranger must not have read.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.bands import Bands, to_nm
from m3amba_zoo.rasters.coordinates import (
    AXES,
    BAND,
    COLUMN,
    ROW,
    axis_of,
    crs_of,
    crs_of_names,
    number_of,
    order_of,
    put_in_order,
    text_of,
    transform_of,
    transform_of_text,
)
from m3amba_zoo.rasters.request import RasterRequest
from m3amba_zoo.rasters.store import Pixels, Store
from m3amba_zoo.reading import library_errors

UNREADABLE = "not a readable HDF5 file, it may be cut short or damaged"
HEAP = b"GCOL\1\0\0\0"
SEARCHED = 2**26  # bytes at a file's beginning, where libraries put what describes the arrays
WITHIN = (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT)
EXPECTED = "an HDF5 file that holds its arrays itself is expected (h5repack and h5copy make one)"


class Cube(NamedTuple):
    """An array, and the order of its axes as ``parse_axes`` returns it; or rows and columns alone."""

    array: h5py.Dataset
    axes: str

    def size(self, axis: str) -> int:
        """Return the length of an axis, 1 for that of the bands if there is none."""
        named = self.axes.split(", ")
        return self.array.shape[named.index(axis)] if axis in named else 1

    def read(self, bands: Sequence[int], rows: slice, columns: slice) -> NDArray:
        """Read a part, ``(C, rows, columns)``; all from the first to the last of the bands are read."""
        first = min(bands)
        parts = {BAND: slice(first, max(bands) + 1), ROW: rows, COLUMN: columns}
        named = self.axes.split(", ")
        data = put_in_order(self.array[tuple(parts[axis] for axis in named)], self.axes)
        return data[[band - first for band in bands]].view(self.dtype)

    @property
    def piece(self) -> int:
        """Bytes of the largest part that is read whole: see ``Store.piece``."""
        return math.prod(self.array.chunks or ()) * self.array.dtype.itemsize

    @property
    def dtype(self) -> np.dtype:
        """The values' dtype: what NetCDF calls unsigned is stored as signed."""
        dtype = self.array.dtype
        if dtype.kind == "i" and text_of(self.array.attrs.get("_Unsigned")).lower() == "true":
            return np.dtype(dtype.str.replace("i", "u"))
        return dtype


class Hdf5Store(Store):
    """Bands of one or more arrays of an HDF5 file, all of one grid.

    Args:
        file: is closed with the store.
        path: for messages.
        cubes: the arrays.
        order: the array and the band in it of each band of the store; None takes all as they come.

    Attributes:
        fills: further values that mark missing pixels, if ``has_mask``.
        valid: smallest and largest value that is not missing, if ``has_mask``.
    """

    def __init__(
        self,
        file: h5py.File,
        path: str,
        cubes: Sequence[Cube],
        order: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        if order is None:
            order = [(number, band) for number, cube in enumerate(cubes) for band in range(cube.size(BAND))]
        shape = cubes[0].size(ROW), cubes[0].size(COLUMN)
        super().__init__(len(order), shape, np.result_type(*(cube.dtype for cube in cubes)))
        self._file, self._path, self.cubes, self._order = file, path, cubes, order
        self.files = (file.filename,)
        self.piece = max(cube.piece for cube in cubes)
        self.fills: tuple[float, ...] = ()
        self.valid = -np.inf, np.inf

    def read(self, bands: Sequence[int], window: Window) -> Pixels:
        """Read a window of some bands; all bands from the first to the last of each array are read."""
        rows, columns = window.toslices()
        values = np.empty((len(bands), window.height, window.width), self.dtype)
        for number, cube in enumerate(self.cubes):
            at = [place for place, band in enumerate(bands) if self._order[band][0] == number]
            if at:
                wanted = [self._order[bands[place]][1] for place in at]
                with library_errors(self._path, UNREADABLE):
                    values[at] = cube.read(wanted, rows, columns)
        if not self.has_mask:
            return Pixels(values)
        low, high = self.valid
        return Pixels(values, np.isin(values, self.fills) | (values < low) | (values > high))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def arrays_of(file: h5py.File, key: str) -> dict[str, h5py.Dataset]:
    """Return the arrays of numbers with two axes or more, by path; those that a key names, unless empty.

    Raises:
        InputError: if the values of any array lie in another file.
    """
    found: dict[str, h5py.Dataset] = {}

    def visit(name: str | bytes, node: h5py.HLObject) -> None:
        if isinstance(node, h5py.Dataset):
            check_array(node)
            if node.ndim >= 2 and node.dtype.kind in "biuf":
                found[text_of(name)] = node

    file.visititems(visit)
    wanted = key.strip("/").replace(" ", "_")  # as GDAL writes it
    return {
        name: node
        for name, node in found.items()
        if not wanted or f"/{name.replace(' ', '_')}".endswith(f"/{wanted}")
    }


def open_array(file: h5py.File, request: RasterRequest) -> Hdf5Store | None:
    """Return a store of the array that a request names, of two or three axes with names; else None.

    Of three axes without names the first one is taken for the bands if it is far shorter than the others, and
    a remark says so.

    Raises:
        InputError: if neither the file, nor the request, nor the array's shape says which axis is which.
    """
    found = arrays_of(file, request.key)
    if len(found) != 1:
        return None  # GDAL lists what there is
    ((name, array),) = found.items()
    axes = [axis_of(*dimension_of(array, number)) for number in range(array.ndim)]
    order = order_of(axes)
    if array.ndim > 3 and ROW in axes and COLUMN in axes and axes[-2:] != [ROW, COLUMN]:
        raise InputError(  # GDAL takes the last two for rows and columns
            f"{request.path}: the array '{name}' has {array.ndim} axes, {', '.join(map(str, axes))}; "
            "three, or rows and columns as the last two, are expected"
        )
    if array.ndim != 3:
        return None if order is None else _describe(Hdf5Store(file, str(request), [Cube(array, order)]))
    sizes, remark = " x ".join(map(str, array.shape)), ""
    if order is not None and request.axes not in (None, order):
        raise InputError(
            f"{request.path}: the axes of '{name}' are {order} by the names that the file gives them, but "
            f"{request.where or 'the request'} states {request.axes}; expected axes: {order}"
        )
    order = order or request.axes
    if order is None and 2 * array.shape[0] <= min(array.shape[1:]):
        order = ", ".join(AXES)
        remark = f"the first axis of {sizes} is taken for the bands, it has no name ('axes' states another)"
    if order is None:
        raise InputError(
            f"{request.path}: the array '{name}' of {sizes} does not say which axis is which; expected "
            "'axes', such as --axes row,column,band (axes: row, column, band in scene.yaml, "
            "RasterRequest(axes=...) in Python)"
        )
    store = _describe(Hdf5Store(file, str(request), [Cube(array, order)]))
    store.bands = store.bands._replace(remark=store.bands.remark or remark)
    return store


def _describe(store: Hdf5Store) -> Hdf5Store:
    """Take over what the attributes of an array and its dimensions say, as far as CF conventions fix it."""
    (cube,) = store.cubes
    array, attributes = cube.array, cube.array.attrs
    fills = [
        float(value)
        for name in ("_FillValue", "missing_value")
        for value in _as_stored(attributes.get(name, ()), cube)
    ]
    if fills:
        store.nodata, store.fills = (fills[0],) * store.count, tuple(fills[1:])
    span = [_as_stored(attributes.get(name, ()), cube) for name in ("valid_min", "valid_max", "valid_range")]
    low, high, both = (
        ends if ends.dtype.kind != "f" or cube.dtype.kind == "f" else ends[:0] for ends in span
    )  # floats of whole numbers are on the scaled values
    store.valid = float(min([*low, *both], default=-np.inf)), float(max([*high, *both], default=np.inf))
    store.has_mask = len(fills) > 1 or store.valid != (-np.inf, np.inf)
    where = array.file.filename
    store.scales = store.scales * number_of(attributes.get("scale_factor", 1), where, "scale_factor")
    store.offsets = store.offsets + number_of(attributes.get("add_offset", 0), where, "add_offset")
    along = {axis: _coordinates(array, number) for number, axis in enumerate(cube.axes.split(", "))}
    bands, x, y = along.get(BAND), along[COLUMN], along[ROW]
    if bands is not None and "wavelength" in text_of(bands.name).lower():
        wavelengths, remark = to_nm(bands[()].astype(np.float64), text_of(bands.attrs.get("units")))
        store.bands = Bands(wavelengths=wavelengths, remark=remark)
    mapping = array.file.get(
        f"{text_of(array.parent.name).rstrip('/')}/{text_of(attributes.get('grid_mapping'))}"
    )
    if isinstance(mapping, h5py.Dataset):
        store.crs = crs_of(mapping.attrs, where)
        store.transform = transform_of_text(mapping.attrs.get("GeoTransform"))
    if x is not None and y is not None:
        store.crs = store.crs or crs_of_names(text_of(x.name), text_of(y.name))
        store.transform = store.transform or transform_of(x[()], y[()])
    return store


def _as_stored(value: Any, cube: Cube) -> NDArray:
    """Return an attribute's numbers, unsigned if the array's are; empty if it has none."""
    numbers = np.ravel(value)
    if numbers.dtype.kind not in "iuf":
        return np.empty(0)
    return numbers.view(cube.dtype) if numbers.dtype == cube.array.dtype else numbers


def dimension_of(array: h5py.Dataset, number: int) -> tuple[str, Mapping[str, Any]]:
    """Return the name of an array's dimension and the attributes of its coordinates; empty if it has none."""
    dimension = array.dims[number]
    if len(dimension):
        return text_of(dimension[0].name), dimension[0].attrs  # h5py gives bytes where a name is no UTF-8
    return text_of(dimension.label), {}


def _coordinates(array: h5py.Dataset, number: int) -> h5py.Dataset | None:
    """Return the coordinates along an array's axis; a dimension of NetCDF without any is no array of them."""
    dimension = array.dims[number]
    if not len(dimension) or text_of(dimension[0].attrs.get("NAME")).startswith("This is a netCDF dimension"):
        return None
    return dimension[0]


def open_checked(path: str | Path, **options: Any) -> h5py.File:
    """Open a file for reading.

    Args:
        path: of the file.
        **options: of ``h5py.File``.

    Raises:
        InputError: if a link leads to another file; the message names it.
        ValueError: if a heap has free space of no size.
        OSError: if the file cannot be read.
    """
    _check_heaps(path)
    file = h5py.File(path, "r", **options)
    try:
        _check_links(file)
    except BaseException:
        file.close()
        raise
    return file


def check_array(array: h5py.Dataset) -> None:
    """Check that the values of an array lie in its own file.

    Raises:
        InputError: if they are those of other files, raw ones or HDF5.
    """
    plist = array.id.get_create_plist()
    others = [
        name.decode("utf-8", "replace")
        for name, *_ in map(plist.get_external, range(plist.get_external_count()))
    ]
    if plist.get_layout() == h5py.h5d.VIRTUAL:
        others += [
            name for name in map(plist.get_virtual_filename, range(plist.get_virtual_count())) if name != "."
        ]
    if others:
        raise InputError(
            f"{array.file.filename}: the values of '{array.name}' lie in another file, {others[0]}; "
            f"{EXPECTED}"
        )


def _check_heaps(path: str | Path) -> None:
    """Raise ValueError if a heap has free space of no size, which is gone through for ever."""
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.find(HEAP, 0, SEARCHED)
        while start >= 0:
            (size,) = struct.unpack("<Q", content[start + 8 : start + 16].ljust(8, b"\0"))
            at, end = start + 16, min(start + size, len(content))
            while at + 16 <= end:
                index, _, _, length = struct.unpack("<HHIQ", content[at : at + 16])
                if index == 0 and length == 0:
                    raise ValueError("a heap has free space of no size")
                at += length if index == 0 else 16 + length + -length % 8
            start = content.find(HEAP, start + 8, SEARCHED)


def _check_links(file: h5py.File) -> None:
    """Raise InputError if a link of a file leads to another one; none is followed."""
    outside: list[bytes] = []

    def visit(name: bytes, about: h5py.h5l.LinkInfo) -> None:
        if about.type not in WITHIN:
            outside.append(name)

    file.id.links.visit(visit, info=True)
    if outside:
        name = outside[0].decode("utf-8", "replace")
        raise InputError(f"{file.filename}: '{name}' is a link to another file; {EXPECTED}")
