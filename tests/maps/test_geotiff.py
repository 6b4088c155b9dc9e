from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from rio_cogeo import cog_validate
from tiny_rasters import CRS, ORIGIN

from m3amba_zoo.errors import InputError
from m3amba_zoo.maps.geotiff import Layout, read_class_map, write_class_map, write_geotiff
from m3amba_zoo.rasters.opening import read_georaster
from m3amba_zoo.scenes.scene import LandClass

CLASSES = (LandClass("Wald", (0, 95, 30)), LandClass("Gewässer", (30, 110, 225)))


def test_a_class_map_carries_colours_names_and_place(tmp_path):
    classes = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    write_class_map(tmp_path / "map.tif", classes, CLASSES, CRS, ORIGIN)
    raster, grid = read_georaster(tmp_path / "map.tif")
    np.testing.assert_array_equal(raster.data[0], classes)
    assert (raster.nodata, grid.crs, grid.transform) == (0, CRS, ORIGIN)
    with rasterio.open(tmp_path / "map.tif") as file:
        assert file.colormap(1)[2] == (30, 110, 225, 255)
        assert file.colormap(1)[0][3] == 0
        assert (file.tags()["CLASS_1"], file.tags()["CLASS_2"]) == ("Wald", "Gewässer")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.tif", "map.tif.aux.xml"]
    names = ElementTree.parse(tmp_path / "map.tif.aux.xml").findall(".//Category")
    assert [name.text for name in names] == ["no data", "Wald", "Gewässer"]


@pytest.mark.parametrize("half", [False, True])
def test_floats_have_names_and_nodata(tmp_path, half):
    values = np.random.default_rng(0).random((2, 3, 4)).astype(np.float32)
    values[:, 0, 0] = np.nan
    values = values.astype(np.float16 if half else np.float32).astype(np.float32)
    layout = Layout(["Wald", "Gew\u00e4sser"], np.nan, CRS, ORIGIN, half=half)
    write_geotiff(tmp_path / "p.tif", values, layout)
    raster, grid = read_georaster(tmp_path / "p.tif")
    np.testing.assert_array_equal(raster.data, values)
    assert raster.bands == ("Wald", "Gew\u00e4sser")
    assert (grid.crs, grid.transform) == (CRS, ORIGIN)


def test_overviews_hold_the_most_frequent_class(tmp_path):
    blocks = np.random.default_rng(0).integers(1, 3, (150, 150)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    blocks[::4, ::4] = 0
    write_class_map(tmp_path / "map.tif", blocks, CLASSES, CRS, ORIGIN)
    with rasterio.open(tmp_path / "map.tif") as file:
        assert file.overviews(1) == [2, 4]
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        small = file.read(1, out_shape=(300, 300))
    np.testing.assert_array_equal(small, blocks[1::4, 1::4])
    assert cog_validate(tmp_path / "map.tif", quiet=True)[0]


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
    with rasterio.open(tmp_path / "map.tif.ovr", "w", "GTiff", 32, 32, 1, dtype="uint8") as file:
        file.write(first[None, ::2, ::2])  # as gdaladdo -ro lays it
    (tmp_path / "map.tif.aux.xml").write_text("<PAMDataset/>")
    (tmp_path / "map.tif.txt").write_text("a note of the user")
    assert (tmp_path / "map.tif.ovr").exists()
    write_class_map(path, second, CLASSES, CRS, ORIGIN)
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(file.read(1, out_shape=(32, 32)), 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.tif", "map.tif.aux.xml", "map.tif.txt"]
    assert "Wald" in (tmp_path / "map.tif.aux.xml").read_text()


def test_a_map_with_other_classes_or_other_numbers_is_refused(tmp_path):
    write_class_map(tmp_path / "map.tif", np.array([[0, 1, 2]], np.uint8), CLASSES)
    assert read_class_map(tmp_path / "map.tif", 2).tolist() == [[0, 1, 2]]
    with pytest.raises(InputError, match=r"map\.tif: has the class 2, expected 1 to 1, or 0 for none"):
        read_class_map(tmp_path / "map.tif", 1)
    write_geotiff(tmp_path / "p.tif", np.ones((1, 2, 2), np.float32), Layout(["p"], np.nan))
    with pytest.raises(InputError, match=r"p\.tif: its pixels are float32"):
        read_class_map(tmp_path / "p.tif", 2)
