"""What a file says of its pixels, and what is stated of it, is applied by every way to read it."""

import h5py
import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from tiny_rasters import CRS, ORIGIN, write_raster

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters import Raster
from m3amba_zoo.rasters.opening import open_raster
from m3amba_zoo.rasters.request import RasterRequest, parse_path

CUBE = np.random.default_rng(0).integers(100, 3000, (3, 12, 10)).astype(np.int16)
TOP = np.zeros((12, 10), bool)
TOP[:4] = True


def read(path, **stated):
    with open_raster(RasterRequest(str(path), where="here", **stated)) as opened:
        raster = opened.read()
        for row in (0, 5):  # rows read one by one are the same
            np.testing.assert_array_equal(
                opened.read(row, row + 1).floats(), raster.floats()[:, row : row + 1]
            )
        return raster, opened.remarks


def vrt(path, size, bands):
    """Write a VRT of one-band files: ``(file, dtype, nodata)`` each."""
    entries = "".join(
        f'<VRTRasterBand dataType="{dtype}" band="{number}">'
        + ("" if nodata is None else f"<NoDataValue>{nodata}</NoDataValue>")
        + f"<SimpleSource><SourceFilename>{file}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>"
        "</VRTRasterBand>"
        for number, (file, dtype, nodata) in enumerate(bands, start=1)
    )
    path.write_text(f'<VRTDataset rasterXSize="{size[1]}" rasterYSize="{size[0]}">{entries}</VRTDataset>')
    return path


def test_every_band_has_its_own_nodata(tmp_path):
    values = (-9999, 0, None)
    for band, value in enumerate(values):
        data = CUBE[band : band + 1].copy()
        data[0, TOP] = -5 if value is None else value
        write_raster(tmp_path / f"{band}.tif", data, nodata=value)
    bands = [(tmp_path / f"{band}.tif", "Int16", value) for band, value in enumerate(values)]
    raster, _ = read(vrt(tmp_path / "a.vrt", (12, 10), bands))
    np.testing.assert_array_equal(raster.missing(), [TOP, TOP, np.zeros_like(TOP)])
    stated, remarks = read(tmp_path / "a.vrt", nodata=-5)
    np.testing.assert_array_equal(stated.missing(), [TOP, TOP, TOP])  # the file's own and the stated one
    assert "nodata is -5 as stated and" in remarks[0]
    by_band, _ = read(tmp_path / "a.vrt", nodata=(0, 0, -5))
    np.testing.assert_array_equal(by_band.missing(), [TOP, TOP, TOP])


def test_bands_of_several_dtypes_fit_in_one(tmp_path):
    write_raster(tmp_path / "a.tif", CUBE[:1])
    write_raster(tmp_path / "b.tif", CUBE[:1] / np.float32(7))
    bands = [(tmp_path / "a.tif", "Int16", None), (tmp_path / "b.tif", "Float32", None)]
    raster, _ = read(vrt(tmp_path / "a.vrt", (12, 10), bands))
    np.testing.assert_array_equal(raster.data, [CUBE[0], CUBE[0] / np.float32(7)])


def test_nodata_of_float32_is_found_among_float64(tmp_path):
    floats = CUBE.astype(np.float32)
    floats[:, TOP] = -1e34  # another number in float64
    write_raster(tmp_path / "a.tif", floats[:1], nodata=-1e34)
    write_raster(tmp_path / "b.tif", CUBE[:1].astype(np.int32))
    bands = [(tmp_path / "a.tif", "Float32", -1e34), (tmp_path / "b.tif", "Int32", None)]
    raster, _ = read(vrt(tmp_path / "a.vrt", (12, 10), bands))
    assert raster.data.dtype == np.float64
    np.testing.assert_array_equal(raster.missing(), [TOP, np.zeros_like(TOP)])
    assert Raster(np.full((1, 1, 1), np.inf), nodata=-1.8e308).missing().tolist() == [[[False]]]


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("float64", -1.7976931348623157e308), ("float32", -3.4e38), ("float32", 1e20), ("float16", np.inf)],
)
def test_very_large_values_are_refused_unless_they_are_marked(dtype, value):
    values = CUBE.astype(dtype)
    values[1, 2, 3:5] = value
    with pytest.raises(InputError, match=r"band 1 of 'hsi' holds 2 values .*row 2, column 3: ") as caught:
        Raster(values).check_finite("hsi")
    assert f"{values[1, 2, 3]:g}" in str(caught.value)
    Raster(values, nodata=float(values[1, 2, 3])).check_finite("hsi")
    values[1, 2, 3:5] = 6e4
    Raster(values).check_finite("hsi")


def test_every_band_has_its_own_mask(tmp_path):
    write_raster(tmp_path / "a.tif", CUBE)
    write_raster(tmp_path / "mask.tif", np.where(TOP, 0, 255).astype(np.uint8)[None])
    source = "<SimpleSource><SourceFilename relativeToVRT='1'>{}</SourceFilename></SimpleSource>"
    mask = f"<MaskBand><VRTRasterBand dataType='Byte'>{source.format('mask.tif')}</VRTRasterBand></MaskBand>"
    bands = "".join(
        f"<VRTRasterBand dataType='Int16' band='{band}'>{source.format('a.tif')}{of_band}</VRTRasterBand>"
        for band, of_band in ((1, ""), (2, mask))
    )
    (tmp_path / "a.vrt").write_text(f"<VRTDataset rasterXSize='10' rasterYSize='12'>{bands}</VRTDataset>")
    raster, _ = read(tmp_path / "a.vrt")
    np.testing.assert_array_equal(raster.missing(), [np.zeros_like(TOP), TOP])


@pytest.mark.parametrize("inside", [True, False], ids=["internal", "sidecar"])
def test_masks_of_files_tell_what_is_missing(tmp_path, inside):
    path = write_raster(tmp_path / "a.tif", CUBE, nodata=int(CUBE[0, 11, 9]))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=inside), rasterio.open(path, "r+") as file:
        file.write_mask(~TOP)
    raster, _ = read(path)
    np.testing.assert_array_equal(raster.missing(), TOP | (CUBE[0, 11, 9] == CUBE))
    assert np.isnan(raster.floats()[:, TOP]).all()


def test_masked_arrays_and_nan_are_missing():
    masked = np.ma.masked_array(CUBE, mask=np.broadcast_to(TOP, CUBE.shape))
    with open_raster(masked, "hsi") as opened:
        np.testing.assert_array_equal(opened.read().missing(), np.broadcast_to(TOP, CUBE.shape))
    floats = CUBE.astype(np.float32)
    floats[:, 0], floats[:, 1] = np.nan, -9999
    with open_raster(Raster(floats, nodata=-9999), "hsi") as opened:
        expected = np.zeros(CUBE.shape, bool)
        expected[:, :2] = True
        np.testing.assert_array_equal(opened.read().missing(), expected)
        assert opened.may_lack_values


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "the raster of 'hsi' is NoneType; a file, a list of files to be stacked, or an array"),
        ([CUBE, CUBE], "the raster of 'hsi' is list of ndarray; a file"),
        ([], "the raster of 'hsi' is an empty list; a file"),
        (CUBE[:, :0], "has 3 bands of 0 x 10 pixels; one is expected"),
        (CUBE.astype(object), "holds object; real numbers are expected"),
        (CUBE[0, 0], r"has shape \(10,\); bands, rows and columns are expected"),
    ],
)
def test_what_is_no_raster_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        open_raster(given, "hsi")


def test_scale_and_offset_are_applied_and_can_be_stated(tmp_path):
    data = CUBE.copy()
    data[:, TOP] = -1
    path = write_raster(tmp_path / "a.tif", data, nodata=-1)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (1e-4,) * 3, (-0.1,) * 3
    raster, remarks = read(path)
    np.testing.assert_allclose(raster.data[:, ~TOP], CUBE[:, ~TOP] * 1e-4 - 0.1, rtol=1e-5)
    assert raster.missing()[:, TOP].all()
    assert remarks == [f"{path}: values are the file's numbers x 0.0001 + -0.1, by its own tags"]
    plain, remarks = read(path, scale=1, offset=0)
    np.testing.assert_array_equal(plain.data, data)
    assert not remarks
    with pytest.raises(InputError, match=r"^here states the scale 0; a number other than 0 is"):
        read(path, scale=0.0)
    with pytest.raises(InputError, match=r"^here states the offset nan; a number is expected"):
        read(path, offset=float("nan"))
    with rasterio.open(path, "r+") as file:
        file.scales = (1, 1, 0)
    with pytest.raises(InputError, match=r"a\.tif: band 2 has the scale 0; a number other than 0 is"):
        read(path)
    assert len(read(path, bands=(0, 1))[0].data) == 2


def test_a_band_called_alpha_is_asked_about(tmp_path):
    rgbn = np.concatenate([CUBE, CUBE[:1]]).astype(np.uint8)
    rgbn[3, TOP] = 0
    path = write_raster(tmp_path / "naip.tif", rgbn)
    with pytest.raises(InputError, match=r"calls band 3 .* alpha; say .*--alpha mask \(alpha: in scene"):
        read(path)
    assert not read(path, alpha="data")[0].missing().any()
    assert len(read(path, bands=(0, 3))[0].data) == 2
    masked, _ = read(path, alpha="mask")
    assert len(masked.data) == 3
    np.testing.assert_array_equal(masked.missing(), np.broadcast_to(rgbn[3] == 0, masked.data.shape))
    for expected, how in ((4, "as data"), (3, "for the mask")):  # a model knows how many bands it reads
        with open_raster(path, "rgb", expected) as opened:
            assert len(opened.read().data) == expected
            assert f"band 3, which the file calls alpha, is taken {how}" in opened.remarks[0]


def test_bands_that_the_header_calls_bad_are_left_out_or_contradicted_aloud(tmp_path):
    path = write_raster(tmp_path / "a.img", CUBE, driver="ENVI")
    with (tmp_path / "a.hdr").open("a") as header:
        header.write("bbl = {0, 1, 1}\nwavelength units = um\nwavelength = {0.4, 0.5, 0.6}\n")
    raster, remarks = read(path)
    np.testing.assert_array_equal(raster.data, CUBE[1:])
    np.testing.assert_allclose(raster.wavelengths, [500, 600])
    assert (raster.numbers, raster.band_name(0)) == ((1, 2), "1 (500 nm)")
    assert remarks == [f"{path}: band 0 is left out, the file calls it bad (bbl)"]
    chosen, remarks = read(path, bands=(2, 0))
    np.testing.assert_array_equal(chosen.data, CUBE[[2, 0]])
    assert remarks == [f"{path}: band 0 is asked for, though the file calls it bad (bbl)"]


def test_points_on_the_ground_are_no_transform(tmp_path):
    points = [
        GroundControlPoint(r, c, 500_000 + c, 4_000_000 - r) for r, c in ((0, 0), (0, 9), (9, 0), (9, 9))
    ]
    path = write_raster(tmp_path / "a.tif", CUBE, transform=None, crs=None)
    with rasterio.open(path, "r+") as file:
        file.gcps = points, rasterio.crs.CRS.from_epsg(32617)
    with pytest.raises(InputError, match=r"placed by 4 ground control points.* -t_srs EPSG:32617 "):
        read(path)


def test_the_horizontal_part_of_a_crs_counts(tmp_path):
    path = write_raster(tmp_path / "a.tif", CUBE, crs="EPSG:32617+5773")
    with open_raster(path) as opened:
        assert (opened.grid.crs, opened.grid.transform) == (CRS, ORIGIN)


def test_an_array_of_several_is_named_by_its_key(tmp_path):
    path = tmp_path / "prisma.he5"
    with h5py.File(path, "w") as file:
        file["HDFEOS/SWATHS/A/Data Fields/VNIR_Cube"] = CUBE
        file["HDFEOS/SWATHS/A/Data Fields/SWIR_Cube"] = CUBE + 1
    with pytest.raises(InputError, match=r"holds 2 arrays; expected the key .*Data[ _]Fields/SWIR_Cube"):
        read(path)
    for key in ("SWIR_Cube", "Data Fields/SWIR_Cube"):
        with open_raster(parse_path(f"{path}:{key}")) as opened:
            np.testing.assert_array_equal(opened.read().data, CUBE + 1)
    with rasterio.open(path) as file:
        names = file.subdatasets
    np.testing.assert_array_equal(read(names[-1])[0].data, CUBE)
    with pytest.raises(InputError, match=r"has no array 'TIR_Cube'; it holds .*SWIR_Cube, .*VNIR_Cube"):
        read(path, key="TIR_Cube")


def test_matlab_files_are_read_the_right_way_round(tmp_path):
    path = tmp_path / "cube.mat"
    with h5py.File(path, "w") as file:  # v7.3: HDF5 with the axes reversed
        file["hsi"] = CUBE.transpose(0, 2, 1)
        file["hsi"].attrs["MATLAB_class"] = np.bytes_("int16")
    np.testing.assert_array_equal(read(path)[0].data, CUBE)
    with h5py.File(path, "a") as file:
        file["lidar"] = CUBE[0].T
    with pytest.raises(InputError, match=r"cube\.mat: is a MATLAB file, so .* as in cube\.mat:hsi"):
        read(path)
    lidar, remarks = read(path, key="lidar")
    np.testing.assert_array_equal(lidar.data, CUBE[:1])
    assert "was not written by MATLAB, which reverses the order of axes" in remarks[0]
    assert not read(path, key="hsi")[1]


def test_numpy_files_are_rasters(tmp_path):
    np.save(tmp_path / "a.npy", CUBE)
    np.testing.assert_array_equal(read(tmp_path / "a.npy")[0].data, CUBE)
    (tmp_path / "b.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:200])
    with pytest.raises(InputError, match=r"b\.npy: not a readable NumPy file"):
        read(tmp_path / "b.npy")
    np.save(tmp_path / "c.npy", np.array([[1, None]]))
    with pytest.raises(InputError, match=r"c\.npy: .*Object arrays cannot be loaded"):
        read(tmp_path / "c.npy")
    np.savez(tmp_path / "d.npz", hsi=CUBE, lidar=CUBE[0])
    np.testing.assert_array_equal(open_raster(parse_path(f"{tmp_path}/d.npz:hsi")).read().data, CUBE)
    with pytest.raises(InputError, match=r"d\.npz: has 2 arrays; expected the key .* it holds hsi, lidar"):
        read(tmp_path / "d.npz")


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"bands": (3,)}, "here: 'bands' has 3, but .* has 3 bands; numbers from 0 to 2"),
        ({"nodata": (1, 2)}, "here: 'nodata' has 2 numbers, but .* has 3 bands"),
        ({"wavelengths": (1, 2)}, "here: 'wavelengths' has 2 numbers, but .* has 3 bands"),
        ({"wavelengths": (0.4, 0.5, 0.6)}, "here: 'wavelengths' has 0.4, but nm .* look like micrometres"),
        ({"wavelengths": (400, float("nan"), 600)}, "here: 'wavelengths' has nan, but nm are expected"),
        ({"key": "x"}, "has no array 'x', it holds one raster"),
    ],
)
def test_what_does_not_fit_the_file_is_refused(tmp_path, stated, message):
    path = write_raster(tmp_path / "a.tif", CUBE)
    with pytest.raises(InputError, match=message):
        read(path, **stated)
