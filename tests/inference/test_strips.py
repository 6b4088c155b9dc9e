"""Rows classified strip by strip: what of a file GDAL may keep, and that it matters not where one begins."""

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

from m3amba_zoo.inference import strips
from m3amba_zoo.inference.strips import RowClassifier, block_cache
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
    [(300, 300 * 64 * 512 * 4), (1, strips.SMALLEST_CACHE), (4900, strips.LARGEST_CACHE)],
)
def test_the_cache_has_a_least_and_a_largest_size(bands, expected, tmp_path):
    profile = {"transform": from_origin(0, 0, 2, 2), "height": 64, "width": 512, "sparse_ok": True}
    path = tmp_path / "a.tif"
    with rasterio.open(path, "w", driver="GTiff", count=bands, dtype="int32", **profile):
        pass
    with open_raster(path) as raster:
        assert block_cache([raster], 64).options["GDAL_CACHEMAX"] == expected


class Sum:
    """A model whose logits depend on the whole window, and a little on how many windows a batch has."""

    margin, num_classes, in_channels = 0, 3, ("hsi",)

    def parameters(self):
        return iter(())

    def test_step(self, data):
        x = data["inputs"]["hsi"].nan_to_num()
        mean = x.mean((1, 2, 3), keepdim=True) + 1e-3 * len(x)
        return torch.cat([x[:, :1], mean.expand(-1, 1, 8, 8), x[:, 1:2] * mean], dim=1)


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("shape", [(37, 30), (5, 30), (30, 6)])
def test_rows_are_the_same_wherever_classification_begins_and_ends(overlap, shape):
    data = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    data[:, 3:5, 2:9] = np.nan
    sar = np.ones((1, *shape), np.float32)
    sar[:, 1:5, 1:4] = np.nan
    rasters, needed = {"hsi": open_raster(data, "hsi")}, {"sar": open_raster(sar, "sar")}
    classifier = RowClassifier(Sum(), rasters, 8, overlap, batch_size=3, needed=needed)

    def classify(*rows):
        strips = list(classifier.classify(*rows))
        assert [strip.top for strip in strips[1:]] == [s.top + len(s.class_map) for s in strips[:-1]]
        assert strips[0].top == rows[0]
        return [np.concatenate([getattr(s, of) for s in strips], -2) for of in ("class_map", "logits")]

    whole = classify(0, shape[0])
    np.testing.assert_array_equal(whole[0] == 0, np.isnan(data).all(0) | np.isnan(sar[0]))
    for first in range(0, shape[0], 3):
        for last in range(first + 1, shape[0] + 1, 4):
            for part, expected in zip(classify(first, last), whole, strict=True):
                np.testing.assert_array_equal(part, expected[..., first:last, :])
