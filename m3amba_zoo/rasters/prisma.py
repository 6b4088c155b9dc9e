"""PRISMA's level 2D product of the Italian Space Agency (ASI): reflectance on a map grid, in HDF-EOS5.

By the product specification, ``HDFEOS/SWATHS/PRS_L2D_HCO/Data Fields`` has the arrays ``VNIR_Cube`` and
``SWIR_Cube``, stored (rows, bands, columns). Attributes of the file give the bands' centres
(``List_Cw_Vnir``, 0 for a band that is empty), the reflectance of the numbers 0 and 65535
(``L2ScaleVnirMin``, ``L2ScaleVnirMax``), the CRS (``Epsg_Code``) and the corners
(``Product_ULcorner_easting`` and so on).
"""

from __future__ import annotations

from collections.abc import Sequence

import h5py
import numpy as np
from numpy.typing import NDArray
from rasterio.transform import Affine
from rasterio.windows import Window

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.axes import BAND
from m3amba_zoo.rasters.bands import Bands
from m3amba_zoo.rasters.coordinates import text_of
from m3amba_zoo.rasters.crs import horizontal, read_crs
from m3amba_zoo.rasters.hdf5 import Cube, Hdf5Store, arrays_of
from m3amba_zoo.rasters.request import RasterRequest
from m3amba_zoo.rasters.store import Pixels
from m3amba_zoo.reading import library_errors

SWATH = "HDFEOS/SWATHS/PRS_L2D_HCO/Data Fields"
PANCHROMATIC = "HDFEOS/SWATHS/PRS_L2D_PCO/Data Fields"
PIXEL_METRES = {SWATH: 30.0, PANCHROMATIC: 5.0}
CUBES = (f"{SWATH}/VNIR_Cube", f"{SWATH}/SWIR_Cube")
SENSORS = dict(zip((*CUBES, f"{PANCHROMATIC}/Cube"), ("Vnir", "Swir", "Pan"), strict=True))
SAME_SIZE = 0.1
"""Pixels by which the distance of the corners may differ from the image's size: they are rounded."""
HIGHEST = 65535
"""The number that stands for the reflectance ``L2Scale...Max``."""


class PrismaStore(Hdf5Store):
    """Cubes of a product. Pixels that are 0 in all bands lie beside the swath: they are missing."""

    has_mask = True

    def read(self, bands: Sequence[int], window: Window) -> Pixels:
        """Read a window of some bands; all bands are read."""
        values = super().read(range(self.count), window).values
        return Pixels(values[list(bands)], (values == 0).all(axis=0)[None])


def open_prisma(file: h5py.File, request: RasterRequest) -> Hdf5Store | None:
    """Return a store of a product's array, without a key of both cubes; None if the file is no such product.

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
