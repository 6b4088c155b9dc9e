"""The style of a class map for QGIS, which finds it beside a raster of the same name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from m3amba_zoo.scenes.scene import LandClass
from m3amba_zoo.system import whole_file


def write_style(path: Path, classes: Sequence[LandClass]) -> None:
    """Write a QML file with each class's colour and name (QGIS: paletted / unique values).

    Raises:
        InputError: if the file cannot be written.
    """
    root = ElementTree.Element("qgis", version="3.22", styleCategories="Symbology")
    pipe = ElementTree.SubElement(root, "pipe")
    renderer = ElementTree.SubElement(
        pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1", nodataColor=""
    )
    palette = ElementTree.SubElement(renderer, "colorPalette")
    for number, entry in enumerate(classes, start=1):
        color = "#" + bytes(entry.color).hex()
        ElementTree.SubElement(
            palette, "paletteEntry", value=str(number), label=entry.name, color=color, alpha="255"
        )
    with whole_file(path) as aside:
        aside.write_text(
            "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
            + ElementTree.tostring(root, encoding="unicode"),
            encoding="utf-8",
        )
