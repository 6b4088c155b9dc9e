"""Products of space agencies are read as they define their arrays, never transposed; so is xarray."""

import h5py
import numpy as np
import pytest
import rasterio
import xarray
from rasterio.transform import Affine, from_origin
from tiny_rasters import write_raster

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.grid import Grid
from m3amba_zoo.rasters.opening import open_raster
from m3amba_zoo.rasters.request import RasterRequest, parse_path

CRS, ORIGIN = "EPSG:32632", from_origin(600_000, 5_000_000, 30, 30)
ROWS, COLUMNS = 9, 11


def read(request):
    with open_raster(request) as opened:
        raster = opened.read()
        for row in (0, 5):
            np.testing.assert_array_equal(
                opened.read(row, row + 1).floats(), raster.floats()[:, row : row + 1]
            )
        return raster, opened


def numbers(*shape, least=1, most=9000, dtype=np.int16):
    return np.random.default_rng(0).integers(least, most, shape).astype(dtype)


# EnMAP: 6 bands, the third one empty


def write_enmap(folder, data, gain=1e-4, count=None):
    """Write image and metadata of a level 2A product; return the image."""
    name = "ENMAP01-____L2A-DT0000001867_20220724T104526Z_008_V010302_20230628T165614Z"
    image = write_raster(folder / f"{name}-SPECTRAL_IMAGE.TIF", data, ORIGIN, CRS)
    bands = "".join(
        f'<bandID number="{n + 1}"><wavelengthCenterOfBand>{420 + 10 * n}.5</wavelengthCenterOfBand>'
        f"<FWHMOfBand>6.9</FWHMOfBand><GainOfBand>{gain}</GainOfBand><OffsetOfBand>0</OffsetOfBand></bandID>"
        for n in range(count or len(data))
    )
    statistics = "".join(
        f'<bandID number="{n + 1}"><mean>{mean}</mean><stdDeviation>{deviation}</stdDeviation></bandID>'
        for n, (mean, deviation) in enumerate(
            [(-1000000, 0) if n == 2 else (1200.5, 3) for n in range(len(data))]
        )
    )
    (folder / f"{name}-METADATA.XML").write_text(
        "<level_X><base><level>L2A</level></base><specific><backgroundValue>-32768</backgroundValue>"
        f"<bandCharacterisation>{bands}</bandCharacterisation></specific>"
        f"<product><bandStatistics>{statistics}</bandStatistics></product></level_X>"
    )
    return image


def test_enmaps_metadata_describe_the_image_beside_them(tmp_path):
    data = numbers(6, ROWS, COLUMNS)
    data[2] = data[:, 0, 0] = -32768
    image = write_enmap(tmp_path, data)
    for path in (image, next(tmp_path.glob("*METADATA.XML"))):
        raster, opened = read(str(path))
        kept = [0, 1, 3, 4, 5]
        np.testing.assert_allclose(raster.wavelengths, [420.5, 430.5, 450.5, 460.5, 470.5])
        np.testing.assert_array_equal(raster.missing(), data[kept] == -32768)
        np.testing.assert_allclose(raster.data[:, 1:], data[kept, 1:] * 1e-4, rtol=1e-6)
        assert (opened.grid.crs, opened.grid.transform) == (CRS, ORIGIN)
        assert any("band 2 is left out, the file calls it bad (no pixel" in note for note in opened.remarks)
    image.unlink()
    with pytest.raises(InputError, match=r"METADATA\.XML: there is no image ENMAP01.*SPECTRAL_IMAGE\.TIF"):
        read(str(path))
    with pytest.raises(InputError, match=r"METADATA\.XML: describes 7 bands, but .* has 6"):
        read(str(write_enmap(tmp_path, data, count=7)))
    path.write_text("<level_X>")
    with pytest.raises(InputError, match=r"METADATA\.XML: not the metadata of an EnMAP product"):
        read(str(image))


# PRISMA: VNIR from long to short waves with an empty band, SWIR that overlaps it


def write_prisma(path, vnir, swir, half=True, **changed):
    """Write cubes (rows, bands, columns) of a level 2D product; its corners are centres of pixels, or not."""
    right, bottom = (size - 1 if half else size for size in (COLUMNS, ROWS))
    left, top = (600_015, 4_999_985) if half else (600_000, 5_000_000)
    attributes = {
        "List_Cw_Vnir": np.array([970, 700, 410, 0], np.float32),
        "List_Cw_Swir": np.array([0, 2400, 1500, 950], np.float32),
        "L2ScaleVnirMin": np.float32(0.1),
        "L2ScaleVnirMax": np.float32(0.9),
        "L2ScaleSwirMin": np.float32(0),
        "L2ScaleSwirMax": np.float32(0.5),
        "Epsg_Code": np.uint32(32632),
        "Product_ULcorner_easting": np.float64(left),
        "Product_ULcorner_northing": np.float64(top),
        "Product_LRcorner_easting": np.float64(left + 30 * right),
        "Product_LRcorner_northing": np.float64(top - 30 * bottom),
    } | changed
    with h5py.File(path, "w") as file:
        file.attrs.update(attributes)
        fields = "HDFEOS/SWATHS/PRS_L2D_HCO/Data Fields"
        file[f"{fields}/VNIR_Cube"], file[f"{fields}/SWIR_Cube"] = vnir, swir
        file["HDFEOS/SWATHS/PRS_L2D_HCO/Geolocation Fields/Latitude"] = np.zeros((ROWS, COLUMNS))
    return path


@pytest.fixture
def cubes():
    both = numbers(2, ROWS, 4, COLUMNS, most=65536, dtype=np.uint16)
    both[:, 7:, :, :3] = 0  # beside the swath
    both[0, 2, 1, 2] = 0  # as dark as it gets
    return both


def test_both_cubes_of_prisma_are_one_raster_in_the_order_of_wavelengths(tmp_path, cubes):
    vnir, swir = cubes
    for half in (True, False):
        raster, opened = read(str(write_prisma(tmp_path / "p.he5", vnir, swir, half)))
        np.testing.assert_array_equal(raster.wavelengths, [410, 700, 950, 970, 1500, 2400])
        bands = [(vnir, 2), (vnir, 1), (swir, 3), (vnir, 0), (swir, 2), (swir, 1)]
        counts = np.stack([cube[:, band] for cube, band in bands])
        low, span = np.array([(0.1, 0.8) if cube is vnir else (0, 0.5) for cube, _ in bands]).T[
            :, :, None, None
        ]
        missing = np.zeros(counts.shape, bool)
        missing[:, 7:, :3] = True
        np.testing.assert_array_equal(raster.missing(), missing)
        np.testing.assert_allclose(raster.data[~missing], (low + span * counts / 65535)[~missing], atol=1e-6)
        assert (opened.grid.crs, opened.grid.transform) == (CRS, ORIGIN)
    assert any(
        "bands 6-7 are left out, the file calls them bad (its wavelength is 0)" in r for r in opened.remarks
    )
    with pytest.raises(
        InputError, match=r"its corners lie 450 x .* m apart, which are no 11 x 9 pixels of 30 m"
    ):
        read(str(write_prisma(tmp_path / "p.he5", vnir, swir, Product_LRcorner_easting=600_465.0)))


@pytest.mark.parametrize(
    "name", ["{}:SWIR_Cube", 'HDF5:"{}"://HDFEOS/SWATHS/PRS_L2D_HCO/Data_Fields/SWIR_Cube']
)
def test_one_cube_of_prisma_comes_in_the_order_of_the_file(tmp_path, cubes, name):
    raster, opened = read(parse_path(name.format(write_prisma(tmp_path / "p.he5", *cubes))))
    np.testing.assert_array_equal(raster.wavelengths, [2400, 1500, 950])
    np.testing.assert_allclose(raster.data[1, :7], cubes[1][:7, 2] * 0.5 / 65535, atol=1e-6)
    assert (opened.bands_in_file, raster.numbers, opened.grid.transform) == (4, (1, 2, 3), ORIGIN)


def test_prisma_is_warped_like_any_raster(tmp_path, cubes):
    path = write_prisma(tmp_path / "p.he5", *cubes)
    grid = Grid((18, 22), CRS, from_origin(600_000, 5_000_000, 15, 15), "s2")
    expected = read(str(path))[0].floats()
    with open_raster(str(path)) as opened:
        opened.align(grid, "nearest")
        found = opened.read().floats()
    np.testing.assert_array_equal(found, expected.repeat(2, axis=1).repeat(2, axis=2))


# EMIT: measured along the orbit, 5 rows of 4; the map grid turns it


def write_emit(path, measured, table=True):
    """Write a level 2A product of 4 bands, the second one not good."""
    with h5py.File(path, "w") as file:
        file.attrs["geotransform"] = np.array([-100.0, 0.0005, 0, 40.0, 0, -0.0005])
        file.attrs["spatial_ref"] = rasterio.crs.CRS.from_epsg(4326).to_wkt()
        dims = {"downtrack": 5, "crosstrack": 4, "bands": 4, "ortho_y": 6, "ortho_x": 7}
        for name, size in dims.items():
            file[name] = np.zeros(size, np.float32)
            file[name].make_scale("This is a netCDF dimension but not a netCDF variable.")

        def write(name, data, *dimensions):
            file[name] = data
            for number, dimension in enumerate(dimensions):
                file[name].dims[number].attach_scale(file[dimension])

        write("reflectance", measured, "downtrack", "crosstrack", "bands")
        file["reflectance"].attrs["_FillValue"] = np.float32([-9999])
        write("sensor_band_parameters/wavelengths", np.float32([400, 1380, 1500, 2400]), "bands")
        write("sensor_band_parameters/good_wavelengths", np.uint8([1, 0, 1, 1]), "bands")
        write("location/lat", np.zeros((5, 4)), "downtrack", "crosstrack")
        if table:
            rows, columns = np.zeros((2, 6, 7), np.int32)
            rows[1:, 1:5], columns[1:, 1:5] = np.arange(5, 0, -1)[:, None], np.arange(4, 0, -1)
            write("location/glt_x", columns, "ortho_y", "ortho_x")
            write("location/glt_y", rows, "ortho_y", "ortho_x")
    return path


def test_emit_is_put_on_its_map_grid(tmp_path):
    measured = np.random.default_rng(0).random((5, 4, 4)).astype(np.float32)
    measured[2, 3, 0] = -9999
    path = write_emit(tmp_path / "EMIT_L2A_RFL.nc", measured)
    for name in (str(path), f"{path}:reflectance"):
        raster, opened = read(parse_path(name))
        np.testing.assert_array_equal(raster.wavelengths, [400, 1500, 2400])
        expected = np.full((3, 6, 7), np.nan, np.float32)
        expected[:, 1:, 1:5] = measured[::-1, ::-1].transpose(2, 0, 1)[[0, 2, 3]]
        expected[expected == -9999] = np.nan
        np.testing.assert_array_equal(raster.floats(), expected)
        assert (opened.grid.crs, opened.grid.transform) == (
            "EPSG:4326",
            Affine(0.0005, 0, -100, 0, -0.0005, 40),
        )
    assert opened.remarks == [
        f"{path}: key 'reflectance': band 1 is left out, the file calls it bad (good_wavelengths)"
    ]
    with pytest.raises(
        InputError, match=r"its rows and columns follow the orbit, and location/glt_x .* absent"
    ):
        read(str(write_emit(path, measured, table=False)))


# any other HDF5 or NetCDF file


def write_array(path, data, dims=(), **coordinates):
    """Write an array with named axes, and coordinates along them, as NetCDF version 4 does."""
    with h5py.File(path, "w") as file:
        file["cube"] = data
        for number, name in enumerate(dims):
            file[name] = np.asarray(coordinates.get(name, np.zeros(data.shape[number])))
            unnamed = (
                () if name in coordinates else ("This is a netCDF dimension but not a netCDF variable.",)
            )
            file[name].make_scale(*unnamed)
            file["cube"].dims[number].attach_scale(file[name])
        file["cube"].attrs["_FillValue"] = data.dtype.type(7)
    return path


def test_the_names_of_axes_tell_their_order(tmp_path):
    data = numbers(5, ROWS, COLUMNS)
    data[1, 2, 3] = 7
    x, y = 600_015 + 30.0 * np.arange(COLUMNS), 4_999_985 - 30.0 * np.arange(ROWS)
    for dims in (("y", "x", "wavelength"), ("wavelength", "y", "x"), ("y", "wavelength", "x")):
        order = [("wavelength", "y", "x").index(name) for name in dims]
        path = tmp_path / f"{'_'.join(dims)}.nc"
        nm = 400 + 10.0 * np.arange(5)
        raster, opened = read(
            RasterRequest(
                str(write_array(path, data.transpose(order), dims, x=x, y=y, wavelength=nm)), "cube"
            )
        )
        np.testing.assert_array_equal(raster.data, data)
        assert raster.missing().sum() == (data == 7).sum()
        assert opened.grid.transform == ORIGIN
        if dims[0] == "y":
            np.testing.assert_array_equal(raster.wavelengths, nm)
            assert "have no unit and are taken as nm" in opened.remarks[0]


def test_names_in_hdf5_need_not_be_utf8(tmp_path):
    data = numbers(3, ROWS, COLUMNS)
    path = write_array(tmp_path / "a.nc", data, ("band", "y", "x"))
    with h5py.File(path, "a") as file:
        file.move("band", b"b\xe4nder")
        file.move("cube", b"w\xfcrfel")
    stated = RasterRequest(str(path), axes="band, row, column")
    np.testing.assert_array_equal(read(stated)[0].data, data)


def test_attributes_of_netcdf_say_what_is_missing_and_unsigned(tmp_path):
    data = numbers(2, ROWS, COLUMNS).astype(np.int16)
    data[0, 0, :4] = 7, -1, 9, -30_000
    expected = np.zeros(data.shape, bool)
    path = write_array(tmp_path / "a.nc", data, ("band", "y", "x"))  # its fill value is 7
    for attributes, missing in (
        ({"missing_value": np.int16([-1, 9])}, [7, -1, 9]),
        ({"valid_range": np.int16([0, 30_000])}, [7, -1, -30_000]),
        ({"valid_min": np.int16(-2)}, [7, -30_000]),
    ):
        with h5py.File(path, "a") as file:
            file["cube"].attrs.update(attributes)
        expected = np.isin(data, missing)
        np.testing.assert_array_equal(read(str(path))[0].missing(), expected)
        with h5py.File(path, "a") as file:
            for name in attributes:
                del file["cube"].attrs[name]
    with h5py.File(path, "a") as file:
        file["cube"].attrs["_Unsigned"] = "true"
        file["cube"].attrs["_FillValue"] = np.int16(-30_000)
    raster = read(str(path))[0]
    np.testing.assert_array_equal(raster.data, data.view(np.uint16))
    assert raster.data[raster.missing()].tolist() == [65_536 - 30_000]


def test_axes_without_names_are_asked_for(tmp_path):
    data = numbers(8, ROWS, COLUMNS)
    path = write_array(tmp_path / "a.h5", data.transpose(1, 2, 0))
    with pytest.raises(
        InputError, match=r"'cube' of 9 x 11 x 8 does not say which axis is which; expected 'axes'"
    ):
        read(str(path))
    np.testing.assert_array_equal(read(RasterRequest(str(path), axes="row, column, band"))[0].data, data)
    named = write_array(tmp_path / "b.nc", data, ("band", "y", "x"))
    with pytest.raises(
        InputError, match=r"the axes of 'cube' are band, row, column by the names .* row, column, band"
    ):
        read(RasterRequest(str(named), axes="row, column, band", where="the model"))
    raster, opened = read(str(write_array(tmp_path / "c.h5", data[:3])))
    np.testing.assert_array_equal(raster.data, data[:3])
    assert "the first axis of 3 x 9 x 11 is taken for the bands" in opened.remarks[0]
    np.save(tmp_path / "d.npy", data.transpose(1, 2, 0))
    np.testing.assert_array_equal(
        read(RasterRequest(str(tmp_path / "d.npy"), axes="row, column, band"))[0].data, data
    )


def test_classic_netcdf_is_not_turned_upside_down_nor_transposed(tmp_path):
    data = numbers(3, ROWS, COLUMNS)
    for dims in (("band", "y", "x"), ("y", "x", "band")):
        array = xarray.DataArray(data, dims=("band", "y", "x")).transpose(*dims)
        array.to_netcdf(tmp_path / f"{dims[0]}.nc", engine="scipy")
        with rasterio.open(tmp_path / f"{dims[0]}.nc") as file:
            understood = file.count == 3  # by GDAL from version 3.10 on
        if understood:
            np.testing.assert_array_equal(read(str(tmp_path / f"{dims[0]}.nc"))[0].data, data)
        else:
            with pytest.raises(InputError, match=r"y\.nc: its first axis is 'y', which is no axis of bands"):
                read(str(tmp_path / "y.nc"))


def test_netcdf_that_gdal_would_transpose_is_refused(tmp_path):
    array = xarray.DataArray(numbers(3, ROWS, COLUMNS), dims=("band", "y", "x"))
    for dims in (("band", "x", "y"), ("x", "y", "band")):
        array.transpose(*dims).to_netcdf(tmp_path / "a.nc", engine="scipy")
        with pytest.raises(InputError, match=r"a\.nc: its columns come before its rows"):
            read(str(tmp_path / "a.nc"))
    path = write_array(tmp_path / "b.nc", array.data[None].swapaxes(2, 3), ("time", "band", "x", "y"))
    with pytest.raises(InputError, match=r"has 4 axes, None, band, column, row; three, or rows and columns"):
        read(str(path))


def test_a_product_cut_short_is_refused(tmp_path, cubes):
    path = write_prisma(tmp_path / "p.he5", *cubes)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(
        InputError, match=r"p\.he5: not a readable HDF5 file, it may be cut short or damaged \("
    ):
        read(str(path))


# xarray


def labelled(data, dims=("band", "y", "x"), **attributes):
    x, y = 600_015 + 30.0 * np.arange(COLUMNS), 4_999_985 - 30.0 * np.arange(ROWS)
    array = xarray.DataArray(data, dims=("band", "y", "x"), coords={"x": x, "y": y}, attrs=attributes)
    return array.transpose(*dims)


@pytest.mark.parametrize("dims", [("band", "y", "x"), ("y", "x", "band"), ("x", "y", "band")])
def test_xarrays_coordinates_say_what_is_where(dims):
    data = numbers(4, ROWS, COLUMNS)
    data[:, 0, 0] = -9999
    array = labelled(data, dims, _FillValue=-9999)
    wavelengths = xarray.Variable("band", [0.4, 0.5, 0.6, 0.7], {"units": "micrometers"})
    mapping = xarray.Variable((), 0, {"crs_wkt": rasterio.crs.CRS.from_epsg(32632).to_wkt()})
    array = array.assign_coords(wavelength=wavelengths, spatial_ref=mapping)
    raster, opened = read(array)
    np.testing.assert_array_equal(raster.data, data)
    np.testing.assert_array_equal(raster.missing(), data == -9999)
    np.testing.assert_allclose(raster.wavelengths, [400, 500, 600, 700])
    assert (opened.grid.crs, opened.grid.transform) == (CRS, ORIGIN)


def test_xarrays_of_one_band_with_names_or_with_strange_axes():
    data = numbers(2, ROWS, COLUMNS).astype(np.float32)
    array = labelled(data, long_name=("VV", "VH"), crs="EPSG:32632")
    raster, opened = read(array)
    assert (raster.bands, opened.grid.crs) == (("VV", "VH"), CRS)
    flat, opened = read(array[0].rename(x="lon", y="lat"))
    np.testing.assert_array_equal(flat.data, data[:1])
    assert opened.grid.transform == ORIGIN
    with pytest.raises(InputError, match=r"the array of '.*': its axes are a, b, c; names that tell rows"):
        open_raster(xarray.DataArray(data, dims=("a", "b", "c")))


def test_attributes_of_xarrays_are_numbers():
    array = xarray.DataArray(numbers(3, ROWS, COLUMNS), dims=("band", "y", "x"))
    for name, value in (("_FillValue", "none"), ("scale_factor", [1.0, 2.0]), ("add_offset", "x")):
        with pytest.raises(InputError, match=f"its attribute '{name}' is .*; a number is expected"):
            read(array.assign_attrs({name: value}))
    days = np.arange(ROWS).astype("datetime64[D]")
    assert read(array.assign_coords(y=days, x=np.arange(COLUMNS)))[1].grid.transform is None


def test_xarrays_are_warped_like_files(tmp_path):
    data = numbers(2, ROWS, COLUMNS).astype(np.float32)
    grid = Grid((20, 20), CRS, from_origin(600_050, 4_999_950, 10, 10), "b")
    path = write_raster(tmp_path / "a.tif", data, ORIGIN, CRS)
    found = []
    for given in (labelled(data, crs=CRS), path):
        with open_raster(given) as opened:
            opened.align(grid, "cubic")
            found.append(opened.read().data)
    np.testing.assert_array_equal(*found)
