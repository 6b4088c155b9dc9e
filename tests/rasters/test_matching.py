"""Bands are taken by wavelength, by name or by number, and refused where they are others."""

import re

import numpy as np
import pytest

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters import Raster
from m3amba_zoo.rasters.bands import proper_names
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
        (
            dict(names=("blue mean", "green mean", "red edge", "nir mean")),
            dict(names=("blue", "green", "red", "nir")),
            "its bands have the names blue mean, ",
        ),
        (
            dict(names=proper_names(("B8 nir", "B4 red", None, "B2 blue"))),
            dict(names=NAMES),
            "its bands have the names B8 nir, B4 red, unnamed band 3, B2 blue, but",
        ),
        (dict(count=5), dict(), "has 5 bands .* are 4"),
        (dict(bands=(0, 1)), dict(), "has 2 of 4 bands .* are 4"),
    ],
)
def test_other_bands_are_refused_with_both_lists(raster, known, message):
    with pytest.raises(InputError, match=f"^a.tif: {message}"):
        take_bands(opened(**raster), KnownBands(4, **known), "the model's")


def test_bands_known_by_a_part_of_their_name_are_said():
    raster = opened(names=("blue max", "green max", "red max", "nir max"))
    assert taken(raster, KnownBands(4, names=("Blue", "Green", "Red", "NIR"))) == [0, 1, 2, 3]
    assert re.search(r"names blue max, .* are taken for those with the names Blue,", raster.remarks[0])


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
    wide = KnownBands(2, mean=known.mean, std=tuple(2 * np.array(known.mean)), unit="reflectance x 10000")
    with open_raster(image / 10, "hsi") as raster:
        assert unlike_training(raster, wide) == "", "a dark scene"
    with open_raster(image / 100, "hsi") as raster:
        assert "in 2 of 2 bands" in unlike_training(raster, wide), "percent"
    with open_raster(image / 10000, "hsi") as raster:
        assert "in 2 of 2 bands" in unlike_training(raster, wide)
        sentence = unlike_training(raster, known)
    assert "the median of band" in sentence
    assert "in 2 of 2 bands" in sentence
    assert "reflectance x 10000" in sentence
    with open_raster(np.full((2, 4, 4), np.nan), "hsi") as raster:
        assert unlike_training(raster, known) == ""


def test_spectra_are_resampled_by_wavelength_and_missing_values_stay_missing():
    nm = np.arange(400.0, 801, 25)
    data = np.broadcast_to(nm[:, None, None] ** 1.0, (len(nm), 3, 5)).astype(np.int16).copy()
    data[2, 1, 2] = -1  # 450 nm
    known = KnownBands(4, wavelengths=NM)
    with open_raster(Raster(data, wavelengths=nm + 2.4, nodata=-1, path="a.tif", unit="dB"), "hsi") as raster:
        take_bands(raster, known, "the model's", match=True)
        assert raster.read().data[:, 0, 0].tolist() == [450, 550, 650, 750]  # near enough, and so taken
        assert raster.resampled == ""
    with open_raster(Raster(data, wavelengths=nm, nodata=-1, path="a.tif", unit="dB"), "hsi") as raster:
        wanted = (412.0, 460.0, 512.0, 791.0)
        take_bands(raster, KnownBands(4, wavelengths=wanted), "the model's", match=True)
        found = raster.read()
        np.testing.assert_allclose(found.data[:, 0, 0], wanted, rtol=1e-6)
        np.testing.assert_array_equal(np.argwhere(found.missing()), [[1, 1, 2], [2, 1, 2]])  # made of 450 nm
        assert (found.wavelengths.tolist(), found.unit) == (list(wanted), "dB")
        assert raster.resampled == "17 bands of 400-800 nm resampled to 4 bands of 412-791 nm"
        assert raster.remarks == [f"a.tif: {raster.resampled}"]
    for wanted in ((450.0, 812.0), (380.0, 500.0, 600.0)):
        raster = open_raster(Raster(data, wavelengths=nm, path="a.tif"), "hsi")
        with pytest.raises(InputError, match=r"^a\.tif: cannot be resampled .* 1 of .* lie outside of these"):
            take_bands(raster, KnownBands(len(wanted), wavelengths=wanted), "the model's", match=True)


def test_bands_without_wavelengths_are_refused_with_both_remedies():
    for match in (False, True):
        with pytest.raises(
            InputError, match=r"has 5 bands .* expected these bands, or --match-bands .*--init-from"
        ):
            take_bands(opened(count=5), KnownBands(4, wavelengths=NM), "the model's", match)
    with pytest.raises(InputError, match=r"expected these bands$"):
        take_bands(opened(count=5), KnownBands(4, wavelengths=NM), "the first scene's")
