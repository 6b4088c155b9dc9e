"""What files say of their bands, in the spellings that are found."""

import numpy as np
import pytest
import rasterio
from tiny_rasters import write_raster

from m3amba_zoo.rasters.bands import proper_names, read_bands

CENTRES = np.array([450.0, 650.5, 2200.0])


def bands_of(tmp_path, header):
    path = write_raster(tmp_path / "a.img", np.ones((3, 2, 2), np.int16), driver="ENVI")
    with (tmp_path / "a.hdr").open("a") as file:
        file.write(header)
    with rasterio.open(path) as file:
        return read_bands(file)


@pytest.mark.parametrize(
    ("unit", "scale"),
    [
        ("Nanometers", 1),
        ("Nanometer", 1),
        ("nanometre", 1),
        ("nm", 1),
        ("Micrometers", 1e-3),
        ("Microns", 1e-3),
        ("um", 1e-3),
        ("\N{MICRO SIGN}m", 1e-3),
        ("\N{GREEK SMALL LETTER MU}m", 1e-3),
        ("Angstroms", 10),
    ],
)
def test_units_in_every_spelling(tmp_path, unit, scale):
    values = ", ".join(f"{value:g}" for value in CENTRES * scale)
    found = bands_of(tmp_path, f"wavelength units = {unit}\nwavelength = {{{values}}}\n")
    np.testing.assert_allclose(found.wavelengths, CENTRES)
    assert not found.remark


@pytest.mark.parametrize("unit", ["", "wavelength units = Unknown\n"])
@pytest.mark.parametrize(("scale", "guess"), [(1, "nm"), (1e-3, "um")])
def test_a_unit_that_is_not_named_is_guessed_and_said(tmp_path, unit, scale, guess):
    values = ", ".join(f"{value:g}" for value in CENTRES * scale)
    found = bands_of(tmp_path, f"{unit}wavelength = {{{values}}}\n")
    np.testing.assert_allclose(found.wavelengths, CENTRES)
    assert f"have no unit and are taken as {guess}" in found.remark


@pytest.mark.parametrize(
    "header",
    [
        "wavelength units = Nanometers\nwavelength = {n/a, n/a, n/a}\n",
        "wavelength units = Nanometers\nwavelength = {400-410, 420-430, 440-450}\n",
        "wavelength units = Nanometers\nwavelength = {0, 500, 600}\n",
        "wavelength units = Index\nwavelength = {1, 2, 3}\n",
        "wavelength units = Nanometers\nwavelength = {400, 500}\n",
        "wavelength units = Nanometers\nwavelength = {400,5, 500,5, 600,5}\n",
        "wavelength units = Nanometers\nwavelength = {400, 500, 600, 700}\n",
        "wavelength = {1, 2, 30000}\n",
    ],
)
def test_what_is_no_wavelength_is_none(tmp_path, header):
    assert bands_of(tmp_path, header).wavelengths is None


def test_lists_of_another_length_are_left_out_aloud(tmp_path):
    found = bands_of(tmp_path, "wavelength units = nm\nwavelength = {400, 500, 600, 700}\nbbl = {1, 0}\n")
    assert (found.wavelengths, found.names, found.bad) == (None, (), ())
    assert "lists 4 wavelengths for 3 bands" in found.remark
    assert "(bbl) is not 3 numbers" in found.remark


def test_names_that_are_wavelengths_say_them(tmp_path):
    path = write_raster(tmp_path / "a.tif", np.ones((3, 2, 2), np.int16))
    for names, expected in (
        (("450 nm", "650.5 nm", "2200 nm"), CENTRES),
        (("Band 1 (0.45 um)", "Band 2 (0.6505 um)", "Band 3 (2.2 um)"), CENTRES),
        (("10 m", "20 m", "30 m"), None),  # heights
        (("450 nm", "650.5 nm", "SWIR"), None),
    ):
        with rasterio.open(path, "r+") as file:
            file.descriptions = names
        with rasterio.open(path) as file:
            found = read_bands(file)
        if expected is None:
            assert (found.wavelengths, found.names) == (None, names)
        else:
            np.testing.assert_allclose(found.wavelengths, expected)
            assert "are taken for their wavelengths" in found.remark


def test_bands_of_a_geotiff_carry_wavelengths_too(tmp_path):
    path = write_raster(tmp_path / "a.tif", np.ones((3, 2, 2), np.int16))
    with rasterio.open(path, "r+") as file:
        for band, centre in enumerate(CENTRES, start=1):
            file.update_tags(band, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=f"{centre / 1000:g}")
    with rasterio.open(path) as file:
        np.testing.assert_allclose(read_bands(file).wavelengths, CENTRES)


@pytest.mark.parametrize(
    "names", [("Band 1", "Band 2"), ("B0", "B1"), ("1", "2"), ("Band 1", None), (None, None)]
)
def test_names_that_only_count_are_none(names):
    assert proper_names(names) == ()


@pytest.mark.parametrize("names", [("B02", "B03"), ("red", "green"), ("band 2", "band 1")])
def test_names_that_say_something_are_kept(names):
    assert proper_names(names) == names


def test_a_band_without_a_name_does_not_hide_the_names_of_the_others():
    assert proper_names(("B02", None, "")) == ("B02", "unnamed band 2", "unnamed band 3")
