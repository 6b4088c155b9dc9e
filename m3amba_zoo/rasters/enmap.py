"""EnMAP's level 2A product: what its metadata file says of the image beside it.

The product of the German Aerospace Center (DLR) is a folder of files that begin with one name:
``ENMAP01-____L2A-...-SPECTRAL_IMAGE.TIF`` has 224 bands of int16 on a map grid, and ``...-METADATA.XML``
describes them (EnMAP product specification, EN-PCV-ICD-2009): ``specific/bandCharacterisation`` gives the
centre wavelength, gain and offset of each band, ``specific/backgroundValue`` the value of missing pixels, and
``product/bandStatistics`` tells bands without any value (those of strong water vapour absorption).
"""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.bands import Bands
from m3amba_zoo.reading import library_errors

METADATA = re.compile(r"METADATA(\.xml)$", re.IGNORECASE)
IMAGE = re.compile(r"SPECTRAL_IMAGE(_COG)?(\.[a-z]+)$", re.IGNORECASE)
IMAGE_SUFFIXES = (".tif", ".tiff", ".bsq", ".bil", ".bip")
EMPTY_STATISTICS = (-1e6, 0.0)
"""Mean and standard deviation that the product states of a band without values."""


class EnmapFacts(NamedTuple):
    """What the metadata say of the image: its bands, their scales and offsets ``(C,)``, and nodata."""

    bands: Bands
    scales: NDArray[np.float64]
    offsets: NDArray[np.float64]
    nodata: float | None


def image_of_metadata(path: str) -> str:
    """Return the image beside a metadata file of EnMAP; other paths are returned as they are.

    Raises:
        InputError: if there is no image.
    """
    file = Path(path)
    if not METADATA.search(file.name) or not os.path.isfile(file):
        return path
    beginning = METADATA.sub("", file.name)
    for other in sorted(file.parent.iterdir()):
        is_beside = other.name.startswith(beginning) and IMAGE.fullmatch(other.name[len(beginning) :])
        if is_beside and other.suffix.lower() in IMAGE_SUFFIXES:
            return str(other)
    raise InputError(
        f"{path}: there is no image {beginning}SPECTRAL_IMAGE.TIF beside it; the whole folder of an EnMAP "
        "product is expected"
    )


def read_enmap(path: str, count: int) -> EnmapFacts | None:
    """Read what the metadata file beside an image of EnMAP says; None for other files.

    Args:
        path: of the image.
        count: of its bands.

    Raises:
        InputError: if the metadata are damaged, or are those of another number of bands.
    """
    image = Path(path)
    if not IMAGE.search(image.name) or not os.path.isfile(image):
        return None
    beside = [IMAGE.sub(name, image.name) for name in ("METADATA.XML", "METADATA.xml", "metadata.xml")]
    found = next((image.with_name(name) for name in beside if image.with_name(name).is_file()), None)
    if found is None:
        return None
    with library_errors(found, "not the metadata of an EnMAP product, they may be damaged"):
        root = ElementTree.parse(found).getroot()
        described = root.findall("specific/bandCharacterisation/bandID")
        centres, gains, offsets = (
            np.array([float(band.findtext(name, "")) for band in described])
            for name in ("wavelengthCenterOfBand", "GainOfBand", "OffsetOfBand")
        )
        background = root.findtext("specific/backgroundValue")
        nodata = None if background is None else float(background)
        statistics = [
            (float(band.findtext("mean", "nan")), float(band.findtext("stdDeviation", "nan")))
            for band in root.findall("product/bandStatistics/bandID")
        ]
    if len(centres) != count:
        raise InputError(
            f"{found}: describes {len(centres)} bands, but {path} has {count}; the image as it was "
            "delivered, or one of another name, is expected"
        )
    bad = tuple(number for number, values in enumerate(statistics) if values == EMPTY_STATISTICS)
    bands = Bands(
        wavelengths=centres, bad=bad if len(statistics) == count else (), reason="no pixel has a value"
    )
    return EnmapFacts(bands, gains, offsets, nodata)
