"""Rasters read by rows: what of a file GDAL may keep."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from m3amba_zoo.inference import raster_rows
from m3amba_zoo.inference.raster_rows import RasterRows, block_cache


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
    raster = RasterRows("hsi", path)
    assert raster.cached_bytes(8) == rows_kept * columns_kept * 30 * 2
    assert RasterRows("hsi", np.zeros((30, 100, 40))).cached_bytes(8) == 0
    raster.close()


def test_the_cache_leaves_most_of_the_memory_free(tmp_path, monkeypatch):
    profile = {"transform": from_origin(0, 0, 2, 2), "count": 300, "height": 64, "width": 512}
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", dtype="int16", **profile) as file:
        file.write(np.zeros((300, 64, 512), np.int16))
    raster = RasterRows("hsi", tmp_path / "a.tif")
    for free, expected in ((None, raster.cached_bytes(32)), (2**23, 2**21), (1, raster_rows.SMALLEST_CACHE)):
        monkeypatch.setattr(raster_rows, "available_bytes", lambda free=free: free)
        assert block_cache([raster], 32).options["GDAL_CACHEMAX"] == expected
    raster.close()
