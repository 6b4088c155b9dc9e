"""What a scene refuses: rasters, labels and masks that do not belong together."""

import numpy as np
import pytest

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters import Raster
from m3amba_zoo.scenes.scene import LandClass, Scene

CLASSES = (LandClass("water", (0, 0, 255)), LandClass("trees", (0, 128, 0)))
LABELS = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
RASTERS = {"hsi": Raster(np.zeros((4, 2, 3))), "sar": Raster(np.zeros((1, 2, 3)), path="sar.tif")}


def scene(**changes):
    return Scene(**{"name": "plot", "rasters": RASTERS, "labels": LABELS, "classes": CLASSES, **changes})


def test_a_scene_knows_its_size_and_its_labelled_pixels():
    mask = {"train": LABELS == 1, "test": LABELS == 2}
    made = scene(official=mask)
    assert made.shape == (2, 3)
    np.testing.assert_array_equal(made.labelled, [[False, True, True], [True, True, False]])
    assert scene(rasters={}).shape == (2, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": LABELS[None]}, r"'plot': labels have shape \(1, 2, 3\), expected \(H, W\)"),
        (
            {"rasters": {**RASTERS, "sar": Raster(np.zeros((1, 3, 2)), path="sar.tif")}},
            r"'plot': raster 'sar' sar\.tif is 3 x 2 pixels, but raster 'hsi' is 2 x 3",
        ),
        ({"labels": LABELS.T}, r"'plot': the label map is 3 x 2 pixels, but raster 'hsi' is 2 x 3"),
        ({"labels": LABELS + 1}, r"'plot': label value 3 lies outside 0\.\.2"),
        ({"labels": LABELS.astype(int) - 1}, r"'plot': label value -1 lies outside 0\.\.2"),
        (
            {"official": {"train": LABELS == 1, "test": LABELS[:1] == 2}},
            r"'plot': the official test mask is 1 x 3 pixels, but raster 'hsi' is 2 x 3",
        ),
        ({"classes": CLASSES * 128}, r"'plot': 256 classes; 255 at most are expected"),
    ],
    ids=["axes", "rasters", "labels", "too large", "negative", "mask", "classes"],
)
def test_what_does_not_belong_together_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        scene(**changes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": np.zeros((2, 3))}, r"sar\.tif: expected \(bands, rows, columns\), found shape \(2, 3\)"),
        ({"data": np.zeros((2, 2, 3)), "bands": ("VV",)}, r"sar\.tif: 1 bands for 2 bands"),
        (
            {"data": np.zeros((2, 2, 3)), "wavelengths": np.array([400.0, 500.0, 600.0])},
            r"sar\.tif: 3 wavelengths for 2 bands",
        ),
    ],
)
def test_a_raster_refuses_axes_and_lists_that_do_not_fit(options, message):
    with pytest.raises(InputError, match=message):
        Raster(path="sar.tif", **options)
