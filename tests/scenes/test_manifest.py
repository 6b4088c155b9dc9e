import copy
import inspect
import re

import numpy as np
import pytest
import scipy.io
import yaml
from rasterio.transform import from_origin
from source_counts import check_counts
from tiny_rasters import CRS, ORIGIN, pixel_box, write_polygons, write_raster

from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.manifest import Manifest
from m3amba_zoo.scenes.yaml_file import read_yaml

SHAPE = (6, 8)
LABELS = np.zeros(SHAPE, np.uint8)
LABELS[0], LABELS[1], LABELS[2], LABELS[5] = 1, 2, 3, 255
SCENE = {
    "name": "harbour",
    "modalities": {
        "hsi": {"path": "hsi.img", "unit": "reflectance"},
        "lidar": {"path": "heights.mat", "key": "LiDAR"},
    },
    "labels": {"path": "labels.tif", "unlabelled": [0, 255]},
    "classes": [
        {"name": "wheat", "values": [1, 3], "color": [240, 200, 70]},
        {"name": "maize", "values": [2]},
    ],
}


@pytest.fixture
def folder(tmp_path):
    generator = np.random.default_rng(0)
    write_raster(tmp_path / "hsi.img", generator.random((5, *SHAPE), np.float32), driver="ENVI")
    scipy.io.savemat(tmp_path / "heights.mat", {"LiDAR": generator.random((*SHAPE, 2)), "note": "a text"})
    write_raster(tmp_path / "labels.tif", LABELS[None])
    return tmp_path


def build(folder, document) -> Manifest:
    path = folder / "scene.yaml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return SOURCES.build({"type": "manifest", "path": str(path)})


def changed(way: str, value):
    """Return SCENE with one entry replaced, added or (value None) taken out; ``way`` is as in a/b/0."""
    document = copy.deepcopy(SCENE)
    *parents, last = [int(step) if step.isdigit() else step for step in way.split("/")]
    inner = document
    for step in parents:
        inner = inner[step]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return document


def test_envi_matlab_and_labels_make_a_scene(folder):
    source = build(folder, SCENE)
    (scene,) = source.load()
    check_counts(source, [scene])
    np.testing.assert_array_equal(scene.labels, np.array([0, 1, 2, 1] + [0] * 252)[LABELS])
    assert scene.name == "harbour"
    assert [entry.name for entry in scene.classes] == ["wheat", "maize"] == [c.name for c in source.classes]
    assert scene.classes[0].color == (240, 200, 70) != scene.classes[1].color
    assert (scene.crs, scene.transform, scene.official) == (CRS, ORIGIN, None)
    assert {name: raster.data.shape for name, raster in scene.rasters.items()} == {
        "hsi": (5, *SHAPE),
        "lidar": (2, *SHAPE),
    }
    heights = scipy.io.loadmat(folder / "heights.mat")["LiDAR"]
    np.testing.assert_array_equal(scene.rasters["lidar"].data[1], heights[:, :, 1])
    (alone,) = source.load(rasters=False)
    assert (alone.rasters, alone.crs) == ({}, CRS)
    np.testing.assert_array_equal(alone.labels, scene.labels)


def test_the_manifest_overrides_the_file(folder):
    document = copy.deepcopy(SCENE)
    document["modalities"]["hsi"] |= {
        "bands": ["2-3", 0],
        "nodata": -9999,
        "wavelengths": [400, 500, 600, 700, 800.5],
    }
    whole, part = (build(folder, scene).load()[0].rasters["hsi"] for scene in (SCENE, document))
    check_counts(build(folder, document), build(folder, document).load())
    np.testing.assert_array_equal(part.data, whole.data[[2, 3, 0]])
    np.testing.assert_array_equal(part.wavelengths, [600, 700, 400])
    assert (part.nodata, part.unit, whole.nodata) == (-9999, "reflectance", None)


def test_bands_are_counted_in_every_kind_of_matlab_variable(folder):
    cube = np.zeros((*SHAPE, 4))
    scipy.io.savemat(folder / "more.mat", {"flat": cube[..., 0], "nested": {"cube": cube}})
    entries = {key: {"path": "more.mat", "key": key} for key in ("flat", "nested.cube")}
    source = build(folder, SCENE | {"modalities": {**SCENE["modalities"], **entries}})
    assert source.channels() == {"hsi": 5, "lidar": 2, "flat": 1, "nested.cube": 4}
    check_counts(source, source.load())


def test_classes_without_values_count_from_one(folder):
    document = changed("classes", [{"name": name} for name in ("a", "b", "c")])
    np.testing.assert_array_equal(
        build(folder, document).load()[0].labels, np.where(LABELS == 255, 0, LABELS)
    )


def test_masks_make_an_official_split(folder):
    train, test = np.zeros((2, 1, *SHAPE), np.uint8)
    train[0, :, :4], test[0, :, 5:] = 1, 9
    write_raster(folder / "train.tif", train)
    write_raster(folder / "test.tif", test)
    document = SCENE | {"train": {"path": "train.tif"}, "test": {"path": "test.tif"}}
    (scene,) = build(folder, document).load()
    np.testing.assert_array_equal(scene.official["train"], (train[0] > 0) & scene.labelled)
    np.testing.assert_array_equal(scene.official["test"], (test[0] > 0) & scene.labelled)
    write_raster(folder / "test.tif", train)
    with pytest.raises(
        InputError, match=r"12 pixels are in both .*train\.tif and .*test\.tif \(the first at row 0"
    ):
        build(folder, document).load()


def test_train_and_test_may_be_label_rasters(folder):
    train, test = np.zeros((2, 1, *SHAPE), np.uint8)
    train[0, 0], test[0, 1] = 1, 2
    write_raster(folder / "train.tif", train)
    write_raster(folder / "test.tif", test)
    document = SCENE | {"train": {"path": "train.tif"}, "test": {"path": "test.tif"}}
    del document["labels"]
    (scene,) = build(folder, document).load()
    np.testing.assert_array_equal(scene.labels, (train + test)[0])
    np.testing.assert_array_equal(scene.official["test"], test[0] > 0)


def with_polygons(folder, geometries, values, suffix=".gpkg", crs=CRS):
    write_polygons(folder / f"fields{suffix}", geometries, crs, crop=values)
    document = SCENE | {
        "polygons": {"path": f"fields{suffix}", "attribute": "crop", "unlabelled": ["unknown"]}
    }
    document["classes"] = [
        {"name": "wheat", "values": ["wheat", "spelt"]},
        {"name": "maize", "values": ["maize"]},
    ]
    del document["labels"]
    return document


def test_polygons_become_labels(folder):
    boxes = [(0, 0, 3, 3), (2, 0, 3, 3), (1, 2, 2, 3), (0, 6, 2, 2)]
    values = ["wheat", "spelt", "maize", "unknown"]
    document = with_polygons(folder, [pixel_box(*box) for box in boxes], values)
    expected = np.zeros(SHAPE, np.uint8)
    expected[:5, :3], expected[1:3, 2:5] = 1, 2
    expected[1:3, 2] = 0  # wheat and maize overlap; wheat and spelt are one class
    for rasters in (True, False):
        np.testing.assert_array_equal(build(folder, document).load(rasters)[0].labels, expected)


def test_polygons_that_do_not_fit_are_refused(folder):
    box = pixel_box(0, 0, 2, 2)
    with pytest.raises(InputError, match=r"polygons: 'crop' of .*fields\.gpkg has the values 'maise', but"):
        build(folder, with_polygons(folder, [box], ["maise"])).load()
    document = with_polygons(folder, [box], ["maize"])
    write_raster(folder / "hsi.img", np.ones((5, *SHAPE), np.float32), None, None, driver="ENVI")
    with pytest.raises(InputError, match="no raster of the scene is georeferenced"):
        build(folder, document).load()


def test_several_scenes_share_the_classes(folder):
    scene = {key: value for key, value in SCENE.items() if key != "classes"}
    document = {"classes": SCENE["classes"], "scenes": [scene, scene | {"name": "airport"}]}
    scenes = build(folder, document).load()
    assert [entry.name for entry in scenes] == ["harbour", "airport"]
    with pytest.raises(InputError, match="two scenes are named 'harbour'"):
        build(folder, document | {"scenes": [scene, scene]})
    fewer = {"name": "airport", "modalities": {"hsi": {"path": "hsi.img"}}}
    with pytest.raises(
        InputError, match="scene 'airport' has the modalities hsi, scene 'harbour' hsi, lidar"
    ):
        build(folder, document | {"scenes": [scene, scene | fewer]})


@pytest.mark.parametrize(
    ("way", "value", "message"),
    [
        ("modalties", {}, r"scene\.yaml: unknown key 'modalties'; did you mean 'modalities'"),
        ("name", None, r"scene\.yaml: the key 'name' is missing"),
        ("name", 7, "'name' is 7; a text, in quotes, is expected"),
        ("classes", None, "the key 'classes' is missing"),
        ("classes", [], r"'classes' is \[\]; a list is expected"),
        ("classes/0", "wheat", "class 1 is 'wheat'; a mapping with the keys name, color, values"),
        ("classes/0/color", [0, 0, 300], r"class 1: 'color' is \[0, 0, 300\]; a list \[red, green, blue\]"),
        ("classes/1/name", "wheat", "class 2: .*the name 'wheat'"),
        ("classes/1/values", [3], "class 2: .*the value 3"),
        ("classes/1/values", [[3]], "'values' is .*numbers or texts"),
        ("classes/1/values", None, "'values' in some classes and not in others"),
        ("modalities", ["hsi.img"], "'modalities' is .*a mapping from names to files"),
        (
            "modalities/hsi/wavelength",
            [1],
            "modality 'hsi': unknown key 'wavelength'; did you mean 'wavelengths'",
        ),
        ("modalities/hsi/path", None, "modality 'hsi': the key 'path' is missing"),
        ("modalities/hsi/path", "hso.img", "modality 'hsi': 'path' is 'hso.img', but there is no file"),
        ("modalities/hsi/bands", ["7-5"], "'bands' has .*a list of band numbers"),
        ("modalities/hsi/bands", [-1], "'bands' has .*a list of band numbers"),
        ("modalities/hsi/nodata", "none", "'nodata' is 'none'; a number is expected"),
        ("modalities/hsi/alpha", "band", "'alpha' is 'band'; data or mask is expected"),
        ("modalities/hsi/align", "linear", "'align' is 'linear'; bilinear or cubic or nearest or average is"),
        ("modalities/hsi/axes", "row, band", "'axes' is 'row, band'; an order of band, row and column"),
        ("modalities/hsi/paths", ["hsi.img"], "modality 'hsi' has both 'path' and 'paths'"),
        (
            "modalities/hsi",
            {"paths": ["hsi.img", "gone.img"]},
            "'hsi', file 2: 'path' is 'gone.img', but there",
        ),
        ("modalities/hsi", {"paths": [{"path": "hsi.img", "unit": "m"}]}, "file 1: unknown key 'unit'"),
        ("modalities/hsi/path", "labels.tif", r"labels\.tif is both the modality 'hsi' and the labels; two"),
        ("grid", "dsm", "'grid' is 'dsm'; hsi or lidar is expected"),
        ("labels/align", "bilinear", "'align' is 'bilinear'; nearest, as labels are never interpolated, is"),
        ("modalities/hsi/wavelengths", ["red"], "'wavelengths' is .*a list of numbers"),
        ("labels", None, "has no labels; 'labels' or 'polygons' is expected"),
        ("train", {"path": "labels.tif"}, None),
        ("polygons", {"path": "labels.tif", "attribute": "x"}, "both 'labels' and 'polygons'"),
    ],
)
def test_a_wrong_manifest_is_refused_at_once(folder, way, value, message):
    with pytest.raises(InputError, match=message or "has 'train' alone") as caught:
        build(folder, changed(way, value))
    assert "\n" not in str(caught.value)
    assert str(folder / "scene.yaml") in str(caught.value)


@pytest.mark.parametrize(
    ("way", "value", "message"),
    [
        ("modalities/hsi/bands", [5], r"'bands' has 5, but .*hsi\.img has 5 bands; numbers from 0 to 4"),
        ("modalities/hsi/wavelengths", [1, 2], "'wavelengths' has 2 numbers, but .* has 5 bands"),
        ("modalities/hsi/key", "x", r"hsi\.img: has no array 'x', it holds one raster"),
        ("modalities/lidar/key", "lidar", r"heights\.mat: no key 'lidar', the file has 'LiDAR', 'note'"),
        ("modalities/lidar/key", "note", r"heights\.mat: key 'note' holds a text, expected real numbers"),
        (
            "labels/unlabelled",
            [0],
            r"labels\.tif has the value 255 in 8 pixels, but the values of the classes are 1",
        ),
        ("labels/path", "rgb.tif", r"labels: .*rgb\.tif has 3 bands; one is expected"),
        ("labels/path", "small.tif", r"'harbour': .*hsi\.img and .*small\.tif are 6 x 8 and 6 x 7 pixels"),
        (
            "labels/path",
            "elsewhere.tif",
            r"'harbour': .*hsi\.img and .*elsewhere\.tif lie apart by 10 pixels",
        ),
    ],
)
def test_files_that_do_not_fit_are_refused(folder, way, value, message):
    write_raster(folder / "small.tif", LABELS[None, :, :7])
    write_raster(folder / "rgb.tif", np.stack([LABELS] * 3))
    write_raster(folder / "elsewhere.tif", LABELS[None], from_origin(500_010, 4_000_000, 1, 1))
    with pytest.raises(InputError, match=message) as caught:
        build(folder, changed(way, value)).load()
    assert "\n" not in str(caught.value)


def test_rasters_and_labels_on_other_grids_are_aligned_on_request(folder):
    finer = from_origin(499_999, 4_000_001, 0.25, 0.25)
    fine = np.repeat(np.repeat(np.pad(LABELS, 1, constant_values=7), 4, axis=0), 4, axis=1)[None]
    write_raster(folder / "fine.tif", fine.astype(np.float32), finer)
    write_raster(folder / "fine_labels.tif", fine, finer)
    document = changed("modalities/lidar", {"path": "fine.tif"})
    with pytest.raises(InputError, match=r"hsi\.img and .*fine\.tif are .*--align \(align: bilinear"):
        build(folder, document).load()
    source = build(folder, document | {"align": "average"})
    (scene,) = source.load()
    np.testing.assert_array_equal(scene.rasters["lidar"].data[0], LABELS)
    assert source.requests()["hsi"].grid
    assert [request.align for request in source.requests().values()] == ["average", "average"]
    document = changed("labels/path", "fine_labels.tif")
    with pytest.raises(
        InputError, match=r"fine_labels\.tif are .* or align: nearest beside the labels' path"
    ):
        build(folder, document).load()
    document["labels"]["align"] = "nearest"
    for rasters in (True, False):
        (scene,) = build(folder, document).load(rasters)
        np.testing.assert_array_equal(scene.labels, build(folder, SCENE).load()[0].labels)
    # on the grid of the finer raster, which reaches further than the labels and the other raster
    document = changed("modalities/fine", {"path": "fine.tif"}) | {"grid": "fine", "align": "nearest"}
    document["modalities"].pop("lidar")
    document["labels"]["align"] = "nearest"
    (scene,) = build(folder, document).load()
    expected = np.pad(build(folder, SCENE).load()[0].labels, 1).repeat(4, axis=0).repeat(4, axis=1)
    np.testing.assert_array_equal(scene.labels, expected)
    np.testing.assert_array_equal(
        scene.rasters["hsi"].missing()[0],
        np.pad(np.zeros(SHAPE, bool), 1, constant_values=True).repeat(4, 0).repeat(4, 1),
    )
    assert scene.transform == finer


def test_files_are_stacked_with_keys_of_their_own(folder):
    parts = [{"path": "hsi.img", "bands": [2, 0], "scale": 2}, "hsi.img"]
    source = build(folder, changed("modalities/hsi", {"paths": parts, "unit": "dB", "bands": [0, 1, 4]}))
    (scene,) = source.load()
    check_counts(source, [scene])
    whole = build(folder, SCENE).load()[0].rasters["hsi"].data
    np.testing.assert_allclose(scene.rasters["hsi"].data, [2 * whole[2], 2 * whole[0], whole[2]])
    assert scene.rasters["hsi"].unit == "dB"
    coarse = LABELS.reshape(3, 2, 4, 2).mean(axis=(1, 3)).astype(np.float32)[None]
    write_raster(folder / "coarse.tif", coarse, from_origin(500_000, 4_000_000, 2, 2))
    document = changed("modalities/hsi", {"paths": ["coarse.tif", "hsi.img"]}) | {"align": "nearest"}
    source = build(folder, document)
    (scene,) = source.load()
    check_counts(source, [scene])
    np.testing.assert_array_equal(scene.rasters["hsi"].data[0], coarse[0].repeat(2, axis=0).repeat(2, axis=1))


def test_a_file_that_is_not_yaml_is_refused(folder):
    with pytest.raises(InputError, match=r"scene\.yaml, line 2: not YAML"):
        build(folder, "name: a\nname: b: c\n")
    with pytest.raises(InputError, match=r"scene\.yaml is \['a', 'b'\]; a mapping with the keys name"):
        build(folder, "[a, b]")
    with pytest.raises(InputError, match=r"scene\.yaml, line 3: the key 'hsi' stands here a second time"):
        build(folder, "modalities:\n  hsi: {path: a.tif}\n  hsi: {path: b.tif}\n")
    with pytest.raises(InputError, match=r"absent\.yaml: no such file"):
        Manifest(folder / "absent.yaml")


def test_plain_words_of_yaml_are_texts(tmp_path):
    words = ["no", "on", "y", "010", "08", "1:30", "2024-01-01", "1e3", "null value", "0x1F", "1_000"]
    plain = tmp_path / "a.yaml"
    first = ", ".join([*words, "-7", "0", "1.5", "true", "~"])
    plain.write_text(f"a: [{first}]\nb: &b {{x: 1, y: 2}}\nc: {{<<: *b, y: 3}}\n")
    expected = {"a": [*words, -7, 0, 1.5, True, None], "b": {"x": 1, "y": 2}, "c": {"x": 1, "y": 3}}
    assert read_yaml(plain) == expected
    plain.write_text(yaml.safe_dump(expected))  # as new scene writes it
    assert read_yaml(plain) == expected


def test_the_examples_of_the_docstring_are_valid(folder):
    example, polygons = re.findall(r"::\n\n((?: {4}.*\n|\n)+)", inspect.getdoc(Manifest))
    for name in ("train.tif", "test.tif", "fields.gpkg"):
        write_raster(folder / name, LABELS[None], driver="GTiff")
    document = yaml.safe_load(example)
    source = build(folder, document)
    assert [entry.name for entry in source.classes] == ["wheat", "maize"]
    del document["labels"]
    build(folder, document | yaml.safe_load(polygons))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "a0: &a0 [x, x]\n" + "".join(f"a{k}: &a{k} [{f'*a{k - 1}, ' * 9}]\n" for k in range(1, 9)),
            "unfold to",
        ),
        ("a: &a [*a]\n", "unfold to|found undefined alias"),
        ("[" * 5000, "nested too deep"),
        ("a: !!python/object/apply:os.system [true]\n", "could not determine a constructor"),
        ("a: !!int x\n", "not YAML"),
    ],
    ids=["aliases", "itself", "deep", "code", "tag"],
)
def test_hostile_yaml_is_refused_at_once(tmp_path, text, expected):
    (tmp_path / "scene.yaml").write_text(text)
    with pytest.raises(InputError, match=expected) as caught:
        Manifest(tmp_path / "scene.yaml")
    assert len(str(caught.value).splitlines()) == 1
