"""Which part of a virtual mosaic (VRT) none of its sources covers: there GDAL reads zeros."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from rasterio.io import DatasetReader
from shapely import Polygon, box, union_all

SOURCES = {"SimpleSource", "ComplexSource", "AveragedSource", "KernelFilteredSource", "NoDataFromMaskSource"}
LEAST_SHARE = 1e-6
"""Of a band; less is a rounding of the sources' edges."""


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
