"""Several files are one raster, in their order, on one grid."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from tiny_rasters import CRS, ORIGIN, write_raster

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters import Raster
from m3amba_zoo.rasters.matching import KnownBands, take_bands
from m3amba_zoo.rasters.opening import align_rasters, open_raster
from m3amba_zoo.rasters.request import RasterRequest, parse_path, stack

BANDS = np.random.default_rng(0).integers(1, 3000, (4, 12, 10)).astype(np.int16)
TEN = from_origin(500_000, 4_000_000, 10, 10)
TWENTY = from_origin(500_000, 4_000_000, 20, 20)


@pytest.fixture
def files(tmp_path):
    """Four bands as files of one band each."""
    return [write_raster(tmp_path / f"B{n:02}.tif", BANDS[n : n + 1]) for n in range(4)]


def read(request):
    with open_raster(request) as opened:
        return opened.read(), opened


def of(*paths, **stated):
    return stack([RasterRequest(str(path)) for path in paths], where="here", **stated)


def test_bands_come_in_the_order_of_the_files_with_their_names(files):
    raster, opened = read(parse_path(f"{files[2]},{files[0]},{files[3]}"))
    np.testing.assert_array_equal(raster.data, BANDS[[2, 0, 3]])
    assert raster.bands == ("B02", "B00", "B03")
    assert (opened.bands_in_file, opened.grid.transform, opened.grid.crs) == (3, ORIGIN, CRS)
    assert opened.stated.files == tuple(str(files[n]) for n in (2, 0, 3))
    part, _ = read(of(*files, bands=(3, 1), unit="dB", wavelengths=(400, 500, 600, 700)))
    np.testing.assert_array_equal(part.data, BANDS[[3, 1]])
    assert (part.unit, part.wavelengths.tolist()) == ("dB", [700, 500])


def test_names_in_the_files_go_before_the_names_of_the_files(tmp_path, files):
    two = write_raster(tmp_path / "two.tif", BANDS[:2])
    raster, _ = read(of(two, files[3]))
    assert raster.bands == ("two 0", "two 1", "B03")
    with rasterio.open(two, "r+") as file:
        file.descriptions = ("blue", "green")
    assert read(of(two, files[3]))[0].bands == ("blue", "green", "B03")


def test_a_file_whose_name_has_a_comma_goes_first(tmp_path, files):
    odd = write_raster(tmp_path / "a,b.tif", BANDS)
    assert parse_path(str(odd)) == RasterRequest(str(odd))
    names = 'NETCDF:"a,b.nc":x', "https://host/wms?bbox=1,2,3", "/vsicurl/https://host/a.tif"
    for name in names:
        assert parse_path(name) == RasterRequest(name)
    both = parse_path("/vsicurl/https://host/a.tif,/vsicurl/https://host/b.tif")
    assert [part.path for part in both.parts] == [
        "/vsicurl/https://host/a.tif",
        "/vsicurl/https://host/b.tif",
    ]
    with pytest.raises(InputError, match=r"^gone\.tif: no such file"):
        open_raster(parse_path(f"{files[0]},gone.tif"))


def test_every_file_has_statements_of_its_own(tmp_path, files):
    masked = BANDS.copy()
    masked[0, :3], masked[1, 5:8] = 0, -1
    paths = [write_raster(tmp_path / f"m{n}.tif", masked[n : n + 1]) for n in range(3)]
    parts = (
        RasterRequest(str(paths[0])),
        RasterRequest(str(paths[1]), nodata=-1, scale=0.5),
        RasterRequest(str(paths[2])),
    )
    raster, _ = read(stack(parts, nodata=0))
    expected = np.zeros((3, 12, 10), bool)
    expected[0, :3] = expected[1, 5:8] = True
    np.testing.assert_array_equal(raster.missing(), expected)
    values = masked[:3] * np.array([1, 0.5, 1])[:, None, None]
    np.testing.assert_array_equal(raster.floats()[~expected], values[~expected])
    one_each, _ = read(of(*paths, nodata=(0, -1, 0)))
    np.testing.assert_array_equal(one_each.missing(), expected)
    assert (one_each.nodata, one_each.data.dtype) == ((0, -1, 0), np.int16)
    with pytest.raises(InputError, match="here: 'nodata' has 2 numbers for 3 files"):
        open_raster(of(*paths, nodata=(0, -1)))


def sentinel(folder):
    """Write two bands of 10 m and one of 20 m, the coarse one first; all hold one gradient."""
    rows, columns = np.mgrid[:12, :10]
    fine = (100 * columns + 7 * rows).astype(np.int16)[None]
    coarse = fine.reshape(1, 6, 2, 5, 2).mean(axis=(2, 4)).astype(np.float32)
    return [
        write_raster(folder / "B05.tif", coarse, TWENTY),
        write_raster(folder / "B02.tif", fine, TEN),
        write_raster(folder / "B03.tif", fine, TEN),
    ], fine[0]


def test_bands_of_several_resolutions_come_to_the_finest(tmp_path):
    files, fine = sentinel(tmp_path)
    with pytest.raises(
        InputError, match=r"^.*B02\.tif and .*B05\.tif are .*of 10 x -10.*of 20 x -20.*--align"
    ):
        open_raster(of(*files))
    raster, opened = read(of(*files, align="bilinear"))
    assert (opened.grid.shape, opened.grid.transform) == ((12, 10), TEN)
    np.testing.assert_array_equal(raster.data[1:], [fine, fine])
    np.testing.assert_allclose(raster.data[0, 1:-1, 1:-1], fine[1:-1, 1:-1], atol=0.01)
    parts = [RasterRequest(str(files[0]), align="nearest"), *(RasterRequest(str(path)) for path in files[1:])]
    with rasterio.open(files[0]) as file:
        expected = file.read(1).repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(read(stack(parts))[0].data[0], expected)


def test_a_stack_is_aligned_with_another_raster_from_its_files(tmp_path):
    # bilinear from 20 m over 10 m to 5 m would not give the gradient of the 20 m band
    files, _ = sentinel(tmp_path)
    place = from_origin(500_020, 3_999_980, 5, 5)
    reference = open_raster(write_raster(tmp_path / "ref.tif", np.zeros((1, 12, 8), np.uint8), place))
    stacked = open_raster(of(*files, align="bilinear"))
    align_rasters("x", {"ref": reference, "s2": stacked})
    rows, columns = np.mgrid[:12, :8] + 0.5
    expected = 100 * ((20 + columns * 5) / 10 - 0.5) + 7 * ((20 + rows * 5) / 10 - 0.5)
    warps = [remark for remark in stacked.remarks if "warped to the grid of" in remark]
    assert len(warps) == 3
    assert all("ref.tif (bilinear)" in remark for remark in warps)
    for band in stacked.read().floats():
        np.testing.assert_allclose(band, expected, atol=0.01)


def test_bands_are_known_again_by_what_their_files_names_differ_in(files, tmp_path):
    known = KnownBands.of(read(of(*files))[0], of(*files))
    assert known.names == ("B00", "B01", "B02", "B03")
    later = [write_raster(tmp_path / f"T32_2024_B{n:02}_10m.tif", BANDS[n : n + 1]) for n in (2, 0, 1, 3)]
    with open_raster(of(*later)) as opened:
        take_bands(opened, known, "the model's")
        np.testing.assert_array_equal(opened.read().data, BANDS)
    other = [write_raster(tmp_path / f"{name}.tif", BANDS[:1]) for name in ("a", "b", "c", "d")]
    with open_raster(of(*other)) as opened:
        take_bands(opened, known, "the model's")  # files may have any names
        assert (
            "the names a, b, c, d are taken in this order, but the model's have the names B00"
            in (opened.remarks[0])
        )
    with (
        open_raster(Raster(BANDS, ("a", "b", "c", "d"))) as opened,
        pytest.raises(InputError, match="names a, b"),
    ):
        take_bands(opened, known, "the model's")


def test_what_is_stated_of_files_is_part_of_a_model():
    parts = (
        RasterRequest("a.tif", nodata=0, align="nearest"),
        RasterRequest("b.nc", key="x", axes="row, column, band"),
    )
    request = stack(parts, align="cubic", unit="dB", grid=True)
    known = KnownBands.from_json(KnownBands.of(Raster(BANDS), request).to_json())
    assert known.request.parts[0] == RasterRequest("", nodata=0, align="nearest")
    assert (known.request.align, known.request.grid, known.request.unit) == ("cubic", True, "dB")
    later = stack([RasterRequest("c.tif"), RasterRequest("d.nc", key="y")]).completed_by(known.request)
    assert later.parts == (
        RasterRequest("c.tif", nodata=0, align="nearest"),
        RasterRequest("d.nc", key="y", axes="row, column, band"),
    )
    assert (later.align, later.path) == ("cubic", "c.tif,d.nc")
