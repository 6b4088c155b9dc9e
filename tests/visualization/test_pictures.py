"""What is drawn as one picture: tiles that touch, and the lattice of the scored pixels."""

import numpy as np
import pytest
from rasterio.transform import from_origin

from m3amba_zoo.rasters import Raster
from m3amba_zoo.scenes.scene import LandClass, Scene
from m3amba_zoo.splits import Split
from m3amba_zoo.visualization import pictures as pictures_module
from m3amba_zoo.visualization.pictures import make_pictures

CLASSES = (LandClass("none", (0, 0, 0)), LandClass("landslide", (0, 0, 0)))
SIDE, PIXEL = 8, 10.0
WORLD = np.random.default_rng(0).integers(1, 3, (3 * SIDE, 3 * SIDE)).astype(np.uint8)
# rows and columns of tiles in a grid of tiles: three that join at edges and a corner, and one apart
TILES = {"a": (0, 0), "b": (0, 1), "c": (1, 2), "far": (0, 9)}


def tile(name, row, column, shift=0.0, crs="EPSG:32617"):
    rows, columns = (slice(SIDE * (n % 3), SIDE * (n % 3 + 1)) for n in (row, column))
    labels = WORLD[rows, columns]
    data = labels[None].astype(np.int16) * 100
    data[0, 0, 0] = -1
    place = from_origin(5e5 + (column * SIDE + shift) * PIXEL, 4e6 - row * SIDE * PIXEL, PIXEL, PIXEL)
    return Scene(name, {"dem": Raster(data, nodata=-1)}, labels, CLASSES, crs, place)


def split_of(scenes, step=1):
    test = np.zeros((SIDE, SIDE), bool)
    test[step // 2 :: step, step // 2 :: step] = True
    none = np.zeros_like(test)
    return Split("some", {scene.name: {"train": none, "val": none, "test": test} for scene in scenes})


def pictures_of(scenes, step=1):
    maps = {scene.name: (3 - scene.labels).astype(np.uint8) for scene in scenes}
    return list(make_pictures(scenes, maps, split_of(scenes, step)))


@pytest.fixture(autouse=True)
def many(monkeypatch):
    monkeypatch.setattr(pictures_module, "FEW_SCENES", 1)


@pytest.fixture
def scenes():
    return [tile(name, *place) for name, place in TILES.items()]


@pytest.mark.parametrize("step", [1, 2, 4])
def test_tiles_that_touch_are_one_picture_of_the_scored_pixels(scenes, step):
    first, far = pictures_of(scenes, step)
    assert [[scene.name for scene in picture.scenes] for picture in (first, far)] == [
        ["a", "b", "c"],
        ["far"],
    ]
    covered = np.zeros((2 * SIDE, 3 * SIDE), bool)
    covered[:SIDE, : 2 * SIDE] = covered[SIDE:, 2 * SIDE :] = True
    lattice = np.s_[step // 2 :: step, step // 2 :: step]
    np.testing.assert_array_equal(first.labels, np.where(covered, WORLD[: 2 * SIDE], 0)[lattice])
    np.testing.assert_array_equal(first.class_map, np.where(covered, 3 - WORLD[: 2 * SIDE], 0)[lattice])
    np.testing.assert_array_equal(first.test, covered[lattice])
    assert not first.train.any()
    missing = ~covered
    missing[[0, 0, SIDE], [0, SIDE, 2 * SIDE]] = True  # the tiles' own nodata
    elevation = np.where(missing, np.nan, WORLD[: 2 * SIDE] * 100.0)
    np.testing.assert_array_equal(first.rasters["dem"].data[0], elevation[lattice])
    np.testing.assert_array_equal(first.rasters["dem"].missing()[0], missing[lattice])
    assert far.test.all()


def test_large_pictures_are_thinned_across_tiles(scenes, monkeypatch):
    monkeypatch.setattr(pictures_module, "LONGEST_SIDE", 2 * SIDE)
    first, far = pictures_of(scenes)
    assert first.labels.shape == (SIDE, 3 * SIDE // 2)
    np.testing.assert_array_equal(first.labels[: SIDE // 2, :SIDE], WORLD[:SIDE:2, : 2 * SIDE : 2])
    assert far.labels.shape == (SIDE, SIDE)


def test_tiles_off_the_grid_of_another_crs_or_without_a_place_stay_apart():
    alone = Scene("nowhere", {}, WORLD[:SIDE, :SIDE], CLASSES)
    others = [tile("half", 0, 1, shift=0.5), tile("zone", 0, 1, crs="EPSG:32618"), alone]
    for other in others:
        found = pictures_of([tile("a", 0, 0), other])
        assert [[scene.name for scene in picture.scenes] for picture in found] == [["a"], [other.name]]


def test_few_scenes_are_drawn_one_by_one(scenes, monkeypatch):
    monkeypatch.setattr(pictures_module, "FEW_SCENES", 4)
    assert [[scene.name for scene in picture.scenes] for picture in pictures_of(scenes)] == [
        [n] for n in TILES
    ]
