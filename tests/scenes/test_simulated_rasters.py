"""Simulated scenes as the files that a user brings."""

import numpy as np
import pyogrio
import pytest
import rasterio

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.opening import read_georaster
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.label_request import describe_labels
from m3amba_zoo.scenes.simulated_files import write_simulated_rasters


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated") / "files"
    lines = []
    source = SOURCES.build({"type": "augsburg"})
    paths = write_simulated_rasters(source, folder, (48, 64), 12, seed=1, report=lines.append)
    return paths, lines


def test_the_files_say_that_they_are_simulated(written):
    paths, lines = written
    names = [path.name for path in paths]
    assert names == [f"simulated_{rest}" for rest in ("hsi.tif", "sar.tif", "fields.gpkg", "labels.tif")]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == sorted(names)
    assert [line.partition(":")[0] for line in lines] == names
    for path in paths:
        if path.suffix == ".tif":
            with rasterio.open(path) as file:
                assert file.tags()["SIMULATED"] == "yes"
    assert pyogrio.read_info(paths[2])["layer_metadata"]["SIMULATED"] == "yes"


def test_rasters_have_wavelengths_names_units_and_a_place(written):
    hsi, sar = (read_georaster(path) for path in written[0][:2])
    assert (hsi.raster.data.shape, sar.raster.data.shape) == ((12, 48, 64), (4, 48, 64))
    np.testing.assert_allclose(hsi.raster.wavelengths, np.linspace(400, 2500, 12), atol=0.01)
    assert sar.raster.bands[0] == "VV intensity"
    assert hsi.grid.transform == sar.grid.transform
    assert hsi.grid.crs == "EPSG:32632"


def test_polygons_and_raster_hold_the_same_labels(written):
    hsi, _, fields, labels = written[0]
    grid = read_georaster(hsi).grid
    drawn, read = describe_labels(fields, grid, "class"), describe_labels(labels, grid)
    assert {c.name: c.pixels for c in drawn.classes} == {c.name: c.pixels for c in read.classes}
    names = [np.array(["", *(c.name for c in one.classes)])[one.labels] for one in (drawn, read)]
    np.testing.assert_array_equal(*names)
    assert [c.color for c in read.classes] == [c.color for c in SOURCES.build({"type": "augsburg"}).classes]


def test_nothing_is_overwritten_and_nothing_half_written(written, tmp_path):
    source = SOURCES.build({"type": "augsburg"})
    with pytest.raises(InputError, match="is not an empty folder; nothing is overwritten"):
        write_simulated_rasters(source, written[0][0].parent, (48, 64))
    for size, bands, seed, message in (
        ((8, 8), 4, 0, "too small for 7 classes"),
        ((48, 64), 0, 0, "bands is 0"),
        ((48, 64), 4, -1, "seed is -1"),
    ):
        with pytest.raises(InputError, match=message):
            write_simulated_rasters(source, tmp_path / "new", size, bands, seed)
    assert not list(tmp_path.iterdir())
