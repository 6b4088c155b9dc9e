"""EMIT's level 2A product: reflectance along the orbit, put on its map grid by the table that it holds.

By the user guide of NASA's product (EMITL2ARFL), the NetCDF file has ``reflectance`` (downtrack, crosstrack,
bands); ``sensor_band_parameters`` with ``wavelengths`` in nm and ``good_wavelengths``, 0 where water vapour
absorbs; and ``location`` with the table ``glt_x``, ``glt_y`` (ortho_y, ortho_x): for each pixel of the map
grid the column and row of the nearest measurement, counted from 1, and 0 where there is none. The file's
attributes ``geotransform`` and ``spatial_ref`` place the map grid.
"""

from __future__ import annotations

from collections.abc import Sequence

import h5py
import numpy as np
from rasterio.windows import Window

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.axes import BAND
from m3amba_zoo.rasters.bands import Bands
from m3amba_zoo.rasters.coordinates import crs_of, transform_of_text
from m3amba_zoo.rasters.hdf5 import UNREADABLE, Cube, arrays_of
from m3amba_zoo.rasters.request import RasterRequest
from m3amba_zoo.rasters.store import Pixels, Store
from m3amba_zoo.reading import library_errors

PARAMETERS, TABLE = "sensor_band_parameters", ("location/glt_x", "location/glt_y")
MEASURED = 2**26
"""Values measured along the orbit that are read at once: rows of the map cross many rows of the orbit."""


class EmitStore(Store):
    """An array of the product on its map grid. Pixels without a measurement are missing."""

    has_mask = True

    def __init__(self, file: h5py.File, path: str, cube: Cube) -> None:
        self._file, self._path, self._cube = file, path, cube
        self._columns, self._rows = (file[name] for name in TABLE)
        super().__init__(cube.size(BAND), self._rows.shape, cube.array.dtype)
        self.piece = cube.piece

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
                    measured = self._cube.read(bands[part], slice(top, bottom), slice(left, right))
                    values[part, known] = measured[:, rows - top, columns - left]
        return Pixels(values, ~known[None])

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def open_emit(file: h5py.File, request: RasterRequest) -> EmitStore | None:
    """Return a store of the product's array, without a key of the only one with bands; None for other files.

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
    names = [axis[0].name.rpartition("/")[2] if len(axis) else axis.label for axis in array.dims]
    return array.ndim == 3 and names[:2] == ["downtrack", "crosstrack"]
