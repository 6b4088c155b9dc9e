"""Rasters on another grid are warped while they are read, exactly where they lie and no further."""

import re

import numpy as np
import pyproj
import pytest
import rasterio
from rasterio.transform import Affine, from_origin
from tiny_rasters import CRS, write_raster

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters import warped
from m3amba_zoo.rasters.grid import Grid
from m3amba_zoo.rasters.opening import align_rasters, open_raster
from m3amba_zoo.rasters.request import RasterRequest

ORIGIN = from_origin(500_000, 4_000_000, 10, 10)
SHAPE = (60, 80)
METHODS = ("bilinear", "cubic", "nearest", "average")
GRIDS = {
    "finer": Grid((50, 60), CRS, from_origin(500_100, 3_999_900, 3, 3), "finer"),
    "coarser": Grid((17, 22), CRS, from_origin(500_003, 3_999_996, 35, 35), "coarser"),
    "rotated": Grid(
        (40, 50),
        CRS,
        Affine.translation(500_200, 3_999_900) * Affine.rotation(25) * Affine.scale(7, -7),
        "rotated",
    ),
    "moved": Grid((70, 90), CRS, from_origin(499_953, 4_000_042, 10, 10), "moved"),
    "zone": Grid((30, 40), "EPSG:32616", from_origin(1_040_250, 4_016_650, 8, 8), "zone"),
    "degrees": Grid((30, 30), "EPSG:4326", from_origin(-80.9995, 36.144, 1e-4, 1e-4), "degrees"),
}


def centres(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y ``(H, W)`` of the pixels' centres in the CRS of the raster that is warped."""
    rows, columns = np.mgrid[: grid.shape[0], : grid.shape[1]] + 0.5
    a, b, c, d, e, f = grid.transform[:6]
    x, y = a * columns + b * rows + c, d * columns + e * rows + f
    if grid.crs == CRS:
        return x, y
    return pyproj.Transformer.from_crs(grid.crs, CRS, always_xy=True).transform(x, y)


def plane(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 0.5 * (x - 500_000) + 2 * (4_000_000 - y)


def own_pixels(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return row and column of the warped raster's pixel under each centre; outside of it, too."""
    x, y = centres(grid)
    return np.floor((4_000_000 - y) / 10).astype(int), np.floor((x - 500_000) / 10).astype(int)


def inside(grid: Grid) -> np.ndarray:
    rows, columns = own_pixels(grid)
    return (rows >= 0) & (rows < SHAPE[0]) & (columns >= 0) & (columns < SHAPE[1])


SOURCE = Grid(SHAPE, CRS, ORIGIN, "source")
PLANE = plane(*centres(SOURCE))


def aligned(path, grid, method, **stated):
    with open_raster(RasterRequest(str(path), **stated)) as opened:
        opened.align(grid, method)
        raster = opened.read()
        for row in (0, grid.shape[0] // 2):  # rows read one by one are the same
            alone = opened.read(row, row + 1).floats()
            np.testing.assert_allclose(alone, raster.floats()[:, row : row + 1], rtol=1e-6)
        assert opened.may_lack_values
        return raster


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", GRIDS)
def test_a_gradient_is_itself_on_another_grid(tmp_path, name, method):
    grid = GRIDS[name]
    path = write_raster(tmp_path / "a.tif", PLANE.astype(np.float32)[None], ORIGIN)
    raster = aligned(path, grid, method)
    expected = inside(grid)
    assert expected.sum() > 100
    assert (expected.sum() < expected.size) == (name in ("moved", "rotated"))
    np.testing.assert_array_equal(~raster.missing()[0], expected)
    error = np.abs(raster.floats()[0] - plane(*centres(grid)))
    rows, columns = own_pixels(grid)
    border = 8 if name == "coarser" else 2  # where the kernel reaches over the edge
    core = (rows >= border) & (rows < SHAPE[0] - border) & (columns >= border) & (columns < SHAPE[1] - border)
    # the plane changes by 5 over a pixel and by 20 down one; nearest is off by half of both at most
    most = {"nearest": 12.51, "average": 12.51}.get(method, 0.4 if name == "coarser" else 0.01)
    assert error[core].max() < most


def test_values_do_not_depend_on_the_tiles(tmp_path, monkeypatch):
    data = np.random.default_rng(0).random((3, *SHAPE)).astype(np.float32)
    data[1, 20:30, 20:40] = np.nan
    path = write_raster(tmp_path / "a.tif", data, ORIGIN)
    for name in ("coarser", "rotated", "zone"):
        for method in METHODS:
            monkeypatch.setattr(warped, "LARGEST_TILE", 1024)
            whole = aligned(path, GRIDS[name], method).floats()
            monkeypatch.setattr(warped, "LARGEST_TILE", 7)
            np.testing.assert_allclose(aligned(path, GRIDS[name], method).floats(), whole, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("how", ["nodata", "mask", "alpha", "nan"])
def test_missing_pixels_stay_missing_and_spoil_no_other(tmp_path, how, method):
    # the second band lacks other pixels than the first, where each band has nodata of its own
    data = np.stack([PLANE, PLANE + 1]).astype(np.float32 if how == "nan" else np.int16)
    gaps = np.zeros((2, *SHAPE), bool)
    gaps[0, 10:20, 10:30] = gaps[1, 40:50, 50:60] = True
    if how in ("mask", "alpha"):
        gaps[:] = gaps.any(axis=0)
    data[gaps] = np.nan if how == "nan" else -9999
    stated = {}
    if how == "alpha":
        data = np.concatenate([data, ~gaps[:1] * np.int16(255)])
        stated["alpha"] = "mask"
    path = write_raster(tmp_path / "a.tif", data, ORIGIN, nodata=-9999 if how == "nodata" else None)
    with rasterio.open(path, "r+") as file:
        if how == "mask":
            file.write_mask(~gaps[0])
        if how == "alpha":
            file.colorinterp = (*file.colorinterp[:2], rasterio.enums.ColorInterp.alpha)
    grid = GRIDS["finer"]._replace(shape=(300, 300), transform=from_origin(499_990, 4_000_010, 3, 3))
    raster = aligned(path, grid, method, **stated)
    there, (rows, columns) = inside(grid), own_pixels(grid)
    expected = np.ones(raster.data.shape, bool)
    expected[:, there] = gaps[:, rows[there], columns[there]]
    np.testing.assert_array_equal(raster.missing(), expected)
    error = np.abs(raster.floats() - plane(*centres(grid)) - np.array([0, 1])[:, None, None])
    assert np.nanmax(error) < 14  # -9999 has no part in any value
    assert raster.data.dtype == (data.dtype if method == "nearest" else np.float32)


def test_every_band_has_its_own_nodata_and_scale_comes_after(tmp_path):
    data = np.stack([PLANE, PLANE]).astype(np.int16)
    data[0, :10], data[1, 50:] = 7, 9
    path = write_raster(tmp_path / "a.tif", data, ORIGIN)
    grid = GRIDS["moved"]
    scaled = aligned(path, grid, "bilinear", nodata=(7, 9), scale=0.5, offset=-3)
    there, (rows, columns) = inside(grid), own_pixels(grid)
    np.testing.assert_array_equal(~scaled.missing()[0], there & (rows >= 10))
    np.testing.assert_array_equal(~scaled.missing()[1], there & (rows < 50))
    core = there & (rows > 10) & (rows < 49) & (columns > 0) & (columns < 79)
    error = scaled.data[:, core] - (0.5 * plane(*centres(grid))[core] - 3)
    assert np.abs(error).max() < 0.6  # the plane is rounded to whole numbers


def test_integers_keep_their_values_and_dtype_with_nearest(tmp_path):
    values = np.random.default_rng(0).integers(0, 2**16, (1, *SHAPE), dtype=np.uint16)
    grid = GRIDS["rotated"]
    raster = aligned(write_raster(tmp_path / "a.tif", values, ORIGIN), grid, "nearest")
    there, (rows, columns) = inside(grid), own_pixels(grid)
    assert raster.data.dtype == np.uint16
    np.testing.assert_array_equal(raster.data[0, there], values[0, rows[there], columns[there]])


def test_average_is_the_mean_of_what_a_pixel_covers(tmp_path):
    data = np.random.default_rng(0).random((1, *SHAPE))
    data[0, 5] = np.nan
    path = write_raster(tmp_path / "a.tif", data, ORIGIN)
    raster = aligned(path, Grid((15, 20), CRS, from_origin(500_000, 4_000_000, 40, 40), "b"), "average")
    expected = np.nanmean(data[0].reshape(15, 4, 20, 4), axis=(1, 3))
    np.testing.assert_allclose(raster.data[0], expected, rtol=1e-12)


def opened_pair(folder, **other):
    """Open two rasters: the second one finer, and aligned if it says so."""
    place = {"transform": from_origin(500_000, 4_000_000, 5, 5), "crs": CRS} | other
    stated = {name: place.pop(name) for name in ("align", "grid") if name in place}
    first = write_raster(folder / "hsi.tif", PLANE.astype(np.float32)[None], ORIGIN)
    second = write_raster(folder / "sar.tif", np.ones((1, 40, 50), np.float32), **place)
    return {"hsi": open_raster(first), "sar": open_raster(RasterRequest(str(second), **stated))}


def test_the_first_raster_is_the_reference_or_the_one_asked_for(tmp_path):
    rasters = opened_pair(tmp_path, align="bilinear")
    assert align_rasters("x", rasters).transform == ORIGIN
    assert rasters["sar"].read().shape == SHAPE
    assert "warped to the grid of" in rasters["sar"].remarks[0]
    assert "of which it covers 10%" in rasters["sar"].remarks[0]
    rasters = opened_pair(tmp_path, grid=True)
    rasters["hsi"].stated = RasterRequest("hsi.tif", align="bilinear")
    assert align_rasters("x", rasters).shape == rasters["hsi"].read().shape == (40, 50)
    with pytest.raises(InputError, match="the grid of 'dsm' is asked for, but the rasters are hsi, sar"):
        align_rasters("x", rasters, "dsm")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {},
            r"scene 'x': .*hsi\.tif and .*sar\.tif are 60 x 80 and 40 x 50 pixels .*: the one has 60 x 80 "
            r"pixels .* of 10 x -10, EPSG:32617, upper left corner \(500000, 4000000\); the other has 40 "
            r"x 50 pixels .* of 5 x -5, .*; one common grid is expected, or --align \(align: ",
        ),
        (
            {"align": "cubic", "transform": from_origin(600_000, 4_100_000, 5, 5)},
            r"sar\.tif and .*hsi\.tif do not overlap: the one reaches over x 600000 to 600250, y 4099800 to "
            r"4100000 \(EPSG:32617\), the other over x 500000 to 500800, y 3999400 to 4000000 ",
        ),
        (
            {"align": "cubic", "crs": None},
            r"sar\.tif cannot be aligned with .*hsi\.tif: .*sar\.tif has no CRS, .*hsi\.tif has EPSG:32617",
        ),
        (
            {"align": "cubic", "transform": None, "crs": None},
            r"sar\.tif cannot be aligned with .*hsi\.tif: .*sar\.tif is not georeferenced",
        ),
    ],
    ids=["not asked for", "elsewhere", "no CRS", "no place"],
)
def test_grids_that_cannot_be_brought_together_are_refused(tmp_path, other, message):
    with pytest.raises(InputError, match=message) as caught:
        align_rasters("x", opened_pair(tmp_path, **other))
    assert "\n" not in str(caught.value)


def test_a_missing_crs_is_that_of_the_raster_with_the_same_coordinates(tmp_path):
    write_raster(tmp_path / "hsi.tif", PLANE[None], crs=None)
    write_raster(tmp_path / "sar.tif", PLANE[None])
    rasters = {name: open_raster(tmp_path / f"{name}.tif", name) for name in ("hsi", "sar")}
    assert align_rasters("x", rasters).crs == CRS
    (remark,) = rasters["hsi"].remarks
    assert re.search(r"hsi\.tif: has no CRS; it is taken to be in EPSG:32617, as is .*sar\.tif", remark)
    assert not rasters["sar"].remarks


@pytest.mark.parametrize("left", [179.9, -180.1])
@pytest.mark.parametrize("method", ["nearest", "bilinear"])
def test_a_raster_reaches_over_the_180th_meridian(tmp_path, left, method):
    columns = np.broadcast_to(np.arange(80, dtype=np.float32), (60, 80))
    path = write_raster(
        tmp_path / "a.tif", columns[None], from_origin(left, -16.95, 0.0025, 0.0025), "EPSG:4326"
    )
    for crs, transform in (
        ("EPSG:4326", from_origin(-180.05, -16.96, 0.0025, 0.0025)),  # 20 columns further right
        ("EPSG:32701", from_origin(180_000, 8_119_000, 100, 100)),
    ):
        with open_raster(path) as raster:
            raster.align(Grid((20, 30), crs, transform, "ref"), method)
            assert not any("of which it covers" in remark for remark in raster.remarks)
            found = raster.read().floats()[0]
        if crs == "EPSG:4326":
            np.testing.assert_allclose(found, np.broadcast_to(np.arange(20, 50), (20, 30)), atol=0.01)
        else:
            assert not np.isnan(found).any()
            assert (np.diff(found, axis=1) >= 0).all()


def test_rasters_in_an_unknown_plane_are_aligned_in_it(tmp_path):
    path = write_raster(tmp_path / "a.tif", PLANE.astype(np.float32)[None], ORIGIN, crs=None)
    raster = aligned(path, GRIDS["rotated"]._replace(crs=None), "bilinear")
    there = inside(GRIDS["rotated"])
    np.testing.assert_array_equal(~raster.missing()[0], there)
    np.testing.assert_allclose(raster.data[0, there], plane(*centres(GRIDS["rotated"]))[there], atol=10)
