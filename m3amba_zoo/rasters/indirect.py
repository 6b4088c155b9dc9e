"""Files that lead GDAL to other files or to servers, and which of them it may follow.

Virtual rasters and descriptions of services are texts that name what is to be read. GDAL knows them by their
content, whatever the file is called. Here the name counts: who names a ``.vrt`` file wants it followed, but a
``.tif`` file from a stranger is to hold its pixels itself. Offline, none may lead to a server.
"""

from __future__ import annotations

import html
import os
import re
from pathlib import Path

import rasterio
from rasterio.io import DatasetReader

from m3amba_zoo.errors import InputError
from m3amba_zoo.reading import read_bytes
from m3amba_zoo.system import OFFLINE_VARIABLE, is_offline

FOLLOWED: dict[str, tuple[str, ...]] = {
    "VRT": (".vrt",),
    "GTI": (".gti", ".gpkg", ".fgb"),
    "MRF": (".mrf",),
    "ERS": (".ers",),
    "MAP": (".map",),
    "TIL": (".til",),
    "PCIDSK": (".pix",),
    "PDS4": (".xml",),
    "KMLSUPEROVERLAY": (".kml", ".kmz"),
    "WMS": (".wms", ".xml"),
    "WMTS": (".wmts", ".xml"),
    "WCS": (".wcs", ".xml"),
    "STACIT": (".json",),
    "STACTA": (".json",),
    "DERIVED": (),
    "HTTP": (),
    "DAAS": (),
    "EEDA": (),
    "EEDAI": (),
    "PLMOSAIC": (),
}
"""GDAL's drivers of files that name other files or servers, and the suffixes of files that may be theirs."""
SUFFIXES_OF_SERVICES = (".xml", ".wms", ".wmts", ".wcs")
OF_A_DRIVER = re.compile(r"vrt://|[A-Za-z][A-Za-z0-9_]+:(?!//)")
"""How a name begins that names its driver, such as ``NETCDF:"a.nc":b``; who writes it knows what it is."""
REMOTE = re.compile(
    r"\b(?!vrt:|file:)\w+://|/vsi(curl|s3|gs|az|adls|oss|swift|webhdfs|hdfs)|(WMS|WMTS|WCS|WFS|DAAS|EEDAI?|AGS|OAPIF|OGCAPI):",
    re.IGNORECASE,
)
"""How names of what lies on servers are written, anywhere in a name: ``/vsizip//vsicurl/...``."""
SOURCE = re.compile(r"<(?:SourceFilename|SourceDataset|SrcDataSource)\b([^>]*)>([^<]*)<", re.IGNORECASE)
"""Where a virtual file names another one."""
VIRTUAL_MARKS = ("<vrtdataset", "<ogrvrtdatasource", "gdal_streamed_alg")
SERVICE_MARKS = (
    "<gdal_wms", "<gdal_wmts", "<wcs_gdal", "<wms_capabilities", "<wmt_ms_capabilities", "<ogrwfsdatasource",
    "<wfs_capabilities",
)  # fmt: skip
"""What texts hold, in lower case, that are virtual files, and descriptions of services."""
HEAD = 2**16
MOST_VIRTUAL = 10_000  # files that virtual ones may name, which are looked at offline


def open_dataset(path: str) -> DatasetReader:
    """Open a raster with GDAL, by the drivers that may read a file of this name.

    Args:
        path: a file, or what else GDAL opens.

    Raises:
        InputError: if the file is a text that names other files or servers, but is not named so; or it lies
            on, or leads to, a server, which ``$M3AMBA_OFFLINE`` forbids.
        RasterioError: if it is no raster.
    """
    is_plain = not OF_A_DRIVER.match(path)
    suffix = Path(path).suffix.lower()
    if is_offline():
        _check_offline(path)
    if is_plain:
        _check_content(path, suffix, "pixels")
    file = rasterio.open(path)
    if is_plain and suffix not in FOLLOWED.get(file.driver, (suffix,)):
        file.close()
        raise _elsewhere(path, "pixels")
    return file


def check_vector(path: str | Path) -> None:
    """Look whether a vector file leads elsewhere, before GDAL opens it.

    Raises:
        InputError: if it is a virtual file or the description of a service, but is not named .vrt; or it lies
            on, or leads to, a server, which ``$M3AMBA_OFFLINE`` forbids.
    """
    if is_offline():
        _check_offline(str(path))
    _check_content(path, Path(path).suffix.lower(), "shapes")


def _check_content(path: str | Path, suffix: str, what: str) -> None:
    """Raise InputError if a text names what is to be read, but its suffix is not that of such texts."""
    head = _head(path)
    of_service = suffix in SUFFIXES_OF_SERVICES and _mark(head, SERVICE_MARKS)
    if suffix != ".vrt" and not of_service and _mark(head, (*VIRTUAL_MARKS, *SERVICE_MARKS)):
        raise _elsewhere(path, what)


def _elsewhere(path: str | Path, what: str) -> InputError:
    return InputError(
        f"{path}: holds no {what}, it names other files or a server that have them; a file with {what}, or a "
        "virtual one named .vrt, is expected"
    )


def _check_offline(path: str) -> None:
    """Raise InputError if a name, or a virtual file with all that it names, leads to a server."""
    names, seen = [path], set()
    for name in names:  # it grows
        if name in seen:
            continue
        seen.add(name)
        if REMOTE.search(name) and not os.path.exists(name):
            through = "" if name == path else f", to which {path} leads"
            raise InputError(f"{name}: lies on a server{through}, and {OFFLINE_VARIABLE}=1 forbids asking it")
        if (head := _head(name)) and (mark := _mark(head, SERVICE_MARKS)):
            raise InputError(f"{name}: asks a server ({mark}), and {OFFLINE_VARIABLE}=1 forbids it")
        if not _mark(head, VIRTUAL_MARKS):
            continue
        if len(names) > MOST_VIRTUAL:
            raise InputError(
                f"{path}: leads to more than {MOST_VIRTUAL:,} files, which is more than are looked at"
            )
        text = head.decode("utf-8", "replace")  # of a name that is such a text itself
        if os.path.isfile(name):
            text = read_bytes(name).decode("utf-8", "replace")
        for about, source in SOURCE.findall(text):
            source = html.unescape(source.strip())
            is_relative = re.search(r"""relativeToVRT\s*=\s*["']?1""", about, re.IGNORECASE)
            names.append(
                str(Path(name).parent / source) if is_relative and not REMOTE.search(source) else source
            )


def _head(path: str | Path) -> bytes:
    """Return the beginning of a file, or of a text in place of a file's name; empty of all else."""
    if not os.path.isfile(path):
        return str(path)[:HEAD].encode("utf-8", "replace") if str(path).lstrip().startswith("<") else b""
    try:
        with open(path, "rb") as file:
            return file.read(HEAD)
    except OSError:  # as the reader will say
        return b""


def _mark(head: bytes, marks: tuple[str, ...]) -> str:
    """Return which of the marks a file's beginning has, else an empty text."""
    text = head.lower().decode("latin-1")
    return next((mark for mark in marks if mark in text), "")
