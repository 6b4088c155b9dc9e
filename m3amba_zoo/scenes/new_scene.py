"""A user's files become scenes: what they hold, one class table, usable bands, and their ``scene.yaml``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.grid import Grid, difference
from m3amba_zoo.rasters.matching import KnownBands, take_bands
from m3amba_zoo.rasters.opening import align_rasters, open_raster
from m3amba_zoo.rasters.request import GDAL_NAME, RasterRequest
from m3amba_zoo.rasters.summary import (
    RasterSummary,
    constant_bands,
    file_facts,
    summarize,
    written_bands,
)
from m3amba_zoo.scenes.label_files import plain
from m3amba_zoo.scenes.label_request import (
    ClassCount,
    LabelRequest,
    LabelSummary,
    read_labels,
    unlabelled_values,
    written_value,
)
from m3amba_zoo.scenes.manifest_entries import MODALITY_KEYS
from m3amba_zoo.scenes.palette import safe_color
from m3amba_zoo.scenes.scene import UNLABELLED, LandClass, Scene


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
        lacking: how many of the others lack a modality, by modality.
    """

    classes: tuple[ClassCount, ...]
    absent: tuple[ClassCount, ...]
    scenes: tuple[Scene, ...]
    unseen: int
    lacking: dict[str, int]


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
    with ExitStack() as stack:
        opened = {}
        for modality, request in requests.items():
            known = None if like is None else KnownBands.of(like.rasters[modality].header)
            expected = None if known is None else known.count
            opened[modality] = stack.enter_context(open_raster(request, modality, expected))
            if known is not None:
                take_bands(opened[modality], known, "the first scene's")
        grid = align_rasters(name, opened)
        for modality, raster in opened.items():
            summaries[modality] = summarize(raster, modality)
            remarks += raster.remarks
    for modality, request in requests.items():
        facts = file_facts(request)
        completed[modality] = request if request.unit else replace(request, unit=facts.unit)
        simulated = simulated or facts.simulated
    if simulated and "simulated" not in name:
        name = f"simulated_{name}"
    found = read_labels(labels, grid, fewest=2 if alone else 1)
    return FoundScene(name, completed, summaries, labels, found, grid, tuple(remarks))


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
    labels, unseen, lacking = [], 0, dict.fromkeys(found[0].rasters, 0)
    for scene in found:
        numbers = [UNLABELLED, *(1 + values.index(entry.value) for entry in scene.found.classes)]
        drawn = np.array(numbers, np.uint8)[scene.found.labels]
        unseen += int((drawn[~scene.seen] > 0).sum())
        for modality, summary in scene.rasters.items():
            lacking[modality] += int((drawn[summary.unseen & scene.seen] > 0).sum())
        labels.append(np.where(scene.seen, drawn, UNLABELLED).astype(np.uint8))
    pixels = [[int((drawn == number).sum()) for drawn in labels] for number in range(1, len(values) + 1)]
    kept = [number for number, counts in enumerate(pixels, start=1) if any(counts)]
    if len(kept) < 2:
        left = ", ".join(repr(entries[values[number - 1]].name) for number in kept) or "none"
        raise InputError(
            f"{found[0].labels.path}: two classes with pixels on the rasters are expected, found {left}"
        )
    renumbered = np.zeros(len(values) + 1, np.uint8)
    renumbered[kept] = np.arange(1, len(kept) + 1)
    table = [_summed(entries[values[number - 1]], found, pixels[number - 1]) for number in kept]
    absent = tuple(entries[value] for number, value in enumerate(values, start=1) if number not in kept)
    table = _with_distinct_names(table)
    land = tuple(LandClass(e.name, e.color or safe_color(k)) for k, e in enumerate(table))
    scenes = tuple(
        Scene(scene.name, {}, renumbered[drawn], land, scene.grid.crs, scene.grid.transform)
        for scene, drawn in zip(found, labels, strict=True)
    )
    return NewScenes(tuple(table), absent, scenes, unseen, lacking)


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
                    if request.align and difference(scene.grid, opened.grid):
                        opened.align(scene.grid, request.align)
                    constant &= set(constant_bands(opened, chosen[scene.name]))
        kept = [band for band in range(len(first.header.data)) if band not in constant]
        if not kept:
            raise InputError(
                f"{first.grid.path}: all bands of '{modality}' are missing or constant over training pixels; "
                "values that vary are expected"
            )
        if constant:
            names[modality] = [first.header.band_name(band) for band in sorted(constant)]
            scenes = [_with_bands(scene, modality, kept) for scene in scenes]
    return scenes, names


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
        entry._replace(name=f"{entry.name} ({written_value(entry.value)})")
        if names.count(entry.name) > 1
        else entry
        for entry in table
    ]


def _with_bands(scene: FoundScene, modality: str, kept: Sequence[int]) -> FoundScene:
    numbers = scene.rasters[modality].header.numbers
    request = replace(scene.requests[modality], bands=tuple(numbers[band] for band in kept))
    return scene._replace(requests={**scene.requests, modality: request})


def manifest_of(found: Sequence[FoundScene], joined: NewScenes, folder: Path | None = None) -> dict[str, Any]:
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
        reference = [name for name, request in scene.requests.items() if request.grid]
        grid = {"grid": reference[0]} if reference else {}
        labels = {"path": relative_path(scene.labels.path, folder), **scene.labels.options}
        if unlabelled := _all_unlabelled(scene, joined):
            labels["unlabelled"] = unlabelled
        entries.append({"name": scene.name, "modalities": modalities, **grid, "labels": labels})
    classes = []
    numbers = list(range(1, len(joined.classes) + 1))
    defaults = {True: [entry.name for entry in joined.classes], False: numbers}
    values_of = [entry.value for entry in joined.classes]
    are_defaults = all(defaults[scene.labels.is_by_name] == values_of for scene in found)
    for entry, land in zip(joined.classes, joined.scenes[0].classes, strict=True):
        values = {} if are_defaults else {"values": [plain(entry.value)]}
        classes.append({"name": entry.name, "color": list(land.color), **values})
    top = entries[0] if len(entries) == 1 else {"scenes": entries}
    return {**top, "classes": classes}


def manifest_text(document: Mapping[str, Any], title: str) -> str:
    """Write the content of ``scene.yaml`` with a comment above."""
    text = yaml.safe_dump(
        dict(document), sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
    )
    return f"# {title}\n# Paths are relative to this folder. All keys: m3amba_zoo/scenes/manifest.py\n{text}"


def relative_path(given: str, folder: Path | None) -> str:
    """Return a path as ``scene.yaml`` in a folder names it.

    It is relative if both have more than the root in common, so that they can be moved together. Names of
    GDAL's own stay as they are.
    """
    if GDAL_NAME.match(given) and not os.path.exists(given):
        return given
    if folder is None:
        return os.path.abspath(given)
    parent = os.path.realpath(folder.parent)
    target = os.path.join(os.path.realpath(os.path.dirname(os.path.abspath(given))), os.path.basename(given))
    try:
        common = os.path.commonpath([parent, target])
    except ValueError:  # on another drive
        return target
    return (
        target
        if common == os.path.dirname(common)
        else os.path.relpath(target, os.path.join(parent, folder.name))
    )


def _modality_entry(request: RasterRequest, folder: Path | None) -> dict[str, Any]:
    if request.parts:
        entry: dict[str, Any] = {"paths": [_modality_entry(part, folder) for part in request.parts]}
    else:
        entry = {"path": relative_path(request.path, folder)}
    for key in MODALITY_KEYS:
        value = None if key in ("path", "paths") else getattr(request, key)
        if value in (None, ""):
            continue
        if key == "bands":
            entry[key] = written_bands(list(value))
        else:
            entry[key] = [plain(one) for one in value] if isinstance(value, tuple) else plain(value)
    return entry


def _all_unlabelled(scene: FoundScene, joined: NewScenes) -> list[float | str]:
    """Return the values without a class; empty if there is no need to list them."""
    values = [plain(value) for value in scene.found.unlabelled]
    if scene.labels.unlabelled:
        values += [value for value in unlabelled_values(scene.labels) if value not in values]
    own = {entry.value for entry in scene.found.classes}
    values += [plain(entry.value) for entry in joined.absent if entry.value in own]
    return [] if values == [UNLABELLED] else values
