"""Maps written while they grow: what lies beside them, and a prediction that was stopped."""

import csv
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import torch
from matplotlib.image import imread
from rasterio.transform import from_origin
from rio_cogeo import cog_validate
from tiny_rasters import CRS, ORIGIN, write_raster

from m3amba_zoo.errors import InputError
from m3amba_zoo.inference.map_files import write_map
from m3amba_zoo.inference.strips import OpenJob, RowClassifier
from m3amba_zoo.maps import parts as parts_module
from m3amba_zoo.maps.outputs import write_areas
from m3amba_zoo.maps.parts import has_parts
from m3amba_zoo.rasters.grid import Grid
from m3amba_zoo.rasters.opening import open_raster
from m3amba_zoo.scenes.scene import LandClass

CLASSES = (
    LandClass("Wald & Wiese", (0, 95, 30)),
    LandClass("Acker", (240, 200, 70)),
    LandClass("See", (0, 0, 255)),
)
SHAPE = (60, 50)
OTHER = np.ones((3, *SHAPE), np.float32)
BESIDE = ("probabilities", "uncertainty", "style", "preview", "areas")


class Bands(torch.nn.Module):
    """Takes three bands for logits."""

    margin, num_classes, in_channels = 0, 3, ("hsi",)

    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.tensor(2.0))

    def test_step(self, data):
        return data["inputs"]["hsi"] * self.scale


@pytest.fixture
def bands(tmp_path):
    values = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float32)
    values[:, 7:20, 5:30] = np.nan
    write_raster(tmp_path / "hsi.tif", values)
    return values


def virtual_raster(folder):
    """Write ``hsi.vrt``, a virtual raster of a virtual raster of ``source.tif``."""
    (folder / "hsi.tif").rename(folder / "source.tif")
    for name, source in (("middle.vrt", "source.tif"), ("hsi.vrt", "middle.vrt")):
        rasterio.shutil.copy(folder / source, folder / name, driver="VRT")


def job(given, **settings):
    opened = {"hsi": open_raster(given)}
    classifier = RowClassifier(Bands(), opened, 8, 0.0, batch_size=3)
    return OpenJob(classifier, opened["hsi"].grid, opened, opened, CLASSES, settings, {"MODEL": "bands"})


def softmax(logits):
    exponentials = np.exp(logits - logits.max(0))
    return exponentials / exponentials.sum(0)


def test_everything_beside_the_map_agrees_with_it(tmp_path, bands):
    rows = []
    written = write_map(
        job(tmp_path / "hsi.tif"),
        tmp_path / "map.tif",
        BESIDE,
        progress=lambda *done: rows.append(done[0] // 50),
    )
    ends = (".qml", ".tif", "_areas.csv", "_preview.png", "_probabilities.tif", "_uncertainty.tif")
    assert sorted(path.name for path in written) == [f"map{end}" for end in ends]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["hsi.tif", "map.tif.aux.xml", *(path.name for path in written)]
    )
    assert (rows[0], rows[-1]) == (0, 60)
    seen = ~np.isnan(bands[0])
    expected = np.where(seen, bands.argmax(0) + 1, 0)
    shares = softmax(2 * bands)
    with rasterio.open(tmp_path / "map.tif") as file:
        np.testing.assert_array_equal(file.read(1), expected)
        assert (file.crs, file.transform, file.nodata) == (CRS, ORIGIN, 0)
        assert file.tags()["MODEL"] == "bands"
        assert file.colormap(1)[3] == (0, 0, 255, 255)
    with rasterio.open(tmp_path / "map_probabilities.tif") as file:
        np.testing.assert_array_equal(file.read(), np.where(seen, np.rint(100 * shares), 255))
        assert file.descriptions == tuple(entry.name for entry in CLASSES)
        assert file.nodata == 255
    with rasterio.open(tmp_path / "map_uncertainty.tif") as file:
        entropy, margin = file.read()
        assert file.descriptions == ("entropy", "margin")
    ordered = np.sort(shares, 0)
    np.testing.assert_array_equal(margin, np.where(seen, np.rint(100 * (ordered[2] - ordered[1])), 255))
    wanted = -100 * (shares * np.log(shares)).sum(0) / np.log(3)
    np.testing.assert_allclose(entropy[seen], wanted[seen], atol=0.5 + 1e-3)
    for name in ("map", "map_probabilities", "map_uncertainty"):
        assert cog_validate(tmp_path / f"{name}.tif", quiet=True)[0]
    with (tmp_path / "map_areas.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(row["name"], int(row["pixels"])) for row in table] == [
        (entry.name, (expected == number).sum()) for number, entry in enumerate(CLASSES, start=1)
    ]
    assert float(table[0]["hectares"]) == pytest.approx(int(table[0]["pixels"]) / 10_000, abs=1e-4)
    entries = ElementTree.parse(tmp_path / "map.qml").findall(".//paletteEntry")
    assert [(e.get("label"), e.get("color")) for e in entries][2] == ("See", "#0000ff")
    picture = np.round(imread(tmp_path / "map_preview.png")[..., :3] * 255).astype(int).reshape(-1, 3)
    for entry in CLASSES:  # in the map and in the legend
        assert (picture == entry.color).all(1).sum() > 100


def test_areas_of_pixels_of_ten_centimetres_are_not_nought(tmp_path):
    write_areas(
        tmp_path / "a.csv", np.array([[1, 2, 2]], np.uint8), CLASSES, CRS, from_origin(0, 0, 0.1, 0.1)
    )
    with (tmp_path / "a.csv").open() as file:
        assert [row["hectares"] for row in csv.DictReader(file)] == ["0.000001", "0.000002", "0.000000"]


def test_shares_can_be_float16(tmp_path, bands):
    write_map(job(tmp_path / "hsi.tif"), tmp_path / "map.tif", ["probabilities"], half=True)
    with rasterio.open(tmp_path / "map_probabilities.tif") as file:
        found = file.read()
    np.testing.assert_allclose(found, softmax(2 * bands), atol=1e-3)  # NaN where there is no prediction
    np.testing.assert_array_equal(found, found.astype(np.float16))


class Stopped(Exception):
    """Stands for a signal."""


def stop_after(rows):
    def progress(done, total):
        if done >= rows * SHAPE[1]:
            raise Stopped

    return progress


@pytest.mark.parametrize("safe", [0.0, 1e9], ids=["each strip is safe", "none is"])
def test_a_stopped_prediction_goes_on_and_ends_the_same(tmp_path, bands, safe, monkeypatch):
    monkeypatch.setattr(parts_module, "SECONDS_AT_RISK", safe)
    write_map(job(tmp_path / "hsi.tif"), tmp_path / "whole.tif", BESIDE)
    with pytest.raises(Stopped):
        write_map(job(tmp_path / "hsi.tif"), tmp_path / "map.tif", BESIDE, progress=stop_after(24))
    assert not (tmp_path / "map.tif").exists()
    rows = []
    write_map(
        job(tmp_path / "hsi.tif"),
        tmp_path / "map.tif",
        BESIDE,
        progress=lambda *done: rows.append(done[0] // 50),
    )
    assert rows[0] == 24
    for end in (".tif", "_probabilities.tif", "_uncertainty.tif", "_areas.csv", "_preview.png"):
        whole, found = ((tmp_path / f"{name}{end}").read_bytes() for name in ("whole", "map"))
        assert whole == found, end
    assert not [path.name for path in tmp_path.iterdir() if ".part" in path.name]


def test_a_prediction_that_is_stopped_before_any_row_leaves_nothing(tmp_path, bands):
    with pytest.raises(Stopped):
        write_map(job(tmp_path / "hsi.tif"), tmp_path / "map.tif", BESIDE, progress=stop_after(0))
    assert not has_parts(tmp_path / "map.tif")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hsi.tif"]


def test_a_killed_prediction_loses_only_what_was_not_safe(tmp_path, bands, monkeypatch):
    monkeypatch.setattr(parts_module, "SECONDS_AT_RISK", 0.0)
    monkeypatch.setattr(parts_module.Parts, "__exit__", lambda self, *error: self.close())  # as SIGKILL would
    with pytest.raises(Stopped):
        write_map(job(tmp_path / "hsi.tif"), tmp_path / "map.tif", progress=stop_after(24))
    with (tmp_path / "map.tif.part").open("r+b") as file:
        file.seek(24 * SHAPE[1])
        file.write(b"\x07" * 99)  # rows that were being written
    rows = []
    write_map(
        job(tmp_path / "hsi.tif"), tmp_path / "map.tif", progress=lambda *done: rows.append(done[0] // 50)
    )
    assert rows[0] == 24
    with rasterio.open(tmp_path / "map.tif") as file:
        assert set(np.unique(file.read(1))) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("given", "change"),
    [
        ("hsi.tif", lambda folder: {"settings": {"overlap": 0.25}}),
        ("hsi.tif", lambda folder: write_raster(folder / "hsi.tif", OTHER)),
        ("hsi.vrt", lambda folder: write_raster(folder / "source.tif", OTHER)),
        ("array", lambda folder: {"given": OTHER}),
        ("hsi.tif", lambda folder: {"place": Grid(SHAPE, CRS, from_origin(0, 0, 1, 1), "")}),
        ("hsi.tif", lambda folder: (folder / "map.tif.part.json").write_text("{")),
        ("hsi.tif", lambda folder: (folder / "map.tif.part").unlink()),
    ],
    ids=["options", "raster", "source of a raster", "array", "grid", "state", "rows"],
)
def test_what_is_left_of_another_job_is_thrown_away(tmp_path, bands, given, change):
    if given == "hsi.vrt":
        virtual_raster(tmp_path)
    given = bands if given == "array" else tmp_path / given
    with pytest.raises(Stopped):
        write_map(job(given), tmp_path / "map.tif", progress=stop_after(24))
    changed = change(tmp_path)
    changed = changed if isinstance(changed, dict) else {}

    def other_job():
        made = job(changed.get("given", given), **changed.get("settings", {}))
        return made._replace(place=changed.get("place", made.place))

    rows = []
    write_map(other_job(), tmp_path / "map.tif", progress=lambda *done: rows.append(done[0] // 50))
    assert rows[0] == 0
    write_map(other_job(), tmp_path / "whole.tif")
    assert (tmp_path / "whole.tif").read_bytes() == (tmp_path / "map.tif").read_bytes()


def test_two_processes_do_not_write_one_map(tmp_path, bands):
    def progress(done, total):
        with pytest.raises(InputError, match=r"map\.tif: is in use by process"):
            write_map(job(tmp_path / "hsi.tif"), tmp_path / "map.tif")

    write_map(job(tmp_path / "hsi.tif"), tmp_path / "map.tif", progress=progress)
    assert not (tmp_path / "map.tif.part.lock").exists()


@pytest.mark.parametrize(
    ("out", "beside", "message"),
    [
        ("map.png", (), r"map\.png: cannot be written, its name should end in \.tif"),
        ("hsi.tif", (), r"hsi\.tif: cannot be written, it is an input"),
        ("source.tif", (), r"source\.tif: cannot be written, it is an input"),
        ("map.tif", ("stile",), "no output 'stile' beside a map; did you mean 'style'"),
        (
            "map.tif",
            {"probabilities": "map.tif"},
            r"map\.tif: cannot be written, it is an input or another output",
        ),
    ],
)
def test_bad_outputs_are_refused_before_anything_is_read(tmp_path, bands, out, beside, message):
    if isinstance(beside, dict):
        beside = {name: tmp_path / path for name, path in beside.items()}
    given = tmp_path / "hsi.tif"
    if out == "source.tif":
        virtual_raster(tmp_path)
        given = tmp_path / "hsi.vrt"
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=message):
        write_map(job(given), tmp_path / out, beside)
    assert sorted(tmp_path.iterdir()) == before
