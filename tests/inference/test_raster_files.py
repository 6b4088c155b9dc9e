"""Rasters read by rows: what of a file GDAL may keep."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from m3amba_zoo.inference import raster_files
from m3amba_zoo.inference.raster_files import RasterRows, block_cache
from m3amba_zoo.rasters.opening import open_raster


@pytest.mark.parametrize(
    ("options", "rows_kept", "columns_kept"),
    [({"blockysize": 4}, 12, 40), ({"tiled": True, "blockxsize": 16, "blockysize": 32}, 64, 48)],
    ids=["strips", "tiles"],
)
def test_the_cache_holds_the_blocks_that_a_row_of_windows_touches(options, rows_kept, columns_kept, tmp_path):
    path = tmp_path / "a.tif"
    profile = {
        "transform": from_origin(0, 0, 2, 2),
        "count": 30,
        "height": 100,
        "width": 40,
        "dtype": "int16",
        **options,
    }
    with rasterio.open(path, "w", driver="GTiff", **profile) as file:
        file.write(np.zeros((30, 100, 40), np.int16))
    with open_raster(path) as raster:
        assert raster.block_bytes(8) == rows_kept * columns_kept * 30 * 2
    assert open_raster(np.zeros((30, 100, 40)), "hsi").block_bytes(8) == 0


@pytest.mark.parametrize(
    ("bands", "expected"),
    [(300, 300 * 64 * 512 * 2), (1, raster_files.SMALLEST_CACHE), (9000, raster_files.LARGEST_CACHE)],
)
def test_the_cache_has_a_least_and_a_largest_size(bands, expected, tmp_path):
    profile = {"transform": from_origin(0, 0, 2, 2), "height": 64, "width": 512, "sparse_ok": True}
    path = tmp_path / "a.tif"
    with rasterio.open(path, "w", driver="GTiff", count=bands, dtype="int16", **profile):
        pass
    with open_raster(path) as raster:
        rows = RasterRows("hsi", raster)
        assert block_cache([rows], 64).options["GDAL_CACHEMAX"] == expected
