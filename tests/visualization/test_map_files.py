import numpy as np
import pytest
import rasterio
from tiny_rasters import CRS, ORIGIN

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.georaster import read_georaster
from m3amba_zoo.scenes.scene import LandClass
from m3amba_zoo.visualization.map_files import write_class_map, write_probabilities

CLASSES = (LandClass("Wald", (0, 95, 30)), LandClass("Gewässer", (30, 110, 225)))


def test_a_class_map_carries_colours_names_and_place(tmp_path):
    classes = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    write_class_map(tmp_path / "map.tif", classes, CLASSES, CRS, ORIGIN)
    raster, crs, transform = read_georaster(tmp_path / "map.tif")
    np.testing.assert_array_equal(raster.data[0], classes)
    assert (raster.nodata, crs, transform) == (0, CRS, ORIGIN)
    with rasterio.open(tmp_path / "map.tif") as file:
        assert file.colormap(1)[2] == (30, 110, 225, 255)
        assert file.colormap(1)[0][3] == 0
        assert (file.tags()["CLASS_1"], file.tags()["CLASS_2"]) == ("Wald", "Gewässer")
    assert [path.name for path in tmp_path.iterdir()] == ["map.tif"]


def test_probabilities_have_one_band_per_class(tmp_path):
    probabilities = np.random.default_rng(0).random((2, 3, 4))
    probabilities[:, 0, 0] = np.nan
    write_probabilities(tmp_path / "p.tif", probabilities, CLASSES)
    raster, crs, transform = read_georaster(tmp_path / "p.tif")
    np.testing.assert_array_equal(raster.data, probabilities.astype(np.float32))
    assert raster.bands == ("Wald", "Gewässer")
    np.testing.assert_array_equal(raster.missing(), np.isnan(probabilities))
    assert (crs, transform) == (None, None)


def test_a_map_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "map.tif", tmp_path / "absent" / "map.tif"):
        with pytest.raises(InputError, match=r"map\.tif: cannot be written"):
            write_class_map(path, np.ones((2, 2), np.uint8), CLASSES)


def test_a_full_disk_keeps_the_old_map(tmp_path):
    path = tmp_path / "map.tif"
    path.write_text("old")
    noise = np.random.default_rng(0).integers(0, 3, (200, 200)).astype(np.uint8)
    resource = pytest.importorskip("resource", reason="limits of file size are a Unix matter")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))  # a write beyond fails, as on a full disk
    try:
        with pytest.raises(InputError, match=r"map\.tif: cannot be written"):
            write_class_map(path, noise, CLASSES)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_of_an_earlier_map_stays_beside_the_new_one(tmp_path):
    path = tmp_path / "map.tif"
    first, second = np.full((64, 64), 1, np.uint8), np.full((64, 64), 2, np.uint8)
    write_class_map(path, first, CLASSES, CRS, ORIGIN)
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(path, "r+") as file:
        file.build_overviews([2], rasterio.enums.Resampling.nearest)
    (tmp_path / "map.tif.aux.xml").write_text("<PAMDataset/>")
    (tmp_path / "map.tif.txt").write_text("a note of the user")
    assert (tmp_path / "map.tif.ovr").exists()
    write_class_map(path, second, CLASSES, CRS, ORIGIN)
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(file.read(1, out_shape=(32, 32)), 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.tif", "map.tif.txt"]
