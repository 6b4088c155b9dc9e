"""Readers of rasters: GeoTIFF, ENVI, MATLAB, NumPy, NetCDF, HDF5, and the metadata of EnMAP."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np
import rasterio
import scipy.io
import scipy.sparse
from numpy.typing import NDArray
from rasterio.transform import from_origin

from m3amba_zoo.rasters.opening import open_raster
from m3amba_zoo.rasters.request import RasterRequest
from workshop.fuzzing.mutations import Reader, in_bytes, in_members, in_text

BANDS, ROWS, COLUMNS = 3, 12, 10
CRS, PLACE = "EPSG:32617", from_origin(500_000, 4_000_000, 1, 1)
ENMAP = "ENMAP01-____L2A-DT01-SPECTRAL_IMAGE.TIF"


def pixels(dtype: str = "uint16", bands: int = BANDS) -> NDArray:
    """Return bands of the valid files, ``(C, H, W)``."""
    return np.random.default_rng(0).integers(1, 200, (bands, ROWS, COLUMNS)).astype(dtype)


def write_raster(path: Path, data: NDArray, **profile: Any) -> Path:
    """Write bands with GDAL, by default as a GeoTIFF in UTM; return the path."""
    count, height, width = data.shape
    given = {"driver": "GTiff", "crs": CRS, "transform": PLACE, **profile}
    with rasterio.open(
        path, "w", dtype=data.dtype.name, count=count, height=height, width=width, **given
    ) as file:
        file.write(data)
    return path


def read_whole(path: Path, key: str = "") -> None:
    """Read all pixels as training does, and a part as prediction does."""
    with open_raster(RasterRequest(str(path), key)) as opened:
        opened.read(0, 2).floats()
        opened.read().check_finite("hsi")


def _geotiff(folder: Path, **profile: Any) -> Path:
    path = write_raster(folder / "hsi.tif", pixels(), nodata=0, **profile)
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("400 nm", "500 nm", "600 nm")
        file.scales, file.offsets = (0.01,) * BANDS, (1.0,) * BANDS
    return path


def _envi(folder: Path) -> Path:
    write_raster(folder / "hsi.img", pixels("int16"), driver="ENVI")
    header = folder / "hsi.hdr"
    header.write_text(
        header.read_text() + "wavelength units = Nanometers\nwavelength = {400.0, 500.0, 600.0}\n"
        "bbl = {1, 1, 0}\ndata ignore value = 0\nfwhm = {10, 10, 10}\n"
    )
    return header


def _enmap(folder: Path) -> Path:
    write_raster(folder / ENMAP, pixels("int16"))
    bands = "".join(
        f"<bandID number='{band}'><wavelengthCenterOfBand>{400 + band}</wavelengthCenterOfBand>"
        "<GainOfBand>0.0001</GainOfBand><OffsetOfBand>0</OffsetOfBand></bandID>"
        for band in range(BANDS)
    )
    statistics = "<bandID><mean>5</mean><stdDeviation>1</stdDeviation></bandID>" * BANDS
    path = folder / ENMAP.replace("SPECTRAL_IMAGE.TIF", "METADATA.XML")
    path.write_text(
        f"<?xml version='1.0'?><level_X><product><bandStatistics>{statistics}</bandStatistics></product>"
        f"<specific><backgroundValue>-32768</backgroundValue><bandCharacterisation>{bands}"
        "</bandCharacterisation></specific></level_X>"
    )
    return path


def _matlab5(folder: Path, compress: bool = False) -> Path:
    cube = pixels().transpose(1, 2, 0)
    nested = {"z": cube[..., 0], "name": "heights", "parts": np.array([cube[:, :, 1], "a"], object)}
    variables = {
        "hsi": cube,
        "lidar": nested,
        "note": "two words",
        "wave": np.arange(3.0),
        "eye": scipy.sparse.eye(3).tocsc(),
    }
    scipy.io.savemat(folder / "hsi.mat", variables, do_compression=compress)
    return folder / "hsi.mat"


def _read_matlab(path: Path) -> None:
    read_whole(path, "hsi")
    read_whole(path, "lidar.z")


def _matlab73(folder: Path) -> Path:
    path = folder / "hsi.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        cube = file.create_dataset("hsi", data=pixels(), compression="gzip", chunks=(1, ROWS, COLUMNS))
        cube.attrs["MATLAB_class"] = np.bytes_("uint16")
        lidar = file.create_group("lidar")
        lidar.attrs["MATLAB_class"] = np.bytes_("struct")
        lidar["z"] = pixels(bands=1)[0]
        note = file.create_dataset("note", data=np.frombuffer(b"two", np.uint8).astype("uint16")[:, None])
        note.attrs["MATLAB_class"] = np.bytes_("char")
        part = file.create_group("#refs#").create_dataset("a", data=pixels(bands=1)[0])
        cell = file.create_dataset("cell", (2, 1), h5py.ref_dtype)
        cell[:, 0] = [part.ref, part.ref]
        cell.attrs["MATLAB_class"] = np.bytes_("cell")
    return path


def _read_matlab73(path: Path) -> None:
    _read_matlab(path)
    read_whole(path, "cell.1")


def _numpy(folder: Path) -> Path:
    np.save(folder / "hsi.npy", pixels("float32"))
    return folder / "hsi.npy"


def _npz(folder: Path) -> Path:
    np.savez_compressed(folder / "hsi.npz", hsi=pixels(), other=pixels(bands=1))
    return folder / "hsi.npz"


def _netcdf3(folder: Path) -> Path:
    path = folder / "hsi.nc"
    with scipy.io.netcdf_file(path, "w") as file:
        for name, size in (("band", BANDS), ("y", ROWS), ("x", COLUMNS)):
            file.createDimension(name, size)
            file.createVariable(name, "d", (name,))[:] = 4e6 + np.arange(size)
        cube = file.createVariable("hsi", "h", ("band", "y", "x"))
        cube[:] = pixels("int16")
        cube.scale_factor, cube._FillValue, cube.units = 0.5, np.int16(-1), "1"
    return path


def _hdf5(folder: Path) -> Path:
    path = folder / "hsi.nc"
    with h5py.File(path, "w") as file:
        for name, size in (("wavelength", BANDS), ("y", ROWS), ("x", COLUMNS)):
            file[name] = 400 + np.arange(size, dtype=float)
            file[name].make_scale(name)
        file["wavelength"].attrs["units"] = "nm"
        cube = file.create_dataset("hsi", data=pixels("int16"), chunks=True, compression="gzip")
        for number, name in enumerate(("wavelength", "y", "x")):
            cube.dims[number].attach_scale(file[name])
        mapping = file.create_dataset("crs", data=0)
        mapping.attrs["crs_wkt"], mapping.attrs["GeoTransform"] = CRS, "500000 1 0 4000000 0 -1"
        facts = {
            "scale_factor": 0.5,
            "_FillValue": np.int16(-1),
            "valid_min": np.int16(0),
            "grid_mapping": "crs",
        }
        cube.attrs.update(facts)
    return path


def _vrt(folder: Path) -> Path:
    _geotiff(folder)
    path = folder / "hsi.vrt"
    bands = "".join(
        f'<VRTRasterBand dataType="UInt16" band="{band}"><NoDataValue>0</NoDataValue><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">hsi.tif</SourceFilename><SourceBand>{band}</SourceBand>'
        "</SimpleSource></VRTRasterBand>"
        for band in range(1, BANDS + 1)
    )
    path.write_text(
        f'<VRTDataset rasterXSize="{COLUMNS}" rasterYSize="{ROWS}"><SRS>{CRS}</SRS>'
        f"<GeoTransform>500000, 1, 0, 4000000, 0, -1</GeoTransform>{bands}</VRTDataset>"
    )
    return path


def _in_header(size: int) -> Callable[[Random, bytes], bytes]:
    """Return a mutation of the first bytes alone."""
    return lambda random, content: in_bytes(random, content[:size]) + content[size:]


READERS = (
    Reader("geotiff", _geotiff, read_whole, (in_bytes, _in_header(600))),
    Reader(
        "geotiff_deflate",
        partial(_geotiff, compress="deflate", tiled=True, blockxsize=16, blockysize=16),
        read_whole,
    ),
    Reader("envi", _envi, lambda path: read_whole(path.with_suffix(".img")), (in_text, in_text, in_bytes)),
    Reader("enmap", _enmap, lambda path: read_whole(path.with_name(ENMAP)), (in_text, in_text, in_bytes)),
    Reader("vrt", _vrt, read_whole, (in_text, in_text, in_bytes)),
    Reader("matlab5", _matlab5, _read_matlab),
    Reader("matlab5_compressed", partial(_matlab5, compress=True), _read_matlab),
    Reader("matlab73", _matlab73, _read_matlab73),
    Reader("npy", _numpy, read_whole, (in_bytes, _in_header(128))),
    Reader("npz", _npz, lambda path: read_whole(path, "hsi"), (in_bytes, in_members())),
    Reader("netcdf3", _netcdf3, read_whole),
    Reader("hdf5", _hdf5, read_whole),
)
