"""A file of labels as a command names it, and its reading."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from m3amba_zoo.errors import InputError, close_names
from m3amba_zoo.rasters.grid import Grid
from m3amba_zoo.rasters.request import GDAL_NAME
from m3amba_zoo.scenes.envi_roi import is_region_file, read_regions
from m3amba_zoo.scenes.label_files import SHAPE_KEYS
from m3amba_zoo.scenes.label_summary import LabelSummary, describe_labels
from m3amba_zoo.scenes.label_values import plain
from m3amba_zoo.scenes.vectors import SUFFIXES, list_attributes, propose_attributes

TABLES = (".csv", ".tsv", ".xls", ".xlsx", ".ods", ".dbf")
RASTERS = (".tif", ".tiff", ".img", ".dat", ".vrt", ".mat", ".npy", ".npz", ".nc", ".h5", ".png")
FORMS = "a label raster, polygons or points (FILE:ATTRIBUTE), or regions of interest of ENVI as text"


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
