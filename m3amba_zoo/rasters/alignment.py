"""Rasters of one scene brought to one grid, that of the reference."""

from __future__ import annotations

from collections.abc import Mapping

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.crs import crs_label, horizontal
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
