"""Georeferenced rasters read and written through GDAL: GeoTIFF, ENVI and whatever else it opens.

A map is made in memory, written aside and renamed, so a file exists in full or not at all.
"""

from __future__ import annotations

import contextlib
import re
import struct
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader, MemoryFile
from rasterio.transform import Affine

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.scene import UNLABELLED, LandClass, Raster, check_number_of_classes
from m3amba_zoo.system import whole_file

NM_PER_UNIT = {"nanometers": 1.0, "nm": 1.0, "micrometers": 1000.0, "um": 1000.0, "μm": 1000.0}
GRID_TOLERANCE = 0.05
"""Corners of co-registered rasters may differ by this share of a pixel (producers round their origins)."""

GEO_TAGS = {33550: 8, 33922: 8, 34264: 8, 34735: 2, 34736: 8, 34737: 1}
"""GeoTIFF's tags and their bytes per value: scale, tie points, matrix, keys, their numbers and texts."""

SIDECARS = ("tfw", "tifw", "wld", "tab", "aux")
"""Suffixes, in place of the raster's own, of files from which GDAL may take a georeference."""

Rgba = tuple[int, int, int, int]


class Grid(NamedTuple):
    """Where a file's pixels lie: rows and columns, CRS and transform (None if unknown), and the file."""

    shape: tuple[int, int]
    crs: str | None
    transform: Affine | None
    path: str


class GeoRaster(NamedTuple):
    """A raster, its CRS (``EPSG:n``, WKT or None) and its transform (or None)."""

    raster: Raster
    crs: str | None
    transform: Affine | None

    @property
    def grid(self) -> Grid:
        """Where the raster's pixels lie."""
        return Grid(self.raster.shape, self.crs, self.transform, self.raster.path)


def read_georaster(path: str | Path, unit: str = "") -> GeoRaster:
    """Read all bands of a raster file, with band names, wavelengths (nm) and nodata if the file has them.

    Args:
        path: a file that GDAL opens; for ENVI the data file, not its header.
        unit: what one unit is, see ``Raster``; the file seldom tells.

    Returns:
        The raster ``(C, H, W)`` in the file's dtype, its CRS and its transform.

    Raises:
        InputError: if the file is absent, not a raster, cut short or damaged, or holds complex numbers.
    """
    tags = _geo_tags(path)
    known = _georeferences.get(tags)
    with _opened(path, **({"GEOREF_SOURCES": "NONE"} if known else {})) as file:
        named = all(file.descriptions)
        raster = Raster(
            data=file.read(),
            bands=tuple(str(name) for name in file.descriptions) if named else (),
            wavelengths=_wavelengths(file),
            nodata=file.nodata,
            unit=unit,
            path=str(path),
        )
        crs, transform = known or _georeference(file)
    if tags:
        _georeferences.clear()  # files of one place are read one after the other
        _georeferences[tags] = crs, transform
    return GeoRaster(raster, crs, transform)


def read_grid(path: str | Path) -> Grid:
    """Read where a raster file's pixels lie, without its pixels.

    Raises:
        InputError: if the file is absent, not a raster, or cut short.
    """
    with _opened(path) as file:
        return Grid(file.shape, *_georeference(file), str(path))


def count_bands(path: str | Path) -> int:
    """Read how many bands a raster file has, without its pixels.

    Raises:
        InputError: if the file is absent, not a raster, or cut short.
    """
    with _opened(path) as file:
        return file.count


def require_same_grid(scene: str, first: Grid, other: Grid) -> None:
    """Raise InputError, naming both files, unless they have one size and, if known, one georeference."""
    found = None
    if first.shape != other.shape:
        sizes = [f"{rows} x {columns}" for rows, columns in (first.shape, other.shape)]
        found = f"are {sizes[0]} and {sizes[1]} pixels (rows x columns)"
    elif first.crs and other.crs and not _same_crs(first.crs, other.crs):
        found = f"have the CRS {_short(first.crs)} and {_short(other.crs)}"
    elif first.transform and other.transform:
        shift = _shift(first.transform, other.transform, first.shape)
        if shift > GRID_TOLERANCE:
            origins = [f"({t.c:.10g}, {t.f:.10g})" for t in (first.transform, other.transform)]
            sizes = [f"{t.a:.6g} x {t.e:.6g}" for t in (first.transform, other.transform)]
            found = (
                f"lie apart by {shift:.3g} pixels (upper left corners {origins[0]} and {origins[1]}, pixels "
                f"{sizes[0]} and {sizes[1]})"
            )
    if found:
        raise InputError(
            f"scene '{scene}': {first.path} and {other.path} {found}; one common grid is expected"
        )


def write_class_map(
    path: str | Path,
    classes: NDArray[np.uint8],
    land_classes: Sequence[LandClass],
    crs: str | None = None,
    transform: Affine | None = None,
) -> None:
    """Write a class map as GeoTIFF with a colour table; tags ``CLASS_1``, ``CLASS_2``, ... name the classes.

    Args:
        path: the file to write or replace.
        classes: ``(H, W)`` uint8, 0 unlabelled (written as nodata), 1..K the classes.
        land_classes: the K classes in order, 255 at most.
        crs: see ``Scene``.
        transform: see ``Scene``.

    Raises:
        InputError: if the file cannot be written, or there are more than 255 classes.
    """
    check_number_of_classes(str(path), len(land_classes))
    colors: dict[int, Rgba] = {UNLABELLED: (0, 0, 0, 0)}
    colors |= {index: (*entry.color, 255) for index, entry in enumerate(land_classes, start=1)}
    names = {f"CLASS_{index}": entry.name for index, entry in enumerate(land_classes, start=1)}
    with whole_file(path) as aside:
        aside.write_bytes(
            _geotiff(classes[None], ["class"], crs, transform, colors, names, nodata=UNLABELLED)
        )


def write_probabilities(
    path: str | Path,
    probabilities: NDArray[np.floating],
    land_classes: Sequence[LandClass],
    crs: str | None = None,
    transform: Affine | None = None,
) -> None:
    """Write class probabilities as a float32 GeoTIFF with one band per class, named after it.

    ``probabilities`` is ``(K, H, W)``; NaN, the nodata value, marks pixels without a prediction. The other
    arguments are those of ``write_class_map``.

    Raises:
        InputError: if the file cannot be written.
    """
    bands = probabilities.astype(np.float32, copy=False)
    names = [entry.name for entry in land_classes]
    with whole_file(path) as aside:
        aside.write_bytes(_geotiff(bands, names, crs, transform, nodata=np.nan, predictor=3))


@contextlib.contextmanager
def _opened(path: str | Path, **options: str) -> Iterator[DatasetReader]:
    """Open a raster; an error of GDAL, now or on reading, becomes one sentence."""
    if not Path(path).is_file():
        found = "is a folder" if Path(path).is_dir() else "no such file"
        raise InputError(f"{path}: {found}; a raster file is expected (GeoTIFF, ENVI)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # plain rasters are welcome
            with rasterio.open(path, **options) as file:
                _check(file, path)
                yield file
    except RasterioError as error:
        reason = re.sub(r"\s+", " ", str(error.__cause__ or error)).strip().rstrip(".")
        raise InputError(
            f"{path}: not a readable raster, it may be cut short, damaged or of another format ({reason}); "
            "GeoTIFF or ENVI is expected"
        ) from error


def _check(file: DatasetReader, path: str | Path) -> None:
    if file.count == 0:
        raise InputError(f"{path}: {file.driver} without bands; a raster with bands is expected")
    if np.dtype(file.dtypes[0]).kind not in "biuf":
        raise InputError(f"{path}: the pixels are {file.dtypes[0]}, real numbers are expected")
    header = file.tags(ns="ENVI")
    if file.driver == "ENVI" and header.get("file_compression", "0").strip() == "0":
        # GDAL silently reads zeros for the part that an ENVI file lacks
        bands_bytes = file.count * file.height * file.width * np.dtype(file.dtypes[0]).itemsize
        expected = bands_bytes + int(header.get("header_offset", 0))
        size = Path(path).stat().st_size
        if size < expected:
            raise InputError(
                f"{path}: cut short, it has {size} bytes but its header asks for {expected} "
                f"({file.count} bands of {file.height} x {file.width} {file.dtypes[0]})"
            )


def _georeference(file: DatasetReader) -> tuple[str | None, Affine | None]:
    crs = _crs_name(file.crs.to_wkt()) if file.crs else None
    return crs, None if file.transform.is_identity else file.transform


_georeferences: dict[tuple[bytes, ...], tuple[str | None, Affine | None]] = {}
"""CRS and transform of the last GeoTIFF, by its tags: GDAL looks a CRS without a code up for milliseconds."""


def _geo_tags(path: str | Path) -> tuple[bytes, ...]:
    """Return the tags that alone place a classic TIFF file on the earth; empty for any other file.

    They do if they hold a whole transform and no other file lies beside that could give another one.
    """
    path = Path(path)
    if not path.is_file():
        return ()
    beside = [path.with_suffix(f".{end}") for suffix in SIDECARS for end in (suffix, suffix.upper())]
    beside += [Path(f"{path}.aux.xml"), Path(f"{path}.xml")]
    if any(other.exists() for other in beside):
        return ()
    try:
        with path.open("rb") as file:
            order = {b"II*\0": "<", b"MM\0*": ">"}.get(file.read(4))
            if order is None:
                return ()
            file_size = path.stat().st_size
            file.seek(*struct.unpack(f"{order}I", file.read(4)))
            (count,) = struct.unpack(f"{order}H", file.read(2))
            found, numbers = [order.encode()], {}
            for tag, _, number, start in struct.iter_unpack(f"{order}HHII", file.read(12 * count)):
                if size := GEO_TAGS.get(tag, 0) * number:
                    if size > file_size:
                        return ()
                    numbers[tag] = number
                    file.seek(start)
                    value = file.read(size) if size > 4 else struct.pack("I", start)
                    found.append(struct.pack("II", tag, size) + value)
    except (OSError, struct.error):  # absent or cut short, as the reader will say
        return ()
    one_tie_point = 33550 in numbers and numbers.get(33922) == 6
    return tuple(found) if 34264 in numbers or one_tie_point else ()


@lru_cache(maxsize=64)
def _crs_name(wkt: str) -> str:
    """Return ``EPSG:n`` if the database has the CRS, else WKT; the search in it takes longer than a file."""
    return CRS.from_wkt(wkt).to_string()


def _wavelengths(file: DatasetReader) -> NDArray[np.float64] | None:
    """Return the bands' centres in nm from ENVI's header or GDAL's IMAGERY tags; None unless all have one."""
    centres = []
    for band in range(1, file.count + 1):
        tags, imagery = file.tags(band), file.tags(band, ns="IMAGERY")
        scale = NM_PER_UNIT.get(tags.get("wavelength_units", "").lower())
        if "wavelength" in tags and scale:
            centres.append(float(tags["wavelength"]) * scale)
        elif "CENTRAL_WAVELENGTH_UM" in imagery:
            centres.append(float(imagery["CENTRAL_WAVELENGTH_UM"]) * 1000)
        else:
            return None
    return np.array(centres)


def _same_crs(first: str, other: str) -> bool:
    return first == other or CRS.from_string(first) == CRS.from_string(other)


def _short(crs: str) -> str:
    """Name a CRS in a message: ``EPSG:n``, or the name that its WKT begins with."""
    quoted = re.search(r'"([^"]+)"', crs)
    return quoted.group(1) if quoted else crs


def _shift(first: Affine, other: Affine, shape: tuple[int, int]) -> float:
    """Return the largest distance between two grids' corners, in pixels of the first."""
    rows, columns = shape
    corners = np.array([(0, 0, 1), (columns, 0, 1), (0, rows, 1), (columns, rows, 1)]).T
    on_earth = np.reshape(other, (3, 3)) @ corners
    return float(np.abs(np.linalg.solve(np.reshape(first, (3, 3)), on_earth) - corners).max())


def _geotiff(
    bands: NDArray,
    names: Sequence[str],
    crs: str | None,
    transform: Affine | None,
    colors: dict[int, Rgba] | None = None,
    tags: dict[str, str] | None = None,
    **profile: Any,
) -> bytes:
    """Make a GeoTIFF of ``(C, H, W)`` in memory."""
    count, rows, columns = bands.shape
    if crs is not None:
        profile["crs"] = CRS.from_string(crs)
    if transform is not None:
        profile["transform"] = transform
    with MemoryFile() as memory:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with memory.open(
                driver="GTiff",
                count=count,
                height=rows,
                width=columns,
                dtype=bands.dtype.name,
                compress="deflate",
                tiled=True,
                BIGTIFF="IF_SAFER",
                **profile,
            ) as file:
                file.write(bands)
                file.update_tags(**(tags or {}))
                if colors:
                    file.write_colormap(1, colors)
                for index, name in enumerate(names, start=1):
                    file.set_band_description(index, name)
        return memory.read()
