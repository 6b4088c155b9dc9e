"""A file of labels as a command names it, and what it holds on a grid before a manifest names its classes."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError, close_names
from m3amba_zoo.rasters.array import ARRAY_FILES
from m3amba_zoo.rasters.crs import pixel_area
from m3amba_zoo.rasters.grid import Grid
from m3amba_zoo.rasters.indirect import open_dataset
from m3amba_zoo.rasters.raster import Raster
from m3amba_zoo.rasters.request import GDAL_NAME
from m3amba_zoo.scenes.envi_roi import is_region_file, read_regions
from m3amba_zoo.scenes.label_files import (
    SHAPE_KEYS,
    LabelRaster,
    LabelShapes,
    distinct_values,
    labels_of_values,
    parse_label_file,
    plain,
    written,
)
from m3amba_zoo.scenes.scene import UNLABELLED, check_number_of_classes
from m3amba_zoo.scenes.vectors import SUFFIXES, list_attributes, propose_attributes

TABLES = (".csv", ".tsv", ".xls", ".xlsx", ".ods", ".dbf")
RASTERS = (".tif", ".tiff", ".img", ".dat", ".vrt", ".mat", ".npy", ".npz", ".nc", ".h5", ".png")
FORMS = "a label raster, polygons or points (FILE:ATTRIBUTE), or regions of interest of ENVI as text"
Color = tuple[int, int, int]
Legend = dict[Any, tuple[str | None, Color | None]]
BYTE_IGNORED = 255
"""The value that marks pixels to be ignored in label rasters of bytes, by the custom of the field."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelRequest:
    """A file of labels, and what is stated of it.

    Attributes:
        path: a raster, a vector file, or regions of interest that ENVI wrote as text.
        options: further keys of the entry ``labels`` of a manifest, without ``unlabelled``.
        unlabelled: values without a class, as written.
    """

    path: str
    options: Mapping[str, Any] = field(default_factory=dict)
    unlabelled: tuple[str, ...] = ()

    @property
    def is_vector(self) -> bool:
        """Whether the file holds polygons or points with attributes."""
        return Path(self.path).suffix.lower() in SUFFIXES

    @property
    def is_by_name(self) -> bool:
        """Whether a class's value is its name, unless the manifest says otherwise; not in rasters."""
        return self.is_vector or is_region_file(self.path)


def parse_labels(text: str, **options: Any) -> LabelRequest:
    """Return a request for labels as a command names them.

    That is ``FILE``, ``FILE:ATTRIBUTE`` or ``FILE:LAYER:ATTRIBUTE``. A raster's part behind the colon is its
    key (of MATLAB, HDF5 and NetCDF files). A file of the whole name goes first.

    Args:
        text: as given.
        **options: of ``LabelRequest``; those that are None or false count as not given.

    Raises:
        InputError: if there are too many parts, or a part is given twice.
    """
    unlabelled = tuple(options.pop("unlabelled", None) or ())
    given = {name: value for name, value in options.items() if value not in (None, False)}
    path, parts = text, list[str]()
    while not os.path.exists(path) and ":" in path and not GDAL_NAME.match(path):
        path, _, part = path.rpartition(":")
        parts.insert(0, part)
    if not os.path.exists(path):  # the reader says so
        return LabelRequest(text, given, unlabelled)
    names = ["layer", "attribute"] if LabelRequest(path).is_vector else ["key"]
    if len(parts) > len(names):
        raise InputError(
            f"--labels: '{text}' has {len(parts)} parts behind the file; {' and '.join(names)} at most"
        )
    for name, part in zip(names[len(names) - len(parts) :], parts, strict=True):
        if name in given:
            raise InputError(f"--labels: '{text}' names the {name}, and so does --{name} {given[name]}")
        given[name] = part
    return LabelRequest(path, given, unlabelled)


def read_labels(labels: LabelRequest, grid: Grid, fewest: int = 2) -> LabelSummary:
    """Say what a file of labels holds on a grid; see ``describe_labels``.

    Raises:
        InputError: as ``describe_labels``; or if a value to leave out is not in the file.
    """
    options = dict(labels.options)
    if Path(labels.path.partition(":")[0]).suffix.lower() in TABLES:
        raise InputError(
            f"--labels {labels.path}: a table; expected points or polygons, which ogr2ogr makes of columns: "
            "ogr2ogr -oo X_POSSIBLE_NAMES=lon -oo Y_POSSIBLE_NAMES=lat -a_srs EPSG:4326 points.gpkg TABLE"
        )
    if not GDAL_NAME.match(labels.path) and not os.path.exists(labels.path):
        raise InputError(f"--labels {labels.path}: no such file; {FORMS} is expected")
    if os.path.isdir(labels.path) and not labels.is_vector:
        raise InputError(f"--labels {labels.path}: is a folder; {FORMS} is expected")
    if labels.is_vector and os.path.exists(labels.path) and "attribute" not in options:
        raise InputError(
            f"--labels {labels.path}: which attribute holds the classes? FILE:ATTRIBUTE is expected; it has "
            f"{propose_attributes(labels.path, options.get('layer'))}"
        )
    if labels.unlabelled:
        options["unlabelled"] = unlabelled_values(labels)
    if of_shapes := [name for name in SHAPE_KEYS if name in options and _is_raster(labels)]:
        raise InputError(
            f"--{of_shapes[0].replace('_', '-')}: is for polygons and points, but --labels {labels.path} is "
            "a raster; leave it out"
        )
    try:
        return describe_labels(labels.path, grid, fewest=fewest, **options)
    except InputError as error:  # which names a key of the entry 'labels'
        raise InputError(re.sub(r"^labels: '(\w+)'", _option, str(error))) from error


def _option(key: re.Match[str]) -> str:
    name = key[1].replace("_", "-")
    return "--align-labels" if name == "align" else f"--{name}"


def _is_raster(labels: LabelRequest) -> bool:
    return not labels.is_by_name and Path(labels.path).suffix.lower() in RASTERS


def unlabelled_values(labels: LabelRequest) -> list[float | str]:
    """Return the values of a file that the texts of ``--unlabelled`` mean.

    Raises:
        InputError: if the file has no such value.
    """
    path, options = labels.path, labels.options
    if labels.is_vector:
        values = list_attributes(path, options.get("layer")).get(options["attribute"], [])
    elif labels.is_by_name:
        values = [region.name for region in read_regions(path).regions]
    else:
        try:
            return [plain(float(text)) for text in labels.unlabelled]
        except ValueError as error:
            raise InputError(
                f"--unlabelled {' '.join(labels.unlabelled)}: {path} is a raster, so numbers are expected"
            ) from error
    known = {written_value(value): value for value in values}
    for text in labels.unlabelled:
        if text not in known:
            hint = close_names(text, known) or f"it has {', '.join(map(repr, values[:8]))}"
            raise InputError(f"--unlabelled: no class of {path} is '{text}'; {hint}")
    return [known[text] for text in labels.unlabelled]


def written_value(value: Any) -> str:
    """Write a value as it is given to a command."""
    return str(plain(value))


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
    area = pixel_area(grid.crs, grid.transform)
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
    legend = {} if file.request.key else _read_legend(file.path)
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
