import warnings

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from tiny_rasters import CRS, ORIGIN, write_raster

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.grid import require_same_grid
from m3amba_zoo.rasters.opening import read_georaster, read_grid


@pytest.fixture
def cube():
    return np.random.default_rng(0).integers(1, 9000, (6, 40, 50)).astype(np.int16)


def test_a_geotiff_is_read_as_it_is(tmp_path, cube):
    path = write_raster(tmp_path / "a.tif", cube, nodata=-9999)
    raster, grid = read_georaster(path, unit="m")
    np.testing.assert_array_equal(raster.data, cube)
    assert raster.data.dtype == np.int16
    assert (raster.nodata, raster.unit, raster.path) == (-9999, "m", str(path))
    assert (raster.wavelengths, raster.bands) == (None, ())
    assert grid == read_grid(path) == ((40, 50), CRS, ORIGIN, str(path))


def test_a_raster_without_georeference_is_welcome(tmp_path, cube):
    with warnings.catch_warnings(record=True):
        path = write_raster(tmp_path / "a.tif", cube, transform=None, crs=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_georaster(path).grid[1:3] == (None, None)


@pytest.mark.parametrize(("unit", "scale"), [("Nanometers", 1), ("Micrometers", 1e-3)])
def test_wavelengths_of_an_envi_header_are_nanometres(tmp_path, cube, unit, scale):
    path = write_raster(tmp_path / "a.img", cube, driver="ENVI")
    centres = np.array([400.5, 455.25, 510, 1250, 1600.75, 2200])
    with (tmp_path / "a.hdr").open("a") as header:
        header.write(f"wavelength units = {unit}\nwavelength = {{{', '.join(map(str, centres * scale))}}}\n")
    np.testing.assert_allclose(read_georaster(path).raster.wavelengths, centres)


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.999])
@pytest.mark.parametrize(
    "profile",
    [{"driver": "GTiff"}, {"driver": "GTiff", "compress": "deflate", "tiled": True}, {"driver": "ENVI"}],
    ids=["plain", "tiled", "envi"],
)
def test_a_truncated_file_is_refused(tmp_path, cube, profile, share):
    path = write_raster(tmp_path / "a.tif", cube, **profile)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=r"a\.tif: .*cut short") as caught:
        read_georaster(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_a_raster_is_refused(tmp_path, cube):
    with pytest.raises(InputError, match=r"b\.tif: no such file"):
        read_georaster(tmp_path / "b.tif")
    with pytest.raises(InputError, match="is a folder"):
        read_georaster(tmp_path)
    (tmp_path / "notes.txt").write_text("a text")
    with pytest.raises(InputError, match=r"notes\.txt: not a readable raster"):
        read_georaster(tmp_path / "notes.txt")
    write_raster(tmp_path / "a.img", cube, driver="ENVI")
    with pytest.raises(InputError, match="data file should be selected"):
        read_georaster(tmp_path / "a.hdr")
    path = write_raster(tmp_path / "c.tif", cube.astype(np.complex64))
    with pytest.raises(InputError, match="complex64, real numbers are expected"):
        read_georaster(path)


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ({"data": np.zeros((1, 40, 51), np.int16)}, "40 x 50 and 40 x 51"),
        ({"crs": "EPSG:32618"}, "EPSG:32617 and EPSG:32618"),
        ({"transform": from_origin(500_000.5, 4_000_000, 1, 1)}, "apart by 0.5 pixels"),
        ({"transform": from_origin(500_000, 4_000_000, 1.01, 1)}, "apart by 0.5 pixels"),
    ],
    ids=["size", "crs", "origin", "pixel"],
)
def test_rasters_of_different_grids_are_refused(tmp_path, cube, other, found):
    first = read_grid(write_raster(tmp_path / "a.tif", cube))
    second = read_grid(write_raster(tmp_path / "b.tif", **{"data": cube, **other}))
    with pytest.raises(InputError, match=f"scene 'x': .*a.tif and .*b.tif .*{found}"):
        require_same_grid("x", first, second)


def test_rounded_or_unknown_georeferences_are_one_grid(tmp_path, cube):
    first = read_grid(write_raster(tmp_path / "a.tif", cube))
    rounded = write_raster(tmp_path / "b.tif", cube, transform=from_origin(500_000.001, 4_000_000, 1, 1))
    require_same_grid("x", first, read_grid(rounded))
    require_same_grid("x", first, first._replace(crs=None, transform=None))


def test_files_read_in_a_row_have_each_its_own_place(tmp_path):
    # Mars has no EPSG code; a file at the place of the one before it is read without asking GDAL again
    mars = "+proj=eqc +R=3396190 +units=m +type=crs"
    earth, origins = "EPSG:32632", [(100, 200), (100, 200), (130, 200), (100, 200)]
    for number, (origin, crs) in enumerate(zip(origins, [mars, mars, mars, earth], strict=True)):
        path = tmp_path / f"{number}.tif"
        place = from_origin(*origin, 10, 10)
        with rasterio.open(
            path, "w", "GTiff", 3, 2, 1, dtype="uint8", crs=crs, transform=place, nodata=7
        ) as file:
            file.write(np.full((1, 2, 3), number, np.uint8))
        read = read_georaster(path)
        assert read.grid.transform == place
        assert rasterio.crs.CRS.from_string(read.grid.crs) == rasterio.crs.CRS.from_string(crs)
        assert (read.raster.data == number).all()
        assert read.raster.nodata == 7
