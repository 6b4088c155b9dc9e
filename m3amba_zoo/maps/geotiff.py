"""Maps as cloud-optimised GeoTIFF, by GDAL's COG driver: tiles, overviews, colours, names, tags.

A map is written aside, compared with what it should hold, and renamed: a file exists in full or not at all.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError  # what rasterio.shutil.copy lets through
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile
from rasterio.transform import Affine

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.scene import UNLABELLED, LandClass, check_number_of_classes
from m3amba_zoo.system import whole_file

OF_EARLIER_FILE = (".ovr", ".aux.xml", ".msk", ".ovr.aux.xml", ".msk.ovr")
"""Overviews, statistics, names and masks of a raster in files of their own; they would hide the new one's."""

VRT_TYPES = {"uint8": "Byte", "float32": "Float32"}
HALF = 16
"""Bits of a float16, which GDAL writes as a Float32 of so many bits."""


@dataclass(frozen=True)
class Layout:
    """What a map's file says beside its pixels.

    Attributes:
        bands: names.
        nodata: the value of pixels without a prediction.
        crs: ``EPSG:n`` or WKT, or None.
        transform: pixel to map coordinates, or None.
        classes: of a class map: its colours and category names; empty for other maps.
        tags: by name.
        half: whether floats are kept as float16; the source's are rounded to it.
    """

    bands: Sequence[str]
    nodata: float
    crs: str | None = None
    transform: Affine | None = None
    classes: Sequence[LandClass] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    half: bool = False


def class_layout(
    classes: Sequence[LandClass],
    crs: str | None = None,
    transform: Affine | None = None,
    tags: Mapping[str, str] | None = None,
) -> Layout:
    """Return the layout of a class map: 0 is nodata, tags ``CLASS_1``, ``CLASS_2``, ... name the classes.

    Raises:
        InputError: if there are more than 255 classes.
    """
    check_number_of_classes("the map", len(classes))
    names = {f"CLASS_{index}": entry.name for index, entry in enumerate(classes, start=1)}
    return Layout(["class"], UNLABELLED, crs, transform, classes, {**names, **(tags or {})})


def write_class_map(
    path: str | Path,
    class_map: NDArray[np.uint8],
    classes: Sequence[LandClass],
    crs: str | None = None,
    transform: Affine | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write a class map ``(H, W)`` uint8, 0 unlabelled, 1..K the classes; see ``class_layout``.

    Raises:
        InputError: if the file cannot be written, or there are more than 255 classes.
    """
    write_geotiff(path, class_map[None], class_layout(classes, crs, transform, tags))


def write_geotiff(path: str | Path, bands: NDArray, layout: Layout) -> None:
    """Write bands ``(C, H, W)`` uint8 or float32 that are in memory; for float16 they are rounded before.

    Raises:
        InputError: if the file cannot be written.
    """
    count, rows, columns = bands.shape
    with MemoryFile() as memory, _plain_rasters():
        profile = {"count": count, "height": rows, "width": columns, "dtype": bands.dtype.name}
        with memory.open(driver="GTiff", BIGTIFF="IF_SAFER", **profile) as file:
            file.write(bands)
        convert(memory.name, path, layout)


def read_class_map(path: str | Path, classes: int) -> NDArray[np.uint8]:
    """Read a class map ``(H, W)``: 1..K, 0 where nothing is predicted.

    Args:
        path: of the file.
        classes: K.

    Raises:
        InputError: if the file cannot be read, is no raster of bytes, or has a class above K.
    """
    try:
        with _plain_rasters(), rasterio.open(path) as file:
            found = file.read(1)
    except RasterioError as error:
        raise InputError(f"{path}: cannot be read as a class map ({error})") from error
    if found.dtype != np.uint8:
        raise InputError(f"{path}: its pixels are {found.dtype}, but a class map's are uint8")
    if found.max(initial=0) > classes:
        raise InputError(f"{path}: has the class {found.max()}, expected 1 to {classes}, or 0 for none")
    return found


def convert(source: str | Path, path: str | Path, layout: Layout) -> None:
    """Write a raster file that GDAL opens as a cloud-optimised GeoTIFF, a block at a time.

    Overviews of a class map hold the most frequent class, others the mean. What GDAL and QGIS laid beside an
    earlier file of that name is deleted.

    Args:
        source: of uint8 or float32.
        path: the file to write or replace.
        layout: what the file says beside its pixels.

    Raises:
        InputError: if the file cannot be written.
    """
    options = {"COMPRESS": "DEFLATE", "BIGTIFF": "IF_SAFER", "NUM_THREADS": "1"}
    options["OVERVIEW_RESAMPLING"] = "MODE" if layout.classes else "AVERAGE"
    if layout.half:
        options["NBITS"] = str(HALF)
    else:
        options["PREDICTOR"] = "YES"
    with whole_file(path) as aside, _plain_rasters():
        try:
            rasterio.shutil.copy(_vrt(source, layout), aside, driver="COG", strict=False, **options)
            _compare(source, aside, layout)
        except (RasterioError, CPLE_BaseError) as error:
            reason = " ".join(str(error.__cause__ or error).split()).rstrip(".")
            raise InputError(f"{path}: cannot be written ({reason})") from error
        finally:
            for suffix in OF_EARLIER_FILE:
                Path(f"{aside}{suffix}").unlink(missing_ok=True)
    for suffix in OF_EARLIER_FILE:
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    if layout.classes:
        _write_names(Path(f"{path}.aux.xml"), layout.classes)


def _compare(source: str | Path, written: Path, layout: Layout) -> None:
    """Raise RasterioError unless the file holds the source's pixels: GDAL can lose the end on a full disk."""
    with rasterio.open(source) as wanted, rasterio.open(written) as found:
        for band in range(1, wanted.count + 1):
            if not layout.half and wanted.checksum(band) != found.checksum(band):
                raise RasterioError("what was written differs from what was predicted; the disk may be full")
            if layout.half:
                found.checksum(band)  # reads all of it


def _write_names(path: Path, classes: Sequence[LandClass]) -> None:
    """Write the category names, for which GeoTIFF has no tag of its own, as GDAL does."""
    root = ElementTree.Element("PAMDataset")
    _add_names(ElementTree.SubElement(root, "PAMRasterBand", band="1"), classes)
    with whole_file(path) as aside:
        ElementTree.ElementTree(root).write(aside, encoding="utf-8")


def _add_names(band: Element, classes: Sequence[LandClass]) -> None:
    names = ElementTree.SubElement(band, "CategoryNames")
    for name in ("no data", *(entry.name for entry in classes)):
        ElementTree.SubElement(names, "Category").text = name


def _vrt(source: str | Path, layout: Layout) -> str:
    """Return a virtual raster that adds the layout to the source's pixels."""
    with rasterio.open(source) as file:
        (rows, columns), dtype = file.shape, VRT_TYPES[file.dtypes[0]]
    root = ElementTree.Element("VRTDataset", rasterXSize=str(columns), rasterYSize=str(rows))

    def add(parent: Element, name: str, text: object = None, **attributes: str) -> Element:
        child = ElementTree.SubElement(parent, name, attributes)
        child.text = None if text is None else str(text)
        return child

    if layout.crs is not None:
        add(root, "SRS", CRS.from_string(layout.crs).to_wkt())
    if layout.transform is not None:
        add(root, "GeoTransform", ", ".join(repr(float(value)) for value in layout.transform.to_gdal()))
    tags = add(root, "Metadata")
    for key, value in layout.tags.items():
        add(tags, "MDI", value, key=key)
    for number, name in enumerate(layout.bands, start=1):
        band = add(root, "VRTRasterBand", dataType=dtype, band=str(number))
        add(band, "Description", name)
        add(band, "NoDataValue", "nan" if layout.nodata != layout.nodata else layout.nodata)
        if layout.classes:
            add(band, "ColorInterp", "Palette")
            table = add(band, "ColorTable")
            for red, green, blue, alpha in ((0, 0, 0, 0), *((*entry.color, 255) for entry in layout.classes)):
                add(table, "Entry", c1=str(red), c2=str(green), c3=str(blue), c4=str(alpha))
        simple = add(band, "SimpleSource")
        add(simple, "SourceFilename", str(source), relativeToVRT="0")
        add(simple, "SourceBand", number)
    return ElementTree.tostring(root, encoding="unicode")


@contextmanager
def _plain_rasters() -> Iterator[None]:
    """Welcome rasters without a place on the earth."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield
