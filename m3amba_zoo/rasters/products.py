"""HDF5 files by what they are: a known product, or an array whose axes are named or stated."""

from __future__ import annotations

import os
import re
from dataclasses import replace

import h5py

from m3amba_zoo.rasters.emit import open_emit
from m3amba_zoo.rasters.hdf5 import UNREADABLE, open_array
from m3amba_zoo.rasters.headers import check_heaps
from m3amba_zoo.rasters.links import check_links
from m3amba_zoo.rasters.prisma import open_prisma
from m3amba_zoo.rasters.request import RasterRequest
from m3amba_zoo.rasters.store import Store
from m3amba_zoo.reading import library_errors

CHUNK_CACHE = 2**26  # bytes per array: rows that are read one after the other share compressed chunks
GDAL_NAME_OF_ARRAY = re.compile(r'(?:HDF5|NETCDF):"?([^"]+?)"?:/*(.+)', re.IGNORECASE)


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
        check_heaps(request.path)
        file = h5py.File(request.path, "r", rdcc_nbytes=CHUNK_CACHE)
    try:
        with library_errors(request.path, UNREADABLE):
            check_links(file)
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
