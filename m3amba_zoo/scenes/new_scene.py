"""A user's files become a scene: what they hold, and the ``scene.yaml`` that says so."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError, close_names
from m3amba_zoo.rasters.grid import Grid, require_same_grid
from m3amba_zoo.rasters.matching import KnownBands, take_bands
from m3amba_zoo.rasters.opening import open_raster
from m3amba_zoo.rasters.request import GDAL_NAME, RasterRequest
from m3amba_zoo.rasters.summary import (
    RasterSummary,
    constant_bands,
    file_facts,
    summarize,
    written_bands,
)
from m3amba_zoo.scenes.envi_roi import is_region_file, read_regions
from m3amba_zoo.scenes.label_summary import ClassCount, LabelSummary, describe_labels
from m3amba_zoo.scenes.manifest_entries import MODALITY_KEYS
from m3amba_zoo.scenes.scene import UNLABELLED, LandClass, Scene, distinct_color
from m3amba_zoo.scenes.vectors import SUFFIXES, list_attributes, propose_attributes


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
        """Whether a class's name is its value, unless the manifest says otherwise; in rasters it is a number."""
        return self.is_vector or is_region_file(self.path)


class FoundScene(NamedTuple):
    """What a scene's files hold.

    Attributes:
        name: of the scene; contains ``simulated`` if a raster says that it is.
        requests: by modality: the file and what is stated of it, with the file's own unit.
        rasters: what each of them holds, in the same order.
        labels: the file.
        found: what it holds.
        grid: that all rasters share.
        remarks: what was guessed or left out of the rasters, sentences.
    """

    name: str
    requests: dict[str, RasterRequest]
    rasters: dict[str, RasterSummary]
    labels: LabelRequest
    found: LabelSummary
    grid: Grid
    remarks: tuple[str, ...]

    @property
    def seen(self) -> NDArray[np.bool_]:
        """The pixels ``(H, W)`` that some raster shows."""
        return ~np.logical_and.reduce([summary.unseen for summary in self.rasters.values()])


class NewScenes(NamedTuple):
    """Scenes of one class table.

    Attributes:
        classes: by label, from 1. Pixels and areas are those that some raster shows, over all scenes.
        absent: classes of the files that label no pixel.
        scenes: with labels and place, without rasters.
        unseen: how many labelled pixels no raster shows; they are unlabelled.
    """

    classes: tuple[ClassCount, ...]
    absent: tuple[ClassCount, ...]
    scenes: tuple[Scene, ...]
    unseen: int


def parse_labels(text: str, **options: Any) -> LabelRequest:
    """Return a request for labels as a command names them: ``FILE``, ``FILE:ATTRIBUTE``, ``FILE:LAYER:ATTRIBUTE``.

    A raster's part behind the colon is its key (of MATLAB, HDF5 and NetCDF files). A file of the whole name
    goes first.

    Args:
        text: as given.
        **options: of ``LabelRequest``; those that are None or false count as not given.

    Raises:
        InputError: if there are too many parts, or a part is given twice.
    """
    unlabelled = tuple(options.pop("unlabelled", None) or ())
    given = {name: value for name, value in options.items() if value not in (None, False)}
    path, parts = text, []
    while not Path(path).exists() and ":" in path and not GDAL_NAME.match(path):
        path, _, part = path.rpartition(":")
        parts.insert(0, part)
    if not Path(path).exists():  # the reader says so
        return LabelRequest(text, given, unlabelled)
    names = ["layer", "attribute"] if LabelRequest(path).is_vector else ["key"]
    if len(parts) > len(names):
        raise InputError(f"--labels: '{text}' has {len(parts)} parts behind the file; {' and '.join(names)} at most")
    for name, part in zip(names[len(names) - len(parts) :], parts, strict=True):
        if name in given:
            raise InputError(f"--labels: '{text}' names the {name}, and so does --{name} {given[name]}")
        given[name] = part
    return LabelRequest(path, given, unlabelled)


def read_scene(
    name: str,
    requests: Mapping[str, RasterRequest],
    labels: LabelRequest,
    like: FoundScene | None = None,
    alone: bool = True,
) -> FoundScene:
    """Read the files of a scene.

    Args:
        name: of the scene.
        requests: the rasters by modality.
        labels: the labels.
        like: the first scene, whose bands this one must have.
        alone: whether it is the only one; else one class suffices.

    Raises:
        InputError: if a file is absent or damaged, the rasters differ in their grid or from those of
            ``like``, or the labels do not fit.
    """
    if like is not None and set(like.requests) != set(requests):
        raise InputError(
            f"scene '{name}' has the modalities {', '.join(requests)}, scene '{like.name}' "
            f"{', '.join(like.requests)}; the same are expected"
        )
    completed, summaries, remarks, simulated = {}, {}, [], False
    for modality, request in requests.items():
        known = None if like is None else KnownBands.of(like.rasters[modality].header)
        with open_raster(request, modality, None if known is None else known.count) as opened:
            if known is not None:
                take_bands(opened, known, "the first scene's")
            summaries[modality] = summarize(opened, modality)
            remarks += opened.remarks
        facts = file_facts(request)
        completed[modality] = request if request.unit else replace(request, unit=facts.unit)
        simulated = simulated or facts.simulated
    grids = sorted((summary.grid for summary in summaries.values()), key=lambda grid: grid.transform is None)
    for other in grids[1:]:
        require_same_grid(name, grids[0], other)
    if simulated and "simulated" not in name:
        name = f"simulated_{name}"
    found = _read_labels(labels, grids[0], fewest=2 if alone else 1)
    return FoundScene(name, completed, summaries, labels, found, grids[0], tuple(remarks))


def join_scenes(found: Sequence[FoundScene]) -> NewScenes:
    """Give scenes one class table, and take out the pixels that no raster shows.

    Raises:
        InputError: if fewer than two classes label a pixel, or two scenes have one name.
    """
    names = [scene.name for scene in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"two scenes are named '{twice[0]}'; different names are expected")
    entries: dict[Any, ClassCount] = {}
    for scene in found:
        for entry in scene.found.classes:
            entries.setdefault(entry.value, entry)
    values = list(entries)
    labels, unseen = [], 0
    for scene in found:
        numbers = [UNLABELLED, *(1 + values.index(entry.value) for entry in scene.found.classes)]
        drawn = np.array(numbers, np.uint8)[scene.found.labels]
        unseen += int((drawn[~scene.seen] > 0).sum())
        labels.append(np.where(scene.seen, drawn, UNLABELLED).astype(np.uint8))
    pixels = [[int((drawn == number).sum()) for drawn in labels] for number in range(1, len(values) + 1)]
    kept = [number for number, counts in enumerate(pixels, start=1) if any(counts)]
    if len(kept) < 2:
        left = ", ".join(repr(entries[values[number - 1]].name) for number in kept) or "none"
        raise InputError(
            f"{found[0].labels.path}: two classes with pixels on the rasters at least are expected, found {left}"
        )
    renumbered = np.zeros(len(values) + 1, np.uint8)
    renumbered[kept] = np.arange(1, len(kept) + 1)
    table = [_summed(entries[values[number - 1]], found, pixels[number - 1]) for number in kept]
    absent = tuple(entries[value] for number, value in enumerate(values, start=1) if number not in kept)
    table = _with_distinct_names(table)
    land = tuple(LandClass(e.name, e.color or distinct_color(k)) for k, e in enumerate(table))
    scenes = tuple(
        Scene(scene.name, {}, renumbered[drawn], land, scene.grid.crs, scene.grid.transform)
        for scene, drawn in zip(found, labels, strict=True)
    )
    return NewScenes(tuple(table), absent, scenes, unseen)


def leave_out_constant_bands(
    found: Sequence[FoundScene], chosen: Mapping[str, NDArray[np.bool_]]
) -> tuple[list[FoundScene], dict[str, list[str]]]:
    """Leave out bands that no model can be fitted to: those missing or constant over all chosen pixels.

    Args:
        found: the scenes.
        chosen: the training pixels ``(H, W)`` by scene.

    Returns:
        The scenes, which state the bands that are left, and the names of those left out, by modality.

    Raises:
        InputError: if no band of a modality is left.
    """
    scenes, names = list(found), {}
    for modality, first in found[0].rasters.items():
        constant = set(range(len(first.header.data)))
        for scene in found:
            request = replace(scene.requests[modality], bands=scene.rasters[modality].header.numbers)
            if chosen[scene.name].any():
                with open_raster(request, modality) as opened:
                    constant &= set(constant_bands(opened, chosen[scene.name]))
        kept = [band for band in range(len(first.header.data)) if band not in constant]
        if not kept:
            raise InputError(
                f"{first.grid.path}: all {len(constant)} bands of '{modality}' are missing or constant over the "
                "training pixels; values that vary are expected"
            )
        if constant:
            names[modality] = [first.header.band_name(band) for band in sorted(constant)]
            scenes = [_with_bands(scene, modality, kept) for scene in scenes]
    return scenes, names


def manifest_of(
    found: Sequence[FoundScene], joined: NewScenes, folder: Path | None = None
) -> dict[str, Any]:
    """Return the content of ``scene.yaml``; see ``scenes.manifest.Manifest``.

    Args:
        found: the scenes' files.
        joined: their class table.
        folder: that will hold the file; paths are relative to it where the two have a folder in common.
            None: all paths are absolute.
    """
    entries = []
    for scene in found:
        modalities = {name: _modality_entry(request, folder) for name, request in scene.requests.items()}
        labels = {"path": relative_path(scene.labels.path, folder), **scene.labels.options}
        if unlabelled := _unlabelled_values(scene, joined):
            labels["unlabelled"] = unlabelled
        entries.append({"name": scene.name, "modalities": modalities, "labels": labels})
    classes = []
    numbers = list(range(1, len(joined.classes) + 1))
    defaults = {True: [entry.name for entry in joined.classes], False: numbers}
    values_of = [entry.value for entry in joined.classes]
    are_defaults = all(defaults[scene.labels.is_by_name] == values_of for scene in found)
    for entry, land in zip(joined.classes, joined.scenes[0].classes, strict=True):
        values = {} if are_defaults else {"values": [_plain(entry.value)]}
        classes.append({"name": entry.name, "color": list(land.color), **values})
    top = entries[0] if len(entries) == 1 else {"scenes": entries}
    return {**top, "classes": classes}


def manifest_text(document: Mapping[str, Any], title: str) -> str:
    """Write the content of ``scene.yaml`` with a comment above."""
    text = yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, default_flow_style=None, width=100)
    return f"# {title}\n# Paths are relative to this folder. All keys: m3amba_zoo/scenes/manifest.py\n{text}"


def relative_path(given: str, folder: Path | None) -> str:
    """Return a path as ``scene.yaml`` in a folder names it: relative if both have more than the root in common.

    So the folder and the files can be moved together. Names of GDAL's own stay as they are.
    """
    if GDAL_NAME.match(given) and not Path(given).exists():
        return given
    if folder is None:
        return os.path.abspath(given)
    parent = os.path.realpath(folder.parent)
    target = os.path.join(os.path.realpath(os.path.dirname(os.path.abspath(given))), os.path.basename(given))
    try:
        common = os.path.commonpath([parent, target])
    except ValueError:  # on another drive
        return target
    return target if common == os.path.dirname(common) else os.path.relpath(target, os.path.join(parent, folder.name))


def _read_labels(labels: LabelRequest, grid: Grid, fewest: int) -> LabelSummary:
    options = dict(labels.options)
    if labels.is_vector and Path(labels.path).exists() and "attribute" not in options:
        raise InputError(
            f"--labels {labels.path}: which attribute holds the classes? FILE:ATTRIBUTE is expected; it has "
            f"{propose_attributes(labels.path, options.get('layer'))}"
        )
    if labels.unlabelled:
        options["unlabelled"] = _values_of(labels)
    return describe_labels(labels.path, grid, fewest=fewest, **options)


def _values_of(labels: LabelRequest) -> list[float | str]:
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
            return [_plain(float(text)) for text in labels.unlabelled]
        except ValueError as error:
            raise InputError(
                f"--unlabelled {' '.join(labels.unlabelled)}: {path} is a raster, so numbers are expected"
            ) from error
    known = {_written(value): value for value in values}
    for text in labels.unlabelled:
        if text not in known:
            hint = close_names(text, known) or f"it has {', '.join(map(repr, values[:8]))}"
            raise InputError(f"--unlabelled: no class of {path} is '{text}'; {hint}")
    return [known[text] for text in labels.unlabelled]


def _summed(entry: ClassCount, found: Sequence[FoundScene], pixels: Sequence[int]) -> ClassCount:
    """Return a class with its pixels, area and shapes over all scenes."""
    areas: list[float | None] = []
    shapes: list[int] = []
    for scene, count in zip(found, pixels, strict=True):
        for own in scene.found.classes:
            if own.value == entry.value:
                areas.append(None if own.area is None else own.area / max(own.pixels, 1) * count)
                shapes += [] if own.shapes is None else [own.shapes]
    area = None if None in areas else sum(area for area in areas if area is not None)
    return entry._replace(pixels=sum(pixels), area=area, shapes=sum(shapes) if shapes else None)


def _with_distinct_names(table: list[ClassCount]) -> list[ClassCount]:
    names = [entry.name for entry in table]
    return [
        entry._replace(name=f"{entry.name} ({_written(entry.value)})") if names.count(entry.name) > 1 else entry
        for entry in table
    ]


def _with_bands(scene: FoundScene, modality: str, kept: Sequence[int]) -> FoundScene:
    numbers = scene.rasters[modality].header.numbers
    request = replace(scene.requests[modality], bands=tuple(numbers[band] for band in kept))
    return scene._replace(requests={**scene.requests, modality: request})


def _modality_entry(request: RasterRequest, folder: Path | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"path": relative_path(request.path, folder)}
    for key in MODALITY_KEYS:
        value = getattr(request, key)
        if key == "path" or value in (None, ""):
            continue
        if key == "bands":
            entry[key] = written_bands(list(value))
        else:
            entry[key] = [_plain(one) for one in value] if isinstance(value, tuple) else _plain(value)
    return entry


def _unlabelled_values(scene: FoundScene, joined: NewScenes) -> list[float | str]:
    """Return the values without a class; empty if there is no need to list them."""
    values = [_plain(value) for value in scene.found.unlabelled]
    if scene.labels.unlabelled:
        values += [value for value in _values_of(scene.labels) if value not in values]
    own = {entry.value for entry in scene.found.classes}
    values += [_plain(entry.value) for entry in joined.absent if entry.value in own]
    return [] if values == [UNLABELLED] else values


def _plain(value: Any) -> Any:
    """Return whole numbers as such."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value


def _written(value: Any) -> str:
    return str(_plain(value))
