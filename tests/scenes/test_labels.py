"""Labels of a user's scene: vector files, ENVI's regions of interest, and label rasters."""

import json

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
import yaml
from rasterio.transform import from_origin
from rasterio.warp import transform as warp
from tiny_rasters import CRS, ORIGIN, pixel_box, write_polygons, write_raster

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.opening import read_grid
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.label_request import describe_labels

SHAPE = (12, 16)
WHEAT, MAIZE = pixel_box(1, 2, 3, 4), pixel_box(6, 9, 4, 5)
EXPECTED = np.zeros(SHAPE, np.uint8)
EXPECTED[1:4, 2:6], EXPECTED[6:10, 9:14] = 1, 2
ROI = """; ENVI Output of ROIs (4.8) [Mon Mar 25 15:29:43 2013]
; Number of ROIs: 2
; File Dimension: 16 x 12
;
; ROI name: wheat
; ROI rgb value: {0, 205, 0}
; ROI npts: 3
;
; ROI name: maize
; ROI rgb value: {255, 0, 0}
; ROI npts: 2
;   ID      Map X      Map Y      X      Y     B1
     1  500000.50  3999999.50      1      1    7.5
     2  500001.50  3999999.50      2      1    7.5
     3  500015.50  3999988.50     16     12    7.5

     1  500004.50  3999994.50      5      6    7.5
     2  500004.50  3999993.50      5      7    7.5
"""


@pytest.fixture
def folder(tmp_path):
    write_raster(tmp_path / "hsi.tif", np.ones((2, *SHAPE), np.float32))
    return tmp_path


def load(folder, raster="hsi.tif", classes=("wheat", "maize"), **labels):
    """Return the label map of a scene with one raster; ``labels`` are the manifest's entries of labels."""
    named = [entry if isinstance(entry, dict) else {"name": entry} for entry in classes]
    document = {"name": "a", "modalities": {"hsi": {"path": raster}}, "classes": named, **labels}
    (folder / "scene.yaml").write_text(yaml.safe_dump(document))
    return SOURCES.build({"type": "manifest", "path": str(folder / "scene.yaml")}).load()[0].labels


def draw(
    folder, geometries, values=("wheat", "maize"), crs=CRS, file="fields.gpkg", raster="hsi.tif", **keys
):
    """Write shapes and return the label map that they make; ``keys`` go into the manifest."""
    write_polygons(folder / file, geometries, crs, crop=list(values))
    return load(folder, raster, polygons={"path": file, "attribute": "crop", **keys})


def in_degrees(geometry):
    return shapely.transform(geometry, lambda xy: np.column_stack(warp(CRS, "EPSG:4326", xy[:, 0], xy[:, 1])))


@pytest.mark.parametrize(
    ("file", "driver", "attribute", "crs"),
    [
        ("fields.gpkg", "GPKG", "crop", CRS),
        ("fields.shp", "ESRI Shapefile", "crop", CRS),
        ("fields.fgb", "FlatGeobuf", "crop", CRS),
        ("fields.gdb", "OpenFileGDB", "crop", CRS),
        ("fields.geojson", "GeoJSON", "crop", "EPSG:4326"),
        ("fields.kml", "LIBKML", "Name", "EPSG:4326"),
    ],
)
def test_vector_formats_give_the_same_labels(folder, file, driver, attribute, crs):
    if driver not in pyogrio.list_drivers():
        pytest.skip(f"this pyogrio has no {driver}")
    shapes = [WHEAT, MAIZE] if crs == CRS else [in_degrees(WHEAT), in_degrees(MAIZE)]
    write_polygons(folder / file, shapes, crs, driver=driver, **{attribute: ["wheat", "maize"]})
    for key in ("polygons", "labels"):
        np.testing.assert_array_equal(load(folder, **{key: {"path": file, "attribute": attribute}}), EXPECTED)


def test_one_of_several_layers_must_be_named(folder):
    for layer, shapes in (("spring", [MAIZE, WHEAT]), ("summer", [WHEAT, MAIZE])):
        write_polygons(folder / "a.gpkg", shapes, CRS, layer=layer, crop=["wheat", "maize"])
    entry = {"path": "a.gpkg", "attribute": "crop"}
    with pytest.raises(
        InputError, match=r"a\.gpkg has 2 layers \(spring, summer\); the key 'layer' must name one"
    ):
        load(folder, polygons=entry)
    with pytest.raises(InputError, match=r"no layer 'sumer'; did you mean 'summer'\?"):
        load(folder, polygons=entry | {"layer": "sumer"})
    np.testing.assert_array_equal(load(folder, polygons=entry | {"layer": "summer"}), EXPECTED)


def test_a_missing_attribute_is_proposed(folder):
    write_polygons(folder / "a.gpkg", [WHEAT, MAIZE], CRS, crop=["wheat", "maize"], area=[12, 20])
    with pytest.raises(
        InputError, match=r"'attribute' is missing.* 'crop' \(2 values: 'wheat', 'maize'\), 'ar"
    ):
        load(folder, labels={"path": "a.gpkg"})
    with pytest.raises(InputError, match=r"a\.gpkg: no attribute 'CROP'; did you mean 'crop'"):
        load(folder, labels={"path": "a.gpkg", "attribute": "CROP"})


def test_polygons_without_a_pixel_centre_are_counted(folder, caplog):
    small = [shapely.box(x + 0.1, 3_999_990.1, x + 0.4, 3_999_990.4) for x in (500_001, 500_003, 500_005)]
    hidden = pixel_box(1, 2, 1, 1)  # lies under another polygon of its class, but holds a centre
    shapes, values = [hidden, WHEAT, *small], ["wheat", "wheat", *["maize"] * 3]
    labels = draw(folder, shapes, values)
    assert (np.count_nonzero(labels == 1), np.count_nonzero(labels == 2)) == (12, 0)
    (message,) = caplog.messages
    assert "3 of 5 polygons of" in message
    assert "hold no pixel centre (3 of 'maize')" in message
    assert "nothing is left of 'maize'; `touched: true`" in message
    caplog.clear()
    assert np.count_nonzero(draw(folder, shapes, values, touched=True) == 2) == 3
    assert not caplog.messages


def test_polygons_elsewhere_are_counted(folder, caplog):
    cameroon = shapely.box(9, 0.2, 9.1, 0.3)  # outside of the projection's domain
    turin = shapely.box(7.6, 45, 7.7, 45.1)
    shapes = [in_degrees(WHEAT), in_degrees(MAIZE), cameroon, turin]
    labels = draw(folder, shapes, ["wheat", "maize", "maize", "wheat"], "EPSG:4326", "a.geojson")
    np.testing.assert_array_equal(labels, EXPECTED)
    (message,) = caplog.messages
    assert "2 of 4 polygons of" in message
    assert "lie off the raster (1 of 'maize', 1 of 'wheat'): they span x 61" in message
    assert "hsi.tif x 500000 to 500016, y 3999988 to 4000000, both in EPSG:32617" in message


def test_a_polygon_of_half_the_earth_covers_the_raster(folder):
    half = shapely.box(-179.9, -89.9, 0, 89.9)
    labels = draw(folder, [half, in_degrees(MAIZE)], ["wheat", "maize"], "EPSG:4326", "a.geojson")
    np.testing.assert_array_equal(labels, np.where(EXPECTED == 2, 0, 1))  # both classes: unlabelled


def geojson(folder, geometries, **members):
    """Write GeoJSON as a hand or a script does."""
    features = [
        {"type": "Feature", "properties": {"crop": crop}, "geometry": json.loads(shapely.to_geojson(shape))}
        for crop, shape in zip(("wheat", "maize"), geometries, strict=True)
    ]
    document = {"type": "FeatureCollection", **members, "features": features}
    (folder / "a.geojson").write_text(json.dumps(document))
    return {"path": "a.geojson", "attribute": "crop"}


def test_a_wrong_crs_is_refused_with_the_right_one(folder):
    metres = geojson(folder, [WHEAT, MAIZE])
    with pytest.raises(
        InputError,
        match=r"x 500002 to 500014, .*, are no degrees, but its CRS is EPSG:4326 \(what GeoJSON means.*"
        r"taken as EPSG:32617, 2 of 2 lie on it.*`crs: EPSG:32617`",
    ):
        load(folder, polygons=metres)
    np.testing.assert_array_equal(load(folder, polygons=metres | {"crs": CRS}), EXPECTED)
    with pytest.raises(InputError, match=r"'crs' is 'utm 17'; a CRS such as EPSG:32617 is expected"):
        load(folder, polygons=metres | {"crs": "utm 17"})

    exchanged = [shapely.transform(in_degrees(shape), lambda xy: xy[:, ::-1]) for shape in (WHEAT, MAIZE)]
    with pytest.raises(
        InputError, match=r"2 of 2 polygons lie off .* latitude and longitude seem to be exch"
    ):
        load(folder, polygons=geojson(folder, exchanged))
    with pytest.raises(
        InputError, match=r"2 of 2 polygons lie off the raster: they span x .*, both in EPSG:3"
    ):
        load(folder, polygons=geojson(folder, [shapely.box(7, 45, 8, 46)] * 2))


def test_a_missing_crs_is_said(folder, caplog):
    write_raster(folder / "bare.tif", np.ones((1, *SHAPE), np.float32), crs=None)
    with pytest.raises(
        InputError, match=r"\(EPSG:4326 and no CRS\); the raster has no CRS: --raster-crs EPSG"
    ):
        draw(folder, [in_degrees(WHEAT), in_degrees(MAIZE)], crs="EPSG:4326", raster="bare.tif")
    np.testing.assert_array_equal(draw(folder, [WHEAT, MAIZE], raster="bare.tif"), EXPECTED)
    assert "bare.tif has no CRS: its coordinates are taken to be in EPSG:32617" in caplog.text


def test_heights_in_a_crs_do_not_matter(folder, caplog):
    write_raster(folder / "compound.tif", np.ones((1, *SHAPE), np.float32), crs="EPSG:32617+5703")
    for shapes, crs in (([WHEAT, MAIZE], CRS), ([in_degrees(WHEAT), in_degrees(MAIZE)], "EPSG:4326")):
        np.testing.assert_array_equal(draw(folder, shapes, crs=crs, raster="compound.tif"), EXPECTED)
    assert not caplog.messages


def test_invalid_shapes_are_named_or_skipped(folder, caplog):
    bow = shapely.Polygon(
        [(500_000, 4_000_000), (500_004, 3_999_996), (500_004, 4_000_000), (500_000, 3_999_996)]
    )
    shapes, values = (
        [WHEAT, bow, None, shapely.Polygon(), MAIZE],
        ["wheat", "maize", "maize", "maize", "maize"],
    )
    named = (
        r"3 of 5 features have no valid shape \(feature 1: Self-intersection\[.*\]; feature 2: no geometry; "
        r"feature 3: (an empty|no) geometry\)"  # GDAL before 3.8 reads an empty one as none
    )
    with pytest.raises(InputError, match=f"{named}.*`skip_invalid: true`"):
        draw(folder, shapes, values, file="a.geojson")
    np.testing.assert_array_equal(draw(folder, shapes, values, file="a.geojson", skip_invalid=True), EXPECTED)
    assert "3 of 5 features have no valid shape" in caplog.text


def test_lines_and_shapes_without_a_value(folder, caplog):
    with pytest.raises(InputError, match=r"1 of 1 features are neither polygons nor points .*LineString"):
        draw(folder, [shapely.LineString([(500_000, 4_000_000), (500_004, 3_999_996)])], ["wheat"])
    shapes = [WHEAT, MAIZE, *(pixel_box(11, column, 1, 1) for column in range(3))]
    labels = draw(folder, shapes, ["wheat ", "maize", None, "", " "])
    np.testing.assert_array_equal(labels, EXPECTED)
    assert "3 of 5 polygons of" in caplog.text
    assert "have no 'crop'" in caplog.text


def test_points_label_a_pixel_or_a_disc(folder):
    points = [shapely.Point(500_003.2, 3_999_996.7), shapely.Point(500_015.5, 3_999_988.5)]
    expected = np.zeros(SHAPE, np.uint8)
    expected[3, 3], expected[11, 15] = 1, 2
    np.testing.assert_array_equal(draw(folder, points), expected)
    rows, columns = np.indices(SHAPE) + 0.5
    expected[np.hypot(columns - 3.2, rows - 3.3) <= 2] = 1
    expected[np.hypot(columns - 15.5, rows - 11.5) <= 2] = 2
    np.testing.assert_array_equal(draw(folder, points, radius=2), expected)
    with pytest.raises(InputError, match=r"'radius' is for other shapes, but .*fields\.gpkg holds polygons"):
        draw(folder, [WHEAT, MAIZE], radius=2)
    with pytest.raises(InputError, match="'radius' is -1; a number of metres above 0"):
        draw(folder, points, radius=-1)


def test_a_radius_is_in_metres_on_a_raster_in_degrees(folder):
    step = 1e-5  # 1.11 m of latitude; of longitude half of it, at 60 degrees north
    grid = from_origin(10, 60, step, step)
    write_raster(folder / "degrees.tif", np.ones((1, 21, 41), np.float32), grid, "EPSG:4326")
    points = [shapely.Point(10 + column * step, 60 - 10.5 * step) for column in (10.5, 30.5)]
    labels = draw(folder, points, crs="EPSG:4326", raster="degrees.tif", radius=5)
    disc = labels == 1
    assert (np.flatnonzero(disc.any(axis=0)).size, np.flatnonzero(disc.any(axis=1)).size) == (17, 9)


def test_regions_of_envi_are_read(folder):
    (folder / "roi.txt").write_text(ROI)
    expected = np.zeros(SHAPE, np.uint8)
    expected[0, :2], expected[11, 15], expected[5:7, 4] = 1, 1, 2
    write_raster(folder / "plain.tif", np.ones((1, *SHAPE), np.float32), None, None)
    for key, raster in (("polygons", "hsi.tif"), ("labels", "plain.tif")):
        np.testing.assert_array_equal(load(folder, raster, **{key: {"path": "roi.txt"}}), expected)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("16 x 12", "12 x 16", r"drawn on an image of 16 x 12 pixels .*hsi\.tif has 12 x 16"),
        ("File Dimension: 16 x 12", "", None),
        (" 16     12 ", " 17     12 ", r"'wheat' has a point at column 17, row 12, expected columns 1\.\.16"),
        ("npts: 3", "npts: 4", "5 points, but its comments announce 6 in 2 regions"),
        ("Map Y      X      Y", "Map Y      Lat    Lon", "X and Y, the pixels' position, are expected"),
        (
            "name: maize",
            "name: oats",
            r"'ROI name' of .*roi\.txt has the values 'oats', but those of the classes",
        ),
        ("; ROI", "ROI", None),
    ],
)
def test_regions_that_do_not_fit_are_refused(folder, old, new, message):
    text = ROI.replace(old, new)
    assert text != ROI
    (folder / "roi.txt").write_text(text)
    if old.startswith("File"):
        assert load(folder, polygons={"path": "roi.txt"}).any()
    else:
        with pytest.raises(InputError, match=message):
            load(folder, polygons={"path": "roi.txt"})
    (folder / "binary.roi").write_bytes(b"\0\1")
    with pytest.raises(InputError, match=r"binary\.roi: regions of interest in a form other than text"):
        load(folder, labels={"path": "binary.roi"})


def test_train_and_test_may_be_shapes(folder):
    write_polygons(folder / "all.gpkg", [WHEAT, MAIZE], CRS, crop=["wheat", "maize"])
    write_polygons(folder / "west.gpkg", [pixel_box(0, 0, 12, 10)], CRS, part=[1])
    write_polygons(folder / "east.gpkg", [pixel_box(0, 10, 12, 6)], CRS, part=[1])
    parts = {"train": {"path": "west.gpkg"}, "test": {"path": "east.gpkg"}}
    load(folder, polygons={"path": "all.gpkg", "attribute": "crop"}, **parts)
    (scene,) = SOURCES.build({"type": "manifest", "path": str(folder / "scene.yaml")}).load(rasters=False)
    west = np.arange(SHAPE[1]) < 10
    np.testing.assert_array_equal(scene.official["train"], (EXPECTED > 0) & west)
    np.testing.assert_array_equal(scene.official["test"], (EXPECTED > 0) & ~west)


def raster(folder, labels, classes=("a", "b", "c"), profile=None, **keys):
    write_raster(folder / "labels.tif", labels[None], **(profile or {}))
    return load(folder, classes=classes, labels={"path": "labels.tif", **keys})


COUNTED = np.repeat(np.array([1, 2, 3], np.uint8), 64).reshape(SHAPE)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.where(COUNTED == 3, 255, COUNTED), r"the value 255 in 64 pixels.*write `unlabelled: \[0, 255\]`"),
        (np.where(COUNTED == 3, -1, COUNTED.astype(np.int32)), r"value -1 in 64 .*`unlabelled: \[0, -1\]`"),
        (
            np.where(COUNTED == 1, np.float32(0.99999994), COUNTED.astype(np.float32)),
            r"the value 0\.99999994 in 64 pixels.*the nearest value of a class is 1,",
        ),
        (np.arange(192, dtype=np.uint8).reshape(SHAPE), r"185 others.*look like measurements or colours"),
        (
            COUNTED - 1,
            r"3 classes, but the labels have the values 0 to 2.*'a'.*`values: \[0\]`.*`unlabelled: \[0\]`",
        ),
        (COUNTED * 0, "no pixel is labelled"),
    ],
)
def test_label_rasters_with_other_values_are_refused(folder, labels, message):
    with pytest.raises(InputError, match=message) as caught:
        raster(folder, labels)
    assert "\n" not in str(caught.value)


def test_label_rasters_that_say_what_they_mean(folder, caplog):
    valued = [{"name": name, "values": [value]} for name, value in (("a", 0), ("b", 1), ("c", 2))]
    np.testing.assert_array_equal(raster(folder, COUNTED - 1, valued), COUNTED)
    np.testing.assert_array_equal(raster(folder, COUNTED - 1, unlabelled=[0]), COUNTED - 1)
    np.testing.assert_array_equal(raster(folder, COUNTED - 1, profile={"nodata": 0}), COUNTED - 1)
    tenths = [{"name": name, "values": [value]} for name, value in (("a", 0.1), ("b", 0.2), ("c", 0.3))]
    np.testing.assert_array_equal(
        raster(folder, np.array([0, 0.1, 0.2, 0.3], np.float32)[COUNTED], tenths), COUNTED
    )
    assert not caplog.messages
    np.testing.assert_array_equal(raster(folder, COUNTED - 1, valued, profile={"nodata": 0}), COUNTED)
    assert (
        "marks the value 0 as missing (nodata), but a class has it: its 64 pixels are labelled" in caplog.text
    )


def test_labels_are_described_before_a_manifest_exists(folder):
    grid = read_grid(folder / "hsi.tif")._replace(transform=ORIGIN)
    write_polygons(
        folder / "a.gpkg", [WHEAT, MAIZE, WHEAT], CRS, crop=["wheat", "maize", "wheat"], code=[7, 3, 7]
    )
    maize, wheat = describe_labels(folder / "a.gpkg", grid, "crop").classes
    assert maize == ("maize", "maize", 20, 20.0, 1, None)
    assert wheat == ("wheat", "wheat", 12, 12.0, 2, None)
    named = describe_labels(folder / "a.gpkg", grid, "code")
    assert [entry[:3] for entry in named.classes] == [(3, "code 3", 20), (7, "code 7", 12)]
    np.testing.assert_array_equal(named.labels, np.array([0, 2, 1])[EXPECTED])

    (folder / "roi.txt").write_text(ROI)
    assert [entry[:3] for entry in describe_labels(folder / "roi.txt", grid).classes] == [
        ("wheat", "wheat", 3),
        ("maize", "maize", 2),
    ]
    assert describe_labels(folder / "roi.txt", grid).classes[0].color == (0, 205, 0)


def test_a_label_raster_is_described(folder, caplog):
    grid = read_grid(folder / "hsi.tif")
    values = np.array([0, 5, 9, 255], np.uint8)
    labels = np.repeat(np.arange(4), 48).reshape(SHAPE)
    write_raster(folder / "labels.tif", values[labels][None])
    with rasterio.open(folder / "labels.tif", "r+") as file:
        file.update_tags(CLASS_5="wheat")
    found = describe_labels(folder / "labels.tif", grid)
    assert found.unlabelled == (0, 255)
    assert [entry[:4] for entry in found.classes] == [(5, "wheat", 48, 48.0), (9, "class 9", 48, 48.0)]
    np.testing.assert_array_equal(found.labels, np.array([0, 1, 2, 0])[labels])
    write_raster(folder / "one.tif", np.array([0, 5, 5, 255], np.uint8)[labels][None])
    with pytest.raises(
        InputError, match=r"two classes .*, it holds 5 \(and 0, 255, taken to mean no class\)"
    ):
        describe_labels(folder / "one.tif", grid)
    write_raster(folder / "one.tif", values[labels][None], nodata=9)
    assert [entry.value for entry in describe_labels(folder / "one.tif", grid, fewest=1).classes] == [5]
    assert "marks the value 9 as missing (nodata): its 48 pixels have no class" in caplog.text
    all_four = describe_labels(folder / "labels.tif", grid, unlabelled=[-1])
    assert [entry.value for entry in all_four.classes] == [0, 5, 9, 255]
    write_raster(folder / "labels.tif", (values[labels][None] / 2).astype(np.float32))
    with pytest.raises(InputError, match=r"3 of 4 values are no whole numbers \(the first: 2\.5\)"):
        describe_labels(folder / "labels.tif", grid)
