"""Maps: what the panels show, and the files."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import rasterio
from matplotlib.image import imread
from rasterio.transform import from_origin

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters import Raster
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.splits import Split, build_split
from m3amba_zoo.visualization import maps as maps_module
from m3amba_zoo.visualization.maps import (
    CORRECT,
    WRONG,
    composite,
    file_names,
    map_figure,
    write_class_maps,
    write_map_figure,
)


@pytest.fixture
def run():
    """Scenes, class maps that are right but for one test row, and their split."""
    scenes = SOURCES.build({"type": "tiny"}).load()
    maps = {scene.name: np.maximum(scene.labels, 1).astype(np.uint8) for scene in scenes}
    for class_map in maps.values():
        class_map[-1] = class_map[-1] % 3 + 1
    return scenes, maps, build_split({"type": "official"}, scenes)


def panels(figure, scene=0):
    """Return the pictures of a scene in order: rasters, training labels, test labels, prediction, errors."""
    count = 6
    return [axes.images[0].get_array() for axes in figure.axes[scene * count : (scene + 1) * count]]


def test_panels_show_labels_predictions_and_errors_in_the_tables_colours(run):
    scenes, maps, split = run
    figure = map_figure(scenes, maps, split)
    assert len(figure.axes) == 3 * 6
    colors = np.array([scene_class.color for scene_class in scenes[0].classes])
    for index, scene in enumerate(scenes):
        _, _, train, test, predicted, errors = panels(figure, index)
        np.testing.assert_array_equal(predicted[..., :3], colors[maps[scene.name] - 1])
        for part, shown in (("train", train), ("test", test)):
            mask = split.masks[scene.name][part]
            np.testing.assert_array_equal(shown[..., 3] == 255, mask)
            np.testing.assert_array_equal(shown[mask][:, :3], colors[scene.labels[mask] - 1])
        assert (errors[-1, :, :3] == WRONG).all()
        assert (errors[-2, :, :3] == CORRECT).all()
        assert (errors[: scene.shape[0] // 2, :, 3] == 0).all()
    texts = " ".join(text.get_text() for text in figure.texts)
    assert "tiny2 · OA 0.875" in texts  # one of eight test rows is wrong
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[:3] == ["water", "trees", "roofs"]


def test_scenes_without_test_pixels_are_left_out_and_of_many_the_first_are_drawn(run, monkeypatch):
    scenes, maps, split = run
    none = np.zeros(scenes[0].shape, bool)
    untested = {**split.masks, "tiny1": {**split.masks["tiny1"], "test": none}}
    figure = map_figure(scenes, maps, Split("some", untested))
    assert "tiny1" not in " ".join(text.get_text() for text in figure.texts)

    monkeypatch.setattr(maps_module, "MOST_STRIPS", 10)
    many = [replace(scenes[0], name=f"plot{index}") for index in range(11)]
    figure = map_figure(
        many,
        {scene.name: maps["tiny0"] for scene in many},
        Split("many", {scene.name: split.masks["tiny0"] for scene in many}),
    )
    assert len(figure.axes) == 10 * 6
    assert "the first 10 of 11 test scenes" in figure.texts[-1].get_text()
    width, height = figure.get_size_inches()
    assert 0.5 < width / height < 2


def test_a_placed_scene_has_scale_bar_north_coordinates_and_the_models_name(run):
    scenes, maps, split = run

    def texts(placed):
        return [text.get_text() for text in map_figure(placed, maps, split, model="m3amba_x").texts]

    assert "N" not in texts(scenes)
    place = from_origin(500_000, 4_000_000, 2, 2)
    placed = [replace(scene, crs="EPSG:32617", transform=place) for scene in scenes]
    found = texts(placed)
    assert {"N", "10 m"} <= set(found)  # 21 pixels of 2 m, of which at most a third
    assert any(text.startswith("m3amba_x · ") for text in found)
    assert "EPSG:32617: x 500000 to 500042, y 3999960 to 4000000" in texts(placed[:1])
    coarse = replace(placed[0], transform=from_origin(0, 0, 5, 5))
    assert not any(text.endswith(" m") for text in texts([coarse, *placed[1:]])), "no bar holds for both"


def test_headings_say_that_the_data_is_simulated(run):
    for simulated in (True, False):
        said = [text.get_text() for text in map_figure(*run, simulated).texts]
        assert sum("(simulated data)" in text for text in said) == (3 if simulated else 0)


def test_wide_scenes_are_stacked(run):
    scene = SOURCES.build({"type": "tiny", "height": 20, "width": 110, "scenes": 1}).load()[0]
    split = build_split({"type": "official"}, [scene])
    figure = map_figure([scene], {scene.name: scene.labels}, split)
    boxes = [axes.get_position() for axes in figure.axes]
    assert len({round(box.x0, 6) for box in boxes}) == 1
    assert all(above.y0 > below.y1 for above, below in pairwise(boxes))


def test_files_are_written_with_the_georeference(run, tmp_path):
    scenes, maps, split = run
    place = from_origin(500_000, 4_000_000, 2, 2)
    scenes[1] = replace(scenes[1], name="with/slash", crs="EPSG:32617", transform=place)
    maps["with/slash"] = maps.pop("tiny1")
    split = Split("renamed", {**split.masks, "with/slash": split.masks["tiny1"]})
    written = [write_map_figure(tmp_path, scenes, maps, split), *write_class_maps(tmp_path, scenes, maps)]
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        "map.png",
        "maps/tiny0.tif",
        "maps/with_slash.tif",
        "maps/tiny2.tif",
    ]
    beside = [path.with_name(f"{path.name}.aux.xml") for path in written[1:]]  # the classes' names
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted([*written, *beside])
    assert imread(written[0]).shape[2] in (3, 4)
    with rasterio.open(written[2]) as file:
        np.testing.assert_array_equal(file.read(1), maps["with/slash"])
        assert file.transform == place
        assert file.crs == "EPSG:32617"


def test_a_folder_that_cannot_be_written_is_named(run, tmp_path):
    (tmp_path / "work").write_text("a file")
    with pytest.raises(InputError, match="work/maps: cannot be written"):
        write_class_maps(tmp_path / "work", *run[:2])


def ramp(count, **options):
    """A raster whose band k grows along the columns from k on."""
    data = np.arange(count)[:, None, None] + np.arange(12.0)[None, None, :] * np.ones((1, 10, 1))
    return Raster(data, **options)


@pytest.mark.parametrize(
    ("modality", "raster", "shows"),
    [
        ("hsi", ramp(5, wavelengths=np.array([500.0, 565, 655, 850, 1000])), "850, 655, 565 nm"),
        ("swir", ramp(6, wavelengths=np.linspace(1000, 2500, 6)), "2500, 1900, 1300 nm"),
        ("s2", ramp(5, bands=("B02", "B03", "B04", "B08", "B8A")), "B08, B04, B03"),
        ("rgb", ramp(3), "band 0, band 1, band 2"),
        ("opt", ramp(4, bands=("gray", "blue", "green", "red")), "red, green, blue"),
        ("lidar", ramp(1, unit="m"), "m"),
        ("lidar", ramp(2, bands=("elevation", "intensity"), unit="m"), "elevation, m"),
        ("s1", ramp(2, bands=("VV", "VH"), unit="dB"), "VV, VH, VV/VH, dB"),
    ],
)
def test_composites_choose_their_bands(modality, raster, shows):
    picture = composite(modality, raster)
    assert picture.shows == shows
    assert picture.image.shape == (10, 12, 4)
    assert (np.diff(picture.image[0, :, 0].astype(int)) >= 0).all()
    assert picture.image[0, 0, 0] == 0
    assert picture.image[0, -1, 0] == 255


def test_radar_intensities_are_shown_in_decibels_and_signed_bands_are_not_intensities():
    power = 10.0 ** np.linspace(-3, 0, 40).reshape(4, 10)
    raster = Raster(np.stack([power - 0.5, power, power]))
    linear = composite("sar", raster)
    assert linear.shows == "band 1, band 2, band 1/band 2, dB"
    steps = np.diff(linear.image[..., 0].ravel().astype(int))
    assert steps[2:-2].max() - steps[2:-2].min() <= 1, "even steps in dB are even steps in brightness"


def test_missing_pixels_are_transparent_and_do_not_stretch_the_picture():
    raster = ramp(3, nodata=-9999)
    raster.data[1, 2, 3] = -9999
    image = composite("hsi", raster).image
    assert image[2, 3, 3] == 0
    assert (image[..., 3] == 255).sum() == image[..., 3].size - 1
    assert image[0, :, 1].tolist() == composite("hsi", ramp(3)).image[0, :, 1].tolist()
    empty = Raster(np.full((1, 4, 4), -9999.0), nodata=-9999)
    assert (composite("lidar", empty).image[..., 3] == 0).all()


def test_every_scene_has_a_file_of_its_own():
    found = file_names(["a/b", "a_b", "A b", "c"])
    assert found == {"a/b": "a_b", "a_b": "a_b_2", "A b": "A_b_3", "c": "c"}
