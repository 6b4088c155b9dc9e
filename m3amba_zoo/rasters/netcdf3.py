"""The order of the axes in classic NetCDF files, of which GDAL does not tell."""

from __future__ import annotations

import contextlib

import scipy.io
from rasterio.io import DatasetReader

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.axes import axis_of
from m3amba_zoo.reading import library_errors


def classic_axes(file: DatasetReader) -> list[str | None]:
    """Return which axis each dimension of a file's array is, see ``axis_of``; empty for other files.

    Args:
        file: opened by GDAL.
    """
    name = file.tags(1).get("NETCDF_VARNAME") if file.driver == "netCDF" and file.count else None
    if name is None:
        return []
    with contextlib.suppress(InputError), library_errors(file.name, "of another version, or no file"):
        with scipy.io.netcdf_file(file.files[0], "r", mmap=True) as opened:
            variables = opened.variables
            attributes = {key: dict(value._attributes) for key, value in variables.items()}
            dimensions = variables[name].dimensions
            del variables
        return [axis_of(dimension, attributes.get(dimension)) for dimension in dimensions]
    return []
