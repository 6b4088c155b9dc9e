"""A trained model's scores on another labelled scene than those it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError, close_names
from m3amba_zoo.evaluation.scores import confusion_matrix, scores
from m3amba_zoo.inference.predictor import Predictor
from m3amba_zoo.rasters.request import RasterRequest
from m3amba_zoo.scenes.manifest import Manifest
from m3amba_zoo.scenes.scene import LandClass, Scene
from m3amba_zoo.splits import Split
from m3amba_zoo.splits.stratify import class_counts


class OtherScene(NamedTuple):
    """What a model says of other scenes.

    Attributes:
        scenes: without rasters, with the model's class table; pixels that no raster shows are unlabelled.
        split: all labelled pixels test.
        class_maps: ``(H, W)`` uint8 by scene, 1..K, 0 where no raster has a value.
        scores: those of ``evaluation.scores.scores`` over all labelled pixels, and ``pixels``.
        absent: the model's classes without a labelled pixel here.
        unseen: how many labelled pixels no raster shows.
        tags: of each scene's map, by scene.
        reordered: whether the scenes' classes stand in another order than the model's.
    """

    scenes: tuple[Scene, ...]
    split: Split
    class_maps: dict[str, NDArray[np.uint8]]
    scores: dict[str, Any]
    absent: tuple[str, ...]
    unseen: int
    tags: dict[str, dict[str, str]]
    reordered: bool


def score_other_scene(
    predictor: Predictor,
    manifest: Manifest,
    progress: Callable[[int, int], None] | None = None,
    bands: Mapping[str, tuple[int, ...]] | None = None,
    match_bands: bool = False,
) -> OtherScene:
    """Predict scenes as ``Predictor.predict`` does, and compare all their labelled pixels with the map.

    Classes are compared by name, in any order; upper and lower case are alike. What was stated of the
    training's files holds here unless the manifest states something else.

    Args:
        predictor: with the trained model.
        manifest: the scenes.
        progress: is called with the number of finished pixels, at first 0, and that of all pixels.
        bands: numbers of the bands to read, from 0, by modality, in place of what the manifest states.
        match_bands: see ``Predictor.open``.

    Raises:
        InputError: if a modality is missing, bands or grids do not fit, a labelled class is none of the
            model's, or no labelled pixel can be predicted.
    """
    rasters = [_requests(predictor, manifest, index, bands or {}) for index in range(len(manifest.scenes))]
    loaded = manifest.load(rasters=False)
    numbers = _numbers(predictor.classes, loaded, str(manifest.path))
    scenes, class_maps, masks, tags, unseen = [], {}, {}, {}, 0
    before, total = 0, sum(scene.labels.size for scene in loaded)
    if progress is not None:
        progress(0, total)
    truth, predicted = [], []
    for scene, requests in zip(loaded, rasters, strict=True):
        name = scene.name
        counted = progress and partial(_count_on, progress, before, total)
        prediction = predictor.predict(requests, progress=counted, match_bands=match_bands)
        class_map, tags[name] = prediction.class_map, prediction.tags
        before += class_map.size
        labels = numbers[scene.labels]
        scored = (labels > 0) & (class_map > 0)
        unseen += int((labels > 0).sum() - scored.sum())
        labels = np.where(scored, labels, 0).astype(np.uint8)
        scenes.append(replace(scene, labels=labels, classes=tuple(predictor.classes), official=None))
        nothing = np.zeros(scored.shape, bool)
        masks[name] = {"train": nothing, "val": nothing, "test": scored}
        class_maps[name] = class_map
        truth.append(labels[scored])
        predicted.append(class_map[scored])
    confusion = confusion_matrix(np.concatenate(truth), np.concatenate(predicted), len(predictor.classes))
    if not confusion.any():
        raise InputError(f"{manifest.path}: no raster shows a labelled pixel, so there is nothing to score")
    found = scores(confusion, [entry.name for entry in predictor.classes])
    for entry, land_class in zip(found["per_class"], predictor.classes, strict=True):
        entry["color"] = list(land_class.color)
    found["pixels"] = int(confusion.sum())
    absent = tuple(entry["name"] for entry in found["per_class"] if not entry["support"])
    split = Split("all labelled pixels of another scene", masks)
    used = [number for number in numbers.tolist() if number]
    reordered = used != sorted(used)
    return OtherScene(tuple(scenes), split, class_maps, found, absent, unseen, tags, reordered)


def _requests(
    predictor: Predictor, manifest: Manifest, index: int, bands: Mapping[str, tuple[int, ...]]
) -> dict[str, RasterRequest]:
    """Return what a scene states of the model's modalities; the manifest then reads these alone, alike.

    Raises:
        InputError: if one is missing.
    """
    entry = manifest.scenes[index]
    for modality in predictor.in_channels:
        if modality not in entry.modalities:
            raise InputError(
                f"{entry.where}: has the modalities {', '.join(entry.modalities)}, but the model reads "
                f"{', '.join(predictor.in_channels)}"
            )
    kept = {}
    for modality in predictor.in_channels:
        request = entry.modalities[modality].request
        if modality in predictor.bands:
            request = request.completed_by(predictor.bands[modality].request)
        request = replace(request, bands=bands.get(modality, request.bands))
        kept[modality] = replace(entry.modalities[modality], request=request)
    entry.modalities = kept
    return {modality: of.request for modality, of in kept.items()}


def _numbers(known: Sequence[LandClass], scenes: Sequence[Scene], path: str) -> NDArray[np.uint8]:
    """Return the model's number of each class of the scenes, ``(K + 1,)``; 0 for one without pixels here.

    Raises:
        InputError: if a class with labelled pixels is none of the model's.
    """
    exact: Mapping[str, int] = {entry.name: number for number, entry in enumerate(known, start=1)}
    alike = {_plain(name): number for name, number in exact.items()}
    counts = class_counts(scenes, [scene.labelled for scene in scenes])
    numbers = np.zeros(len(scenes[0].classes) + 1, np.uint8)
    unknown = {}
    for label, entry in enumerate(scenes[0].classes, start=1):
        numbers[label] = exact.get(entry.name) or alike.get(_plain(entry.name), 0)
        if not numbers[label] and counts[label - 1]:
            unknown[entry.name] = int(counts[label - 1])
    if unknown:
        told = ", ".join(f"'{name}' ({count} labelled pixels)" for name, count in unknown.items())
        hint = close_names(next(iter(unknown)), exact)
        raise InputError(
            f"{path}: the model does not know class {told}; its classes are {', '.join(exact)}"
            + (f" ({hint})" if hint else "")
            + "; rename it there, or list its values under 'unlabelled' to leave it out"
        )
    return numbers


def _count_on(progress: Callable[[int, int], None], before: int, total: int, done: int, _: int) -> None:
    progress(before + done, total)


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())
