"""HDF5 files by what they are: a product of PRISMA or EMIT, or an array whose axes are named or stated."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace

import h5py
import numpy as np
from numpy.typing import NDArray
from rasterio.transform import Affine
from rasterio.windows import Window

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.bands import Bands
from m3amba_zoo.rasters.coordinates import BAND, crs_of, text_of, transform_of_text
from m3amba_zoo.rasters.crs import horizontal, read_crs
from m3amba_zoo.rasters.hdf5 import (
    UNREADABLE,
    Cube,
    Hdf5Store,
    arrays_of,
    dimension_of,
    open_array,
    open_checked,
)
from m3amba_zoo.rasters.request import RasterRequest
from m3amba_zoo.rasters.store import Pixels, Store
from m3amba_zoo.reading import library_errors

CHUNK_CACHE = 2**26  # bytes per array: rows that are read one after the other share compressed chunks
GDAL_NAME_OF_ARRAY = re.compile(r'(?:HDF5|NETCDF):"?([^"]+?)"?:/*(.+)', re.IGNORECASE)
SWATH = "HDFEOS/SWATHS/PRS_L2D_HCO/Data Fields"
PANCHROMATIC = "HDFEOS/SWATHS/PRS_L2D_PCO/Data Fields"
PIXEL_METRES = {SWATH: 30.0, PANCHROMATIC: 5.0}
CUBES = (f"{SWATH}/VNIR_Cube", f"{SWATH}/SWIR_Cube")
SENSORS = dict(zip((*CUBES, f"{PANCHROMATIC}/Cube"), ("Vnir", "Swir", "Pan"), strict=True))
SAME_SIZE = 0.1
"""Pixels by which the distance of the corners may differ from the image's size: they are rounded."""
HIGHEST = 65535
"""The number that stands for the reflectance ``L2Scale...Max``."""
PARAMETERS, TABLE = "sensor_band_parameters", ("location/glt_x", "location/glt_y")
MEASURED = 2**26
"""Values measured along the orbit that are read at once: rows of the map cross many rows of the orbit."""


def open_hdf5(request: RasterRequest) -> Store | None:
    """Return a store of an HDF5 file (NetCDF version 4 is one) that GDAL would misread; None for all others.

    Raises:
        InputError: if the file is damaged, leads to other files, lacks what its product has, or does not say
            which axis is which.
    """
    if name := GDAL_NAME_OF_ARRAY.fullmatch(request.path):
        request = replace(request, path=name[1], key=name[2])
    if not os.path.isfile(request.path) or not h5py.is_hdf5(request.path):
        return None
    with library_errors(request.path, UNREADABLE):
        file = open_checked(request.path, rdcc_nbytes=CHUNK_CACHE)
    try:
        for find in (open_prisma, open_emit, open_array):
            with library_errors(request.path, UNREADABLE):
                store = find(file, request)
            if store is not None:
                return store
    except BaseException:
        file.close()
        raise
    file.close()
    return None


class PrismaStore(Hdf5Store):
    """Cubes of PRISMA's level 2D product of the Italian Space Agency (ASI): reflectance on a map grid.

    By the product specification (HDF-EOS5), ``HDFEOS/SWATHS/PRS_L2D_HCO/Data Fields`` has the arrays
    ``VNIR_Cube`` and ``SWIR_Cube``, stored (rows, bands, columns). Attributes of the file give the bands'
    centres (``List_Cw_Vnir``, 0 for a band that is empty), the reflectance of the numbers 0 and 65535
    (``L2ScaleVnirMin``, ``L2ScaleVnirMax``), the CRS (``Epsg_Code``) and the corners
    (``Product_ULcorner_easting`` and so on).

    Pixels that are 0 in all bands lie beside the swath: they are missing.
    """

    has_mask = True

    def read(self, bands: Sequence[int], window: Window) -> Pixels:
        """Read a window of some bands; all bands are read."""
        values = super().read(range(self.count), window).values
        return Pixels(values[list(bands)], (values == 0).all(axis=0)[None])


def open_prisma(file: h5py.File, request: RasterRequest) -> Hdf5Store | None:
    """Return a store of a PRISMA array, without a key of both cubes; None if the file is no such product.

    Both cubes together come in the order of their wavelengths, empty bands last.

    Raises:
        InputError: if the file lacks what the product has.
    """
    if SWATH not in file or "List_Cw_Vnir" not in file.attrs:
        return None
    found = {name: file[name] for name in CUBES if name in file}
    if request.key:
        arrays = arrays_of(file, request.key)
        found = {name: array for name, array in arrays.items() if _swath(name) in PIXEL_METRES}
        if len(found) != 1:
            return None
    axes = {2: "row, column", 3: "row, band, column"}
    cubes = [Cube(array, axes[array.ndim]) for array in found.values()]
    with library_errors(request, "not an unchanged PRISMA product"):
        facts = [_read_facts(file, name, cube.size(BAND)) for name, cube in zip(found, cubes, strict=True)]
        centres, scales, offsets = (np.concatenate(part) for part in zip(*facts, strict=True))
        order = None
        if len(cubes) > 1:
            order = [(number, band) for number, cube in enumerate(cubes) for band in range(cube.size(BAND))]
            ranked = np.argsort(np.where(centres > 0, centres, np.inf), kind="stable")
            centres, scales, offsets = centres[ranked], scales[ranked], offsets[ranked]
            order = [order[band] for band in ranked]
        store = PrismaStore(file, str(request), cubes, order)
        store.scales, store.offsets = scales, offsets
        if centres.any():
            empty = tuple(np.flatnonzero(centres == 0).tolist())
            store.bands = Bands(wavelengths=centres, bad=empty, reason="its wavelength is 0")
        store.crs = horizontal(read_crs(f"{request.path}: 'Epsg_Code'", int(_number(file, "Epsg_Code"))))
        store.transform = _transform(file, PIXEL_METRES[_swath(next(iter(found)))], store.shape, request.path)
    return store


def _read_facts(file: h5py.File, name: str, count: int) -> tuple[NDArray[np.float64], ...]:
    """Return wavelengths (0 if unknown), scales and offsets of an array's bands, ``(C,)`` each."""
    sensor = SENSORS.get(name)
    if sensor is None:  # the matrix of errors and the like
        return np.zeros(count), np.ones(count), np.zeros(count)
    low, high = (_number(file, f"L2Scale{sensor}{end}") for end in ("Min", "Max"))
    centres = np.zeros(count) if sensor == "Pan" else np.asarray(file.attrs[f"List_Cw_{sensor}"], np.float64)
    if centres.shape != (count,):
        raise KeyError(f"List_Cw_{sensor} has {centres.size} wavelengths for {count} bands")
    return centres, np.full(count, (high - low) / HIGHEST), np.full(count, low)


def _transform(file: h5py.File, metres: float, shape: tuple[int, int], path: str) -> Affine:
    """Return the transform; the corners may be those of the image or the centres of its corner pixels."""
    left, top = (_number(file, f"Product_ULcorner_{way}") for way in ("easting", "northing"))
    right, bottom = (_number(file, f"Product_LRcorner_{way}") for way in ("easting", "northing"))
    pixels = np.array([(right - left) / metres, (top - bottom) / metres])
    rows, columns = shape
    for half in (0.5, 0.0):
        if np.abs(pixels + 2 * half - (columns, rows)).max() < SAME_SIZE:
            return Affine(metres, 0, left - half * metres, 0, -metres, top + half * metres)
    raise InputError(
        f"{path}: its corners lie {right - left:g} x {top - bottom:g} m apart, which are no {columns} x "
        f"{rows} pixels of {metres:g} m; an unchanged PRISMA product is expected"
    )


def _swath(name: str) -> str:
    return name.rpartition("/")[0]


def _number(file: h5py.File, name: str) -> float:
    """Return an attribute of the file: a number, an array of one, or its digits as text."""
    return float(text_of(file.attrs[name]))


class EmitStore(Hdf5Store):
    """EMIT's level 2A product: reflectance along the orbit, put on its map grid by the table that it holds.

    By the user guide of NASA's product (EMITL2ARFL), the NetCDF file has ``reflectance`` (downtrack,
    crosstrack, bands); ``sensor_band_parameters`` with ``wavelengths`` in nm and ``good_wavelengths``, 0
    where water vapour absorbs; and ``location`` with the table ``glt_x``, ``glt_y`` (ortho_y, ortho_x): for
    each pixel of the map grid the column and row of the nearest measurement, counted from 1, and 0 where
    there is none. The file's attributes ``geotransform`` and ``spatial_ref`` place the map grid.

    Pixels without a measurement are missing.
    """

    has_mask = True

    def __init__(self, file: h5py.File, path: str, cube: Cube) -> None:
        super().__init__(file, path, [cube])
        self._columns, self._rows = (file[name] for name in TABLE)
        self.shape = self._rows.shape

    def read(self, bands: Sequence[int], window: Window) -> Pixels:
        """Read a window of some bands."""
        with library_errors(self._path, UNREADABLE):
            at = window.toslices()
            # a negative number is that of a measurement beside a gap, which it fills
            rows, columns = (np.abs(table[at].astype(np.int64)) - 1 for table in (self._rows, self._columns))
            known = (rows >= 0) & (columns >= 0)
            values = np.zeros((len(bands), *rows.shape), self.dtype)
            if known.any():
                rows, columns = rows[known], columns[known]
                top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
                at_once = max(1, MEASURED // int((bottom - top) * (right - left)))
                for first in range(0, len(bands), at_once):
                    part = slice(first, first + at_once)
                    measured = self.cubes[0].read(bands[part], slice(top, bottom), slice(left, right))
                    values[part, known] = measured[:, rows - top, columns - left]
        return Pixels(values, ~known[None])


def open_emit(file: h5py.File, request: RasterRequest) -> EmitStore | None:
    """Return a store of EMIT's array, without a key of the only one with bands; None for other files.

    Raises:
        InputError: if the file has no table that puts the array on a map grid.
    """
    arrays = {name: array for name, array in arrays_of(file, request.key).items() if _is_along_orbit(array)}
    if PARAMETERS not in file or len(arrays) != 1:
        return None
    cube = Cube(next(iter(arrays.values())), "row, column, band")
    if any(name not in file for name in TABLE):
        raise InputError(
            f"{request.path}: its rows and columns follow the orbit, and {' and '.join(TABLE)}, the table "
            "that puts them on a map grid, are absent; expected the product with its table, or one that was "
            "put on a map grid (NASA's emit_utils, or gdalwarp -geoloc with location/lon and location/lat)"
        )
    with library_errors(request, "not an unchanged EMIT product"):
        store = EmitStore(file, str(request), cube)
        parameters = file[PARAMETERS]
        good = (
            parameters["good_wavelengths"][()]
            if "good_wavelengths" in parameters
            else np.ones(cube.size(BAND))
        )
        if "wavelengths" in parameters:
            store.bands = Bands(
                wavelengths=parameters["wavelengths"][()].astype(np.float64),
                bad=tuple(np.flatnonzero(good == 0).tolist()),
                reason="good_wavelengths",
            )
        fill = cube.array.attrs.get("_FillValue")
        if fill is not None:
            store.nodata = (float(np.ravel(fill)[0]),) * store.count
        store.crs = crs_of(file.attrs, request.path)
        store.transform = transform_of_text(file.attrs["geotransform"])
    return store


def _is_along_orbit(array: h5py.Dataset) -> bool:
    """Tell whether an array's axes are those of EMIT; the last has no name of its own in some versions."""
    names = [dimension_of(array, number)[0].rpartition("/")[2] for number in range(array.ndim)]
    return array.ndim == 3 and names[:2] == ["downtrack", "crosstrack"]
