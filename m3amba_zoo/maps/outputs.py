"""The files beside a map: their names, whether they can be written, style for QGIS and table of areas."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from rasterio.transform import Affine

from m3amba_zoo.errors import InputError, close_names
from m3amba_zoo.maps.products import MAP, PROBABILITIES, UNCERTAINTY
from m3amba_zoo.rasters.crs import pixel_area
from m3amba_zoo.scenes.scene import LandClass
from m3amba_zoo.system import same_file, whole_file

GEOTIFF = (".tif", ".tiff")
PICTURE = (".png",)
STYLE, PREVIEW, AREAS = "style", "preview", "areas"
BESIDE = {
    PROBABILITIES: "_probabilities.tif",
    UNCERTAINTY: "_uncertainty.tif",
    STYLE: ".qml",  # the name under which QGIS finds it
    PREVIEW: "_preview.png",
    AREAS: "_areas.csv",
}
"""What each further output adds to the map's name, in place of its suffix."""
SQUARE_METRES_PER_HECTARE = 10_000
ROWS_AT_ONCE = 1024
FEWEST_DIGITS = 4


def output_paths(
    out: str | Path, wanted: Mapping[str, Path | None], inputs: Iterable[str | Path]
) -> dict[str, Path]:
    """Return the paths of a map and of the outputs beside it, by name.

    Args:
        out: the map, a ``.tif``.
        wanted: names of ``BESIDE`` with paths; None takes the usual one.
        inputs: files that are read.

    Raises:
        InputError: if a name is unknown, or a file cannot be written.
    """
    out = Path(out)
    paths = {MAP: out}
    for name, path in wanted.items():
        if name not in BESIDE:
            hint = close_names(name, BESIDE) or f"expected {', '.join(BESIDE)}"
            raise InputError(f"no output '{name}' beside a map; {hint}")
        paths[name] = path or out.with_name(out.stem + BESIDE[name])
    inputs = list(inputs)
    for name, path in paths.items():
        others = [other for of, other in paths.items() if of != name]
        suffix = GEOTIFF[0] if name == MAP else f".{BESIDE[name].rpartition('.')[2]}"
        check_output(path, GEOTIFF if suffix in GEOTIFF else (suffix,), [*inputs, *others])
    return paths


def check_output(path: str | Path, suffixes: tuple[str, ...], others: Iterable[str | Path] = ()) -> None:
    """Raise InputError if it is known beforehand that a file of this name cannot be written.

    ``others`` are files that it may not replace: the rasters that are read, and other files to be written.
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise InputError(f"{path}: cannot be written, its name should end in {' or '.join(suffixes)}")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise InputError(f"{path}: cannot be written, there is no folder {folder}")
    if path.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        found = "it is a folder" if path.is_dir() else f"no permission for {folder}"
        raise InputError(f"{path}: cannot be written, {found}")
    for other in others:
        if same_file(path, other):
            raise InputError(
                f"{path}: cannot be written, it is an input or another output; expected another name"
            )


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


def write_areas(
    path: Path,
    class_map: NDArray[np.uint8],
    classes: Sequence[LandClass],
    crs: str | None,
    transform: Affine | None,
) -> None:
    """Write pixels, share and area of each class as CSV, without those that have no class.

    Areas are hectares where the CRS is projected, with as many digits as a pixel needs; in degrees or without
    a place they stay empty.

    Raises:
        InputError: if the file cannot be written.
    """
    counts = np.zeros(len(classes) + 1, np.int64)
    for top in range(0, len(class_map), ROWS_AT_ONCE):
        counts += np.bincount(class_map[top : top + ROWS_AT_ONCE].ravel(), minlength=len(counts))
    hectares = pixel_hectares(crs, transform)
    digits = hectare_digits(hectares, FEWEST_DIGITS)
    total = max(int(counts[1:].sum()), 1)
    with whole_file(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["class", "name", "pixels", "share", "hectares"])
        for number, (entry, count) in enumerate(zip(classes, counts[1:].tolist(), strict=True), start=1):
            area = "" if hectares is None else f"{count * hectares:.{digits}f}"
            table.writerow([number, entry.name, count, f"{count / total:.6f}", area])


def pixel_hectares(crs: str | None, transform: Affine | None) -> float | None:
    """Return the area of a pixel in hectares; None unless the CRS is projected."""
    area = pixel_area(crs, transform)
    return None if area is None else area / SQUARE_METRES_PER_HECTARE


def hectare_digits(hectares: float | None, fewest: int) -> int:
    """Return the digits behind the point with which the area of one pixel, in hectares, is not 0.

    Args:
        hectares: of a pixel, or None.
        fewest: digits at least.
    """
    return max(fewest, math.ceil(-math.log10(hectares))) if hectares else fewest
