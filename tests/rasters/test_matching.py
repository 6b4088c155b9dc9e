"""Bands are taken by wavelength, by name or by number, and refused where they are others."""

import numpy as np
import pytest

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters import Raster
from m3amba_zoo.rasters.matching import KnownBands, take_bands, unlike_training
from m3amba_zoo.rasters.opening import OpenRaster, open_raster
from m3amba_zoo.rasters.request import RasterRequest

NM = (450.0, 550.0, 650.0, 750.0)
NAMES = ("B02 blue", "B03 green", "B04 red", "B08 nir")


def opened(count=4, nm=None, names=(), bands=None) -> OpenRaster:
    """Open bands of which every value is the band's number."""
    data = np.broadcast_to(np.arange(count)[:, None, None], (count, 3, 5))
    wavelengths = None if nm is None else np.array(nm)
    raster = open_raster(Raster(data, names, wavelengths, path="a.tif"), "hsi")
    if bands is not None:
        raster.stated = RasterRequest("a.tif", bands=bands)
        raster.select(bands)
    return raster


def taken(raster, known):
    take_bands(raster, known, "the model's")
    return raster.read().data[:, 0, 0].tolist()


@pytest.mark.parametrize(
    ("raster", "known", "order"),
    [
        (dict(nm=NM), dict(wavelengths=NM), [0, 1, 2, 3]),
        (dict(nm=NM[::-1]), dict(wavelengths=NM), [3, 2, 1, 0]),
        (dict(count=5, nm=(400, *NM)), dict(wavelengths=NM), [1, 2, 3, 4]),
        (dict(nm=np.array(NM) + 4), dict(wavelengths=NM), [0, 1, 2, 3]),
        (dict(names=NAMES[::-1]), dict(names=NAMES), [3, 2, 1, 0]),
        (dict(names=("b2", "b3", "b4", "b8")), dict(names=NAMES), [0, 1, 2, 3]),
        (dict(count=5, names=("B01", *NAMES)), dict(names=NAMES), [1, 2, 3, 4]),
        (dict(names=NAMES), dict(), [0, 1, 2, 3]),
        (dict(names=NAMES, nm=NM[::-1]), dict(names=NAMES, wavelengths=NM), [3, 2, 1, 0]),
        (dict(count=9), dict(numbers=(2, 3, 5, 7), bands_in_file=9), [2, 3, 5, 7]),
        (dict(nm=NM[::-1], bands=(0, 1, 2, 3)), dict(wavelengths=NM), [0, 1, 2, 3]),
    ],
)
def test_bands_come_in_the_order_that_is_expected(raster, known, order):
    raster = opened(**raster)
    assert taken(raster, KnownBands(4, **known)) == order
    assert any("order" in remark for remark in raster.remarks) == (order != sorted(order))


@pytest.mark.parametrize(
    ("raster", "known", "message"),
    [
        (
            dict(nm=np.array(NM) + 1000),
            dict(wavelengths=NM),
            "its bands have the wavelengths 1450, .* nm, but .* 450, ",
        ),
        (
            dict(nm=(450, 550, 650, 651)),
            dict(wavelengths=NM),
            "its bands have the wavelengths 450, 550, 650, 651 nm, but",
        ),
        (
            dict(names=("a", "b", "c", "d")),
            dict(names=NAMES),
            "its bands have the names a, b, c, d, but .* B02 blue, ",
        ),
        (dict(count=5), dict(), "has 5 bands .* are 4"),
        (dict(bands=(0, 1)), dict(), "has 2 of 4 bands .* are 4"),
    ],
)
def test_other_bands_are_refused_with_both_lists(raster, known, message):
    with pytest.raises(InputError, match=f"^a.tif: {message}"):
        take_bands(opened(**raster), KnownBands(4, **known), "the model's")


def test_what_is_known_survives_json():
    raster = Raster(
        np.zeros((2, 3, 3)), NAMES[:2], np.array(NM[:2]), unit="dB", numbers=(3, 5), bands_in_file=7
    )
    known = KnownBands.of(raster, RasterRequest("a.tif", nodata=(1.0, 2.0), key="x", unit="dB"))
    again = KnownBands.from_json(known.to_json())
    assert again == known
    assert again.request == RasterRequest("", nodata=(1.0, 2.0), key="x", unit="dB")


def test_values_in_another_unit_are_noticed():
    generator = np.random.default_rng(0)
    pixels = generator.normal([500, 3000], [50, 300], (2000, 2)).astype(np.float32)
    known = KnownBands(2, mean=tuple(pixels.mean(0)), std=tuple(pixels.std(0)), unit="reflectance x 10000")
    image = generator.normal([500, 3000], [50, 300], (40, 40, 2)).transpose(2, 0, 1)
    image[:, :10] = np.nan
    with open_raster(image, "hsi") as raster:
        assert unlike_training(raster, known) == ""
    with open_raster(image / 10000, "hsi") as raster:
        sentence = unlike_training(raster, known)
    assert "the median of band" in sentence
    assert "in 2 of 2 bands" in sentence
    assert "reflectance x 10000" in sentence
    with open_raster(np.full((2, 4, 4), np.nan), "hsi") as raster:
        assert unlike_training(raster, known) == ""
