"""A file can declare any size: what is read whole is refused by it, what is read in strips is read."""

import io
import zipfile

import h5py
import numpy as np
import pytest
import rasterio
import scipy.io

from m3amba_zoo import memory
from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters import matlab5
from m3amba_zoo.rasters.matlab import read_variable
from m3amba_zoo.rasters.opening import open_raster
from m3amba_zoo.rasters.request import parse_bands
from m3amba_zoo.scenes.vectors import read_shapes

SIDE = 200_000


@pytest.fixture
def two_megabytes(monkeypatch):
    """Let 2 MB be free."""
    monkeypatch.setattr(memory, "SMALL", 0)
    monkeypatch.setattr(memory, "free_memory", lambda: memory.FreeMemory(2 * 10**6, "the machine"))


def huge_tiff(path):
    size = {"width": SIDE, "height": SIDE, "count": 1, "dtype": "uint8"}
    tiles = {"tiled": True, "blockxsize": 16384, "blockysize": 64, "sparse_ok": True}
    rasterio.open(path, "w", driver="GTiff", **size, **tiles, compress="deflate").close()


def huge_vrt(path):
    path.write_text(
        f'<VRTDataset rasterXSize="{SIDE}" rasterYSize="{SIDE}"><VRTRasterBand dataType="Byte"/></VRTDataset>'
    )


@pytest.mark.parametrize(("name", "make"), [("a.tif", huge_tiff), ("a.vrt", huge_vrt)])
def test_a_huge_raster_is_read_in_strips_and_not_whole(tmp_path, monkeypatch, name, make):
    monkeypatch.setattr(memory, "free_memory", lambda: memory.FreeMemory(2 * 10**9, "the machine"))
    make(tmp_path / name)
    with open_raster(tmp_path / name) as opened:
        assert opened.read(100, 103).shape == (3, SIDE)
        with pytest.raises(
            InputError,
            match=rf"{name}: 1 band of 200000 x 200000 uint8 would take 40\.0 GB .* 2\.0 GB are free",
        ):
            opened.read()


def test_a_block_that_no_strip_avoids_is_measured_too(tmp_path, two_megabytes):
    profile = {"width": 2000, "height": 2000, "count": 1, "dtype": "uint8", "blockysize": 2000}
    rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", compress="deflate", **profile).close()
    with open_raster(tmp_path / "a.tif") as opened, pytest.raises(InputError, match=r"4\.0 MB"):
        opened.read(0, 1)


def test_very_many_bands_are_refused(tmp_path):
    size = {"width": 1, "height": 1, "count": 5001, "dtype": "uint8"}
    rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", **size).close()
    with pytest.raises(InputError, match=r"a\.tif: has 5,001 bands, at most 5,000"):
        open_raster(tmp_path / "a.tif")
    with pytest.raises(InputError, match="here names 100,000,000 bands, at most 65,536"):
        parse_bands(["0-99999999"], "here")
    with pytest.raises(InputError, match="here has 5 twice"):
        parse_bands(["0-60000", 5], "here")


def test_cells_of_matlab_are_counted_before_they_are_read(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file.create_dataset("a", (1, 10**11), h5py.ref_dtype, chunks=(1, 1000))
        file.create_dataset("b", (10**6, 10**6), "f8", chunks=(1000, 1000))
        inner = file.create_dataset("inner", data=np.zeros((1, 3)))
        for name, parts in (("loop", "inner"), ("laughs", "loop")):
            cell = file.create_dataset(name, (1, 20), h5py.ref_dtype)
            cell[:] = file[parts].ref
        inner.attrs["MATLAB_class"] = np.bytes_("double")
    with pytest.raises(InputError, match=r"a\.mat: 100,000,000,000 parts of cells"):
        read_variable(tmp_path / "a.mat", "a")
    with pytest.raises(InputError, match=r"would take 8,000\.0 GB"):
        read_variable(tmp_path / "a.mat", "b")
    monkeypatch.setattr(matlab5, "MOST_PARTS", 200)  # 20 cells of 20 are more
    with pytest.raises(InputError, match=r"2\d\d parts of cells"):
        read_variable(tmp_path / "a.mat", "laughs")


@pytest.mark.usefixtures("two_megabytes")
def test_what_is_compressed_is_measured_before_it_unfolds(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"a": np.zeros((1500, 2000), np.uint8)}, do_compression=True)
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros((3, 1000, 1000), np.uint8))
    np.save(tmp_path / "a.npy", np.zeros((3, 1000, 1000), np.uint8))
    for name in ("a.mat", "a.npz", "a.npy"):
        with pytest.raises(InputError, match=rf"{name}: .* 3\.0 MB of memory, but 2\.0 MB are free"):
            open_raster(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.shp", bytes(3 * 10**6))
    with pytest.raises(InputError, match=r"a\.zip: .* 3\.0 MB of memory, but 2\.0 MB are free"):
        read_shapes(tmp_path / "a.zip", None)


def test_an_array_of_numpy_that_is_larger_than_its_file_is_refused(tmp_path):
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "|u1", "fortran_order": False, "shape": (1, 10**6, 10**6)}
    )
    (tmp_path / "a.npy").write_bytes(head.getvalue())
    with pytest.raises(InputError, match=r"a\.npy: .*1,000,000,000,000 bytes of uint8 .* declared, but"):
        open_raster(tmp_path / "a.npy")
