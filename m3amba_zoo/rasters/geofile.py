"""Files that GDAL opens: GeoTIFF, ENVI, VRT, NetCDF, HDF5 and whatever else it reads.

Errors of GDAL become one sentence with the file's name.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Interleaving, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window
from shapely import Polygon, box, union_all

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.bands import read_bands
from m3amba_zoo.rasters.coordinates import BAND, COLUMN, ROW, axis_of
from m3amba_zoo.rasters.enmap import read_enmap
from m3amba_zoo.rasters.grid import georeference
from m3amba_zoo.rasters.indirect import open_dataset
from m3amba_zoo.rasters.netcdf3 import check_classic, classic_axes
from m3amba_zoo.rasters.request import RasterRequest
from m3amba_zoo.rasters.store import Pixels, Store
from m3amba_zoo.reading import library_errors

UNREADABLE = "not a readable raster, it may be cut short, damaged or of another format"
MOST_BANDS = 5000
"""In one file: rasterio's time for a window grows with their square, to 7 s for so many."""
NAMES_OF_ARRAYS = {"netCDF": 'NETCDF:"{}":{}', "HDF5Image": 'HDF5:"{}"://{}'}
"""How GDAL names an array of a file of which it shows the only one at once, by its driver."""
SOURCES = {"SimpleSource", "ComplexSource", "AveragedSource", "KernelFilteredSource", "NoDataFromMaskSource"}
LEAST_SHARE = 1e-6
"""Of a band; less is a rounding of the sources' edges."""


class GeoFile(Store):
    """A file that GDAL has opened, as a store of pixels.

    What its metadata file says of an EnMAP image goes before what the image says.
    """

    def __init__(self, request: RasterRequest) -> None:
        """Open a file, or the array of a file that its key names.

        Raises:
            InputError: if the file is absent, not a raster, cut short, holds complex numbers, several arrays
                or too many bands, names other files though it is not called a virtual raster, or is placed by
                ground control points.
        """
        self._path = path = str(request)
        name = array_name(request.path, request.key) if request.key else request.path
        with gdal_errors(path, UNREADABLE):
            check_classic(request.path)
            self._file = open_dataset(name)
            if self._file.driver == "netCDF" and self._file.transform.is_identity:
                self._file.close()  # GDAL turned it upside down, for it did not find which end is up
                with rasterio.Env(GDAL_NETCDF_BOTTOMUP="NO"):
                    self._file = open_dataset(name)
        try:
            with gdal_errors(path, UNREADABLE):
                _check_count(self._file, path)
                super().__init__(self._file.count, self._file.shape, _dtype(self._file, path))
                self.piece = self._block()
                _check_size(self._file, path)
                self.crs, self.transform = georeference(self._file, path)
                self.bands = read_bands(self._file)
                self.files = _files_of(self._file)
                _check_axes(self._file, path)
                self._describe(request.path)
        except BaseException:
            self._file.close()
            raise

    def _describe(self, path: str) -> None:
        """Take over what the file says of its values."""
        self.alpha = tuple(n for n, color in enumerate(self._file.colorinterp) if color is ColorInterp.alpha)
        self.nodata = self._file.nodatavals
        self.scales, self.offsets = np.array(self._file.scales), np.array(self._file.offsets)
        if gaps := uncovered(self._file):
            self.bands = self.bands._replace(remark="; ".join(filter(None, (self.bands.remark, gaps))))
        flags = self._file.mask_flag_enums
        self._common_mask = MaskFlags.per_dataset in flags[0] and MaskFlags.alpha not in flags[0]
        self._own_masks = {band for band, of_band in enumerate(flags) if not of_band}  # as VRTs can have
        self.has_mask = self._common_mask or bool(self._own_masks)
        self._mask_band: int | None = None
        facts = read_enmap(path, self.count)
        if facts is not None:
            self.bands, self.scales, self.offsets = facts.bands, facts.scales, facts.offsets
            self.nodata = tuple(facts.nodata if own is None else own for own in self.nodata)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, bands: Sequence[int], window: Window) -> Pixels:
        """Read a window of some bands.

        Raises:
            InputError: if it cannot be read.
        """
        first, last = window.row_off, window.row_off + window.height - 1
        what = f"rows {first} to {last} cannot be read, the file may be cut short or damaged"
        with gdal_errors(self._path, what):
            if len(set(self._file.dtypes)) > 1:  # of a VRT; rasterio reads bands of one dtype at once
                parts = [self._file.read(band + 1, window=window, out_dtype=self.dtype) for band in bands]
                values = np.stack(parts)
            else:
                values = self._file.read([band + 1 for band in bands], window=window)
        return Pixels(values, self._mask(bands, window) if self.has_mask else None)

    def _mask(self, bands: Sequence[int], window: Window) -> NDArray[np.bool_]:
        """Return where masks call pixels missing, ``(C, H, W)``, or ``(1, H, W)`` for all bands alike."""
        with gdal_errors(self._path, "its mask of missing values cannot be read"):
            missing = np.zeros((1, window.height, window.width), bool)
            if self._mask_band is not None:
                missing |= self._file.read([self._mask_band + 1], window=window) == 0
            elif self._common_mask:
                missing |= self._file.read_masks([1], window=window) == 0
            if self._own_masks:
                missing = np.repeat(missing, len(bands), axis=0)
                for place, band in enumerate(bands):
                    if band in self._own_masks:
                        missing[place] |= self._file.read_masks(band + 1, window=window) == 0
            return missing

    def mask_by_alpha(self) -> None:
        """Take the first band that the file calls alpha as the mask."""
        self._mask_band, self.has_mask = self.alpha[0], True

    def _block(self) -> int:
        """Return the size of a block, of all bands where they lie together."""
        height, width = self._file.block_shapes[0]
        together = self.count if self._file.interleaving is Interleaving.pixel else 1
        return height * width * together * self.dtype.itemsize

    def block_bytes(self, rows: int) -> int:
        """Return the size of the blocks that so many adjacent rows touch."""
        height, width = self._file.block_shapes[0]
        touched = height * min(-(-rows // height) + 1, -(-self.shape[0] // height))
        return touched * -(-self.shape[1] // width) * width * self.count * self.dtype.itemsize


def array_name(path: str, key: str) -> str:
    """Return GDAL's name of an array in a file of several, such as HDF5 and NetCDF.

    Args:
        path: the file.
        key: the array's path in the file, or the last parts of it.

    Raises:
        InputError: if there is no such array, or several; the message lists the file's arrays.
    """
    with gdal_errors(path, "not a readable raster"):
        check_classic(path)
        file = open_dataset(path)
    with file:
        names, single, name = list(file.subdatasets), file.count > 0, NAMES_OF_ARRAYS.get(file.driver)
    wanted = key.strip("/").replace(" ", "_")  # as GDAL writes it
    arrays = {_array_key(name, path): name for name in names}
    found = [name for array, name in arrays.items() if f"/{array}".endswith(f"/{wanted}")]
    if len(found) == 1:
        return found[0]
    if single and name is not None:
        return name.format(path, key)
    if not names:
        raise InputError(f"{path}: has no array '{key}', it holds {'one raster' if single else 'no array'}")
    how = "no array" if not found else f"{len(found)} arrays"
    raise InputError(f"{path}: has {how} '{key}'; it holds {_listed(arrays)}")


@contextlib.contextmanager
def gdal_errors(path: str, what: str) -> Iterator[None]:
    """Turn an error of GDAL into one sentence: the file, ``what`` is wrong with it, and GDAL's reason."""
    with warnings.catch_warnings(), library_errors(path, what, "GeoTIFF or ENVI is expected"):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # plain rasters are welcome
        yield


def _files_of(file: DatasetReader) -> tuple[str, ...]:
    """Return the paths of an open file, its sidecars and, of a virtual raster, its sources, to the last."""
    found = list(file.files)
    for path in found:  # it grows
        if path != file.name and path.lower().endswith(".vrt"):
            with contextlib.suppress(RasterioError), open_dataset(path) as source:
                found += [other for other in source.files if other not in found]
    return tuple(found)


def _check_count(file: DatasetReader, path: str) -> None:
    """Raise InputError if a file has more bands than rasterio can read in a reasonable time."""
    if file.count > MOST_BANDS:
        raise InputError(f"{path}: has {file.count:,} bands, at most {MOST_BANDS:,} are expected in one file")


def _dtype(file: DatasetReader, path: str) -> np.dtype:
    """Return the dtype that all bands fit in."""
    if file.count == 0:
        arrays = {_array_key(name, path): name for name in file.subdatasets}
        if arrays:
            raise InputError(
                f"{path}: holds {len(arrays)} arrays; expected the key of one of them, as in "
                f"{Path(path).name}:{next(iter(arrays))}; it holds {_listed(arrays)}"
            )
        raise InputError(f"{path}: {file.driver} without bands; a raster with bands is expected")
    if foreign := [name for name in file.dtypes if name.startswith("complex")]:
        raise InputError(
            f"{path}: the pixels are {foreign[0]}, real numbers are expected; of a complex radar image take "
            "the calibrated and terrain-corrected backscatter, as ESA's SNAP makes it"
        )
    return np.result_type(*(np.dtype(name) for name in file.dtypes))


def _check_axes(file: DatasetReader, path: str) -> None:
    """Raise InputError if GDAL takes an axis for another than the file itself calls it."""
    named = classic_axes(file)
    if ROW in named and COLUMN in named and named.index(ROW) > named.index(COLUMN):
        raise InputError(
            f"{path}: its columns come before its rows; rows before columns are expected (ncpdq of the NCO "
            "tools changes the order), or NetCDF version 4"
        )
    for name in file.tags().get("NETCDF_DIM_EXTRA", "").strip("{}").split(","):
        if axis_of(name) not in (BAND, None):
            raise InputError(
                f"{path}: its first axis is '{name}', which is no axis of bands; bands, rows and columns in "
                "this order are expected (ncpdq of the NCO tools changes the order), or NetCDF version 4"
            )


def _check_size(file: DatasetReader, path: str) -> None:
    """Raise InputError if an ENVI file is shorter than its header says: GDAL silently reads zeros then."""
    header = file.tags(ns="ENVI")
    if file.driver != "ENVI" or header.get("file_compression", "0").strip() != "0":
        return
    try:
        offset = int(float(header.get("header_offset", 0)))
    except ValueError:
        return
    expected = offset + sum(np.dtype(name).itemsize for name in file.dtypes) * file.height * file.width
    size = Path(file.name).stat().st_size
    if size < expected:
        raise InputError(
            f"{path}: cut short, it has {size} bytes but its header asks for {expected} "
            f"({file.count} bands of {file.height} x {file.width} {file.dtypes[0]})"
        )


def _array_key(name: str, path: str) -> str:
    """Return the array's path in the file, from GDAL's name of it (``DRIVER:"FILE":ARRAY``)."""
    return name.partition(path)[2].lstrip('":').strip("/") or name


def _listed(arrays: dict[str, str]) -> str:
    return ", ".join(sorted(arrays)[:20]) + (f" and {len(arrays) - 20} more" if len(arrays) > 20 else "")


def uncovered(file: DatasetReader) -> str:
    """Return a sentence on the gaps of a mosaic, without the file's name; empty if there are none.

    Gaps of bands with a nodata value or a mask are missing pixels already.

    Args:
        file: an open file, a VRT or another.
    """
    if file.driver != "VRT":
        return ""
    try:
        root = ElementTree.fromstring(file.tags(ns="xml:VRT").get("xml:VRT", ""))
    except ElementTree.ParseError:  # a warped or derived one that GDAL does not write out
        return ""
    if root.find("MaskBand") is not None:
        return ""
    whole = box(0, 0, file.width, file.height)
    worst = 0.0
    for band in root.iterfind("VRTRasterBand"):
        sources = [source for source in band if source.tag in SOURCES]
        marks_gaps = any(band.find(tag) is not None for tag in ("NoDataValue", "MaskBand"))
        places = [place for source in sources if (place := source.find("DstRect")) is not None]
        if marks_gaps or "subClass" in band.attrib or not sources or len(places) < len(sources):
            continue  # a source without a place fills the band; those of subclasses are computed
        covered = union_all([_rectangle(place) for place in places]).intersection(whole)
        worst = max(worst, 1 - covered.area / whole.area)
    if worst < LEAST_SHARE:
        return ""
    return (
        f"no source covers {max(worst, 0.001):.1%} of it, where GDAL reads 0 as if it were data; expected a "
        "nodata value (gdalbuildvrt -vrtnodata 0, --nodata 0, nodata: in scene.yaml)"
    )


def _rectangle(place: Element) -> Polygon:
    """Return where a source lies in the mosaic, in its pixels."""
    left, top, width, height = (float(place.attrib[key]) for key in ("xOff", "yOff", "xSize", "ySize"))
    return box(left, top, left + width, top + height)
