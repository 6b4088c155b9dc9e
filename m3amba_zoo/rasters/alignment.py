"""Rasters of one scene brought to one grid, that of the reference."""

from __future__ import annotations

from collections.abc import Mapping

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.grid import ALIGN_REMEDY, Grid, difference, require_same_grid
from m3amba_zoo.rasters.opened import OpenRaster


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
    placed = [grid, *(raster.grid for raster in opened.values() if raster.grid.transform is not None)]
    return next((place for place in placed if place.transform is not None), grid)
