"""One way to open rasters, files or arrays in memory, for training and for prediction."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.array import (
    ARRAY_FILES,
    ArrayStore,
    LabelledArray,
    order_is_guessed,
    read_array_file,
    read_labelled,
)
from m3amba_zoo.rasters.bands import Bands
from m3amba_zoo.rasters.crs import crs_label, horizontal
from m3amba_zoo.rasters.enmap import image_of_metadata
from m3amba_zoo.rasters.geofile import GeoFile
from m3amba_zoo.rasters.grid import ALIGN_REMEDY, Grid, difference, require_same_grid
from m3amba_zoo.rasters.opened import OpenRaster
from m3amba_zoo.rasters.products import open_hdf5
from m3amba_zoo.rasters.raster import Raster
from m3amba_zoo.rasters.request import GIVEN, RasterRequest, request_of
from m3amba_zoo.rasters.stack import Stack
from m3amba_zoo.rasters.store import Store

logger = logging.getLogger(__name__)
GivenRaster = str | Path | list[str] | list[Path] | RasterRequest | NDArray | Raster | LabelledArray


def open_raster(given: GivenRaster, modality: str = "", expected: int | None = None) -> OpenRaster:
    """Open a file, or several as a stack, or take an array.

    Args:
        given: the file or files, as paths or as a request; or an array: ``(C, H, W)`` or ``(H, W)`` (numpy,
            masked or not), a Raster, or an xarray DataArray with its coordinates.
        modality: its name, for messages on arrays.
        expected: how many bands a model takes, if that is known: it tells whether a band that the file calls
            alpha is data.

    Raises:
        InputError: if the file is absent, damaged or does not fit what is stated of it; or an array has
            another number of axes, or is not of real numbers.
    """
    of_file = isinstance(given, (str, Path))
    asked: Any = RasterRequest(str(given)) if of_file else request_of(given, f"the raster of '{modality}'")
    if isinstance(asked, RasterRequest):
        return _open_stack(asked) if asked.parts else OpenRaster(_open_file(asked), asked, expected)
    name = f"the array of '{modality}'"
    if isinstance(asked, Raster):
        path = asked.path or f"the raster of '{modality}'"
        bands = Bands(asked.bands, asked.wavelengths)
        store, request = (
            ArrayStore(asked.data, asked.mask, bands),
            RasterRequest(path, nodata=asked.nodata, unit=asked.unit),
        )
    elif isinstance(asked, LabelledArray):
        store, request = read_labelled(asked, name), RasterRequest(name)
    else:
        if not (hasattr(asked, "ndim") and hasattr(asked, "shape")):
            raise InputError(f"the raster of '{modality}' is {type(asked).__name__}; {GIVEN} is expected")
        if asked.ndim not in (2, 3):
            raise InputError(f"{name}: has shape {asked.shape}; bands, rows and columns are expected")
        mask, data = np.ma.getmask(asked), np.ma.getdata(asked)
        data = data[None] if data.ndim == 2 else data
        known = None if mask is np.ma.nomask else np.asarray(mask).reshape(data.shape)
        store, request = ArrayStore(data, known), RasterRequest(name)
    if store.dtype.kind not in "biuf":
        raise InputError(f"{request.path}: holds {store.dtype}; real numbers are expected")
    return OpenRaster(store, request)


def _open_file(request: RasterRequest) -> Store:
    """Open a file by what it is: an array that is read whole, a product, or what GDAL opens."""
    if request.path.lower().endswith(ARRAY_FILES):
        array = ArrayStore(read_array_file(request), bands=Bands(remark=order_is_guessed(request)))
        array.files = (request.path,)
        return array
    request = replace(request, path=image_of_metadata(request.path))
    return open_hdf5(request) or GeoFile(request)


def _open_stack(request: RasterRequest) -> OpenRaster:
    """Open files as one raster; what is stated of all holds for those that do not state it themselves."""
    parts: list[OpenRaster] = []
    try:
        for part in request.spread().parts:
            parts.append(open_raster(part))
        return OpenRaster(Stack(parts), replace(request, nodata=None, scale=None, offset=None, alpha=None))
    except BaseException:
        for raster in parts:
            raster.close()
        raise


def log_remarks(opened: Iterable[OpenRaster]) -> None:
    """Log what was left out or guessed when rasters were opened."""
    for raster in opened:
        for remark in raster.remarks:
            logger.warning("%s", remark)


def align_rasters(scene: str, opened: Mapping[str, OpenRaster], reference: str | None = None) -> Grid:
    """Warp rasters that lie on another grid than the reference, as they state (``RasterRequest.align``).

    Args:
        scene: for messages.
        opened: by modality; those on another grid are changed.
        reference: the modality whose grid it is; None takes the one that states ``grid``, else the first.

    Returns:
        The common grid, with a georeference if any of the rasters has one.

    Raises:
        InputError: if there is no such modality; or a raster lies on another grid and does not state how to
            warp it, cannot be compared with the reference, or does not overlap it.
    """
    if reference is not None and reference not in opened:
        raise InputError(f"the grid of '{reference}' is asked for, but the rasters are {', '.join(opened)}")
    stating = [modality for modality, raster in opened.items() if raster.stated.grid]
    first = opened[reference or next(iter(stating or opened))]
    grid = first.grid
    for raster in opened.values():
        if raster is not first and difference(grid, raster.grid):
            if raster.stated.align is None:
                require_same_grid(scene, grid, raster.grid, ALIGN_REMEDY)
            else:
                raster.align(grid, raster.stated.align)
    placed = [raster for raster in (first, *opened.values()) if raster.grid.transform is not None]
    place = placed[0].grid if placed else grid
    known = next((raster for raster in placed if horizontal(raster.grid.crs)), None)
    if known is None:
        return place
    for raster in dict.fromkeys(placed):
        if horizontal(raster.grid.crs) is None:
            raster.remarks.append(
                f"{raster.path}: has no CRS; it is taken to be in {crs_label(known.grid.crs)}, as is "
                f"{known.path}, which has the same coordinates"
            )
    return place if horizontal(place.crs) else place._replace(crs=known.grid.crs)


class GeoRaster(NamedTuple):
    """A raster, and where its pixels lie."""

    raster: Raster
    grid: Grid


def read_georaster(path: str | Path | RasterRequest, unit: str = "") -> GeoRaster:
    """Read the bands of a raster file with all that the file says of them; what is guessed is logged.

    Args:
        path: a file that GDAL opens (for ENVI the data file, not its header), or a request.
        unit: what one unit is, see ``Raster``; the file seldom tells.

    Returns:
        The raster ``(C, H, W)``, in the file's dtype or, if scaled, float32; its grid.

    Raises:
        InputError: if the file is absent, not a raster, cut short or damaged, or holds complex numbers.
    """
    if not isinstance(path, RasterRequest):  # of a published product, whose bands are all known as data
        path = RasterRequest(str(path), unit=unit, alpha="data")
    with open_raster(path) as opened:
        log_remarks([opened])
        return GeoRaster(opened.read(), opened.grid)


def read_grid(path: str | Path | RasterRequest) -> Grid:
    """Read where a raster file's pixels lie, without its pixels.

    Raises:
        InputError: if the file is absent, not a raster, or cut short.
    """
    with open_raster(path) as opened:
        return opened.grid
