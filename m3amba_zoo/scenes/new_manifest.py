"""The ``scene.yaml`` of scenes that were found."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from m3amba_zoo.rasters.request import GDAL_NAME, RasterRequest
from m3amba_zoo.rasters.summary import written_bands
from m3amba_zoo.scenes.label_request import unlabelled_values
from m3amba_zoo.scenes.label_values import plain
from m3amba_zoo.scenes.manifest_entries import MODALITY_KEYS
from m3amba_zoo.scenes.new_scene import FoundScene, NewScenes
from m3amba_zoo.scenes.scene import UNLABELLED


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
