"""Rasters are read once before they are classified: better now than after an hour."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from m3amba_zoo.maps.lacking import Lacking
from m3amba_zoo.rasters.opening import OpenRaster

BYTES_AT_ONCE = 2**26


def survey(rasters: Mapping[str, OpenRaster]) -> Lacking:
    """Check the values of rasters on one grid, and count the pixels that some of them show and others do not.

    Rasters of whole numbers that cannot lack a value are not read.

    Args:
        rasters: by modality.

    Raises:
        InputError: if a value is infinite, or a file is damaged.
    """
    height, width = next(iter(rasters.values())).grid.shape
    read = {modality: raster for modality, raster in rasters.items() if raster.may_lack_values}
    headers = [raster.header.data for raster in read.values()]
    of_row = width * sum(len(header) * header.dtype.itemsize for header in headers)
    at_once = max(1, BYTES_AT_ONCE // max(of_row, 1))
    without, unseen = dict.fromkeys(rasters, 0), 0
    for top in range(0, height if read else 0, at_once):
        missing = {}
        for modality, raster in read.items():
            rows = raster.read(top, min(top + at_once, height))
            rows.check_finite(modality, top)
            missing[modality] = rows.missing().all(axis=0)
        # a raster that is not read shows every pixel
        nowhere = np.logical_and.reduce(list(missing.values())) & (len(read) == len(rasters))
        unseen += int(nowhere.sum())
        for modality, absent in missing.items():
            without[modality] += int((absent & ~nowhere).sum())
    return Lacking(height * width - unseen, without)
