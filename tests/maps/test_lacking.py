"""What is said of pixels that lack a modality."""

from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from tiny_rasters import CRS, ORIGIN

from m3amba_zoo.evaluation.record import known_bands
from m3amba_zoo.rasters import Raster
from m3amba_zoo.reporting.run_report import map_tags
from m3amba_zoo.scenes.scene import LandClass, Scene
from m3amba_zoo.splits import Split
from m3amba_zoo.visualization.maps import write_class_maps

CLASSES = (LandClass("Wald", (0, 95, 30)), LandClass("See", (30, 110, 225)))


@pytest.fixture
def scene():
    """Forty pixels; the radar image shows the right half alone, and nothing shows the last row."""
    hsi, sar = np.ones((2, 4, 10), np.float32), np.ones((1, 4, 10), np.int16)
    hsi[:, 3], sar[:, 3], sar[:, :, :5] = np.nan, -1, -1
    rasters = {"hsi": Raster(hsi), "sar": Raster(sar, nodata=-1)}
    return Scene("field", rasters, np.ones((4, 10), np.uint8), CLASSES, CRS, ORIGIN)


@pytest.mark.parametrize(
    ("first", "trained"),
    [(5, "(never in training)"), (2, "(in training at 37.5 %)")],
)
def test_maps_of_a_test_say_what_the_model_knows_of_such_pixels(scene, first, trained, tmp_path, caplog):
    nothing, train = np.zeros((4, 10), bool), np.zeros((4, 10), bool)
    train[:3, first:] = True
    split = Split("two parts", {"field": {"train": train, "val": nothing, "test": nothing}})
    data = SimpleNamespace(scenes=[scene], split=split, encoded={}, requests={})
    inputs = {modality: known.to_json() for modality, known in known_bands(data, ["hsi", "sar"]).items()}
    assert inputs["sar"]["lacking"] == (3 * (5 - first), 3 * (10 - first))
    class_maps = {"field": np.array([1, 1, 2, 0], np.uint8)[:, None].repeat(10, 1)}
    tags = map_tags([scene], class_maps, ["hsi", "sar"], inputs)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"'sar' is missing at 50 % (15 of 30) of the pixels {trained}, ")
    write_class_maps(tmp_path, [scene], class_maps, tags)
    with rasterio.open(tmp_path / "maps/field.tif") as file:
        assert file.tags()["WITHOUT_SAR"] == "50 % (15 of 30), mapped"
        assert "WITHOUT_HSI" not in file.tags()
