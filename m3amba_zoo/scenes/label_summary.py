"""What a file of labels holds on a grid, before any manifest names its classes."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.array import ARRAY_FILES
from m3amba_zoo.rasters.crs import metres_per_unit
from m3amba_zoo.rasters.grid import Grid
from m3amba_zoo.rasters.indirect import open_dataset
from m3amba_zoo.rasters.raster import Raster
from m3amba_zoo.scenes.envi_roi import read_regions
from m3amba_zoo.scenes.label_files import LabelRaster, LabelShapes, parse_label_file
from m3amba_zoo.scenes.label_values import distinct_values, labels_of_values, plain, written
from m3amba_zoo.scenes.scene import UNLABELLED, check_number_of_classes

Color = tuple[int, int, int]
Legend = dict[Any, tuple[str | None, Color | None]]
BYTE_IGNORED = 255
"""The value that marks pixels to be ignored in label rasters of bytes, by the custom of the field."""

logger = logging.getLogger(__name__)


class ClassCount(NamedTuple):
    """A class of a file of labels.

    Attributes:
        value: in the file: a number or a text, as it goes into the manifest's ``values``.
        name: the file's own name of it, else the value as text.
        pixels: labelled pixels on the grid; 0 for a class whose shapes are too small or lie elsewhere.
        area: of these pixels in m2; None unless the grid's CRS is projected.
        shapes: polygons, points or regions of the class in the file; None for a raster.
        color: red, green, blue, 0 to 255, if the file gives it.
    """

    value: float | str
    name: str
    pixels: int
    area: float | None
    shapes: int | None
    color: Color | None


class LabelSummary(NamedTuple):
    """What a file of labels holds on a grid.

    Attributes:
        classes: sorted by their value; regions of ENVI in the order of the file.
        unlabelled: the values of a label raster that are taken to mean no class.
        labels: ``(H, W)`` uint8: the class's position from 1; 0 unlabelled.
    """

    classes: tuple[ClassCount, ...]
    unlabelled: tuple[float, ...]
    labels: NDArray[np.uint8]


def describe_labels(
    path: str | Path,
    grid: Grid,
    attribute: str | None = None,
    layer: str | None = None,
    fewest: int = 2,
    **options: Any,
) -> LabelSummary:
    """Count the pixels of each class in a label raster, a vector file or ENVI's regions of interest.

    What shall be known of the shapes (some lie off the grid, hold no pixel or overlap) is logged as warnings.

    Args:
        path: the file.
        grid: of the rasters to be labelled; it has a transform if the file holds polygons or points.
        attribute: of a vector file, holds the classes. None: refused, with the attributes that it has.
        layer: of a vector file; may be None if it has one.
        fewest: classes that are expected at least, 1 or 2.
        **options: further keys of the entry ``labels`` of a manifest (``key``, ``crs``, ``radius``,
            ``touched``, ``skip_invalid``, ``unlabelled``). Without ``unlabelled``, values below 1 of a label
            raster mean no class, and so does 255 in bytes unless 254 occurs, too.

    Raises:
        InputError: if the file cannot be read as labels of the grid, holds fewer than ``fewest`` classes, or
            more than a class map can tell apart.
    """
    entry = {"path": str(path), "attribute": attribute, "layer": layer, **options}
    given = {key: value for key, value in entry.items() if value is not None}
    file = parse_label_file("labels", given, Path(), "labels")
    if isinstance(file, LabelRaster):
        labels, counts, unlabelled, legend = _describe_raster(file, grid)
    else:
        labels, counts, legend = _describe_shapes(file, grid)
        unlabelled = ()
    if len(counts) < fewest:
        found = ", ".join(map(repr, counts)) or "none"
        if unlabelled:
            found += f" (and {', '.join(map(str, map(plain, unlabelled)))}, taken to mean no class)"
        wanted = "two classes at least are" if fewest == 2 else "one class at least is"
        raise InputError(f"{path}: {wanted} expected, it holds {found}")
    pixels = np.bincount(labels.ravel(), minlength=len(counts) + 1)[1:].tolist()
    area = _pixel_area(grid)
    classes = []
    for (value, shapes), count in zip(counts.items(), pixels, strict=True):
        name, color = legend.get(value, (None, None))
        classes.append(
            ClassCount(
                value=value,
                name=name or (value if isinstance(value, str) else f"{attribute or 'class'} {plain(value)}"),
                pixels=count,
                area=None if area is None else count * area,
                shapes=shapes,
                color=color,
            )
        )
    return LabelSummary(tuple(classes), unlabelled, labels)


def _describe_raster(
    file: LabelRaster, grid: Grid
) -> tuple[NDArray[np.uint8], dict[Any, int | None], tuple[float, ...], Legend]:
    """Return the labels, the values, those of no class, and the file's names and colours."""
    read = file.read(grid)
    found = distinct_values(read.raster)
    _say_missing(read.raster)
    unlabelled = file.unlabelled
    if unlabelled is None:
        is_ignored = read.raster.data.dtype == np.uint8 and BYTE_IGNORED - 1 not in found
        unlabelled = tuple(
            value
            for value in found
            if (value < 1 and value % 1 == 0) or (value == BYTE_IGNORED and is_ignored)
        )
    values = [value for value in found if value not in unlabelled]
    fractions = [value for value in values if value % 1 != 0]
    if fractions:
        first = written(read.raster.data.dtype.type(fractions[0]))
        raise InputError(
            f"{file.path}: {len(fractions)} of {len(found)} values are no whole numbers (the first: "
            f"{first}); a whole number for each class is expected"
        )
    values = list(map(int, values))
    check_number_of_classes(str(file.path), len(values))
    numbers = {value: number for number, value in enumerate(values, start=1)}
    labels = labels_of_values("labels", read.raster, numbers, unlabelled or (UNLABELLED,))
    legend = {} if file.entry.request.key else _read_legend(file.path)
    return labels, dict.fromkeys(values), unlabelled, legend


def _say_missing(raster: Raster) -> None:
    """Warn of pixels that the file calls missing though their value looks like a class."""
    nodata = raster.nodata[0] if isinstance(raster.nodata, tuple) else raster.nodata
    if nodata is None or not (0 < nodata < BYTE_IGNORED):
        return
    count = int((raster.data == nodata).sum())
    if count:
        logger.warning(
            f"{raster.path} marks the value {plain(nodata)} as missing (nodata): its {count} pixels have no "
            "class"
        )


def _describe_shapes(
    file: LabelShapes, grid: Grid
) -> tuple[NDArray[np.uint8], dict[Any, int | None], Legend]:
    """Return the labels, the number of shapes of each value, and the file's colours."""
    counts: dict[Any, int | None] = {
        int(value) if isinstance(value, bool) else value: count
        for value, count in file.count_values().items()
        if value not in file.unlabelled
    }
    strange = [value for value in counts if not isinstance(value, int | float | str)]
    if strange:
        raise InputError(
            f"{file.path}: '{file.attribute}' holds {strange[0]!r}; texts or numbers are expected"
        )
    check_number_of_classes(f"{file.path}: '{file.attribute}'", len(counts))
    labels = file.labels(grid, {value: number for number, value in enumerate(counts, start=1)})
    regions = read_regions(file.path).regions if file.regions else ()
    return labels, counts, {region.name: (region.name, region.color) for region in regions}


def _read_legend(path: str) -> Legend:
    """Return names and colours of a label raster's values: tags CLASS_n, ENVI's classes, colour table."""
    if path.lower().endswith(ARRAY_FILES):  # they have none
        return {}
    with open_dataset(path) as file:
        tags, header = file.tags(), file.tags(ns="ENVI")
        try:
            colors = {value: color[:3] for value, color in file.colormap(1).items()}
        except ValueError:  # it has none
            colors = {}
    names = {int(tag[6:]): name for tag, name in tags.items() if re.fullmatch(r"CLASS_\d+", tag)}
    listed = header.get("class_names", "").strip("{} ")
    names |= {value: name.strip() for value, name in enumerate(listed.split(",")) if name.strip()}
    return {value: (names.get(value), colors.get(value)) for value in {*names, *colors}}


def _pixel_area(grid: Grid) -> float | None:
    """Return the area of a pixel in m2, None unless the CRS is projected."""
    unit = metres_per_unit(grid.crs)
    return None if unit is None or grid.transform is None else abs(grid.transform.determinant) * unit**2
