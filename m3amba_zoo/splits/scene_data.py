"""Scenes and their split, loaded once for all datasets of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.request import RasterRequest
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.scene import LandClass, Scene, drop_unseen
from m3amba_zoo.scenes.source import EncodedBands
from m3amba_zoo.splits.build import build_split
from m3amba_zoo.splits.leakage import leaked_pixels
from m3amba_zoo.splits.split import Split


@dataclass(frozen=True)
class SceneData:
    """What the datasets of a run share.

    Attributes:
        name: of the data in results; contains ``simulated`` if the pixels are.
        scenes: with their rasters.
        split: which pixel belongs to which part.
        classes: the class table.
        simulated: whether the source says that the pixels are.
        requests: what the source states of the rasters' files, by modality.
        encoded: the modalities whose bands are a frozen encoder's features.
        unseen: how many labelled pixels were dropped because no raster shows them.
    """

    name: str
    scenes: Sequence[Scene]
    split: Split
    classes: tuple[LandClass, ...]
    simulated: bool = False
    unseen: int = 0
    requests: Mapping[str, RasterRequest] = field(default_factory=dict)
    encoded: Mapping[str, EncodedBands] = field(default_factory=dict)

    @property
    def note(self) -> str:
        """A sentence on the pixels that were dropped; empty if there are none."""
        return f"{self.unseen:,} labelled pixels are left out, no raster shows them" if self.unseen else ""

    def check_modalities(self, modalities: Sequence[str]) -> None:
        """Raise InputError if a scene lacks a modality."""
        for scene in self.scenes:
            for modality in modalities:
                if modality not in scene.rasters:
                    raise InputError(
                        f"scene '{scene.name}' of {self.name} has no modality '{modality}' "
                        f"(it has: {', '.join(scene.rasters)})"
                    )

    def band_names(self, modality: str) -> list[str]:
        """Name a modality's bands for messages: their index from 0, with name or wavelength if known."""
        raster = self.scenes[0].rasters[modality]
        return [raster.band_name(index) for index in range(len(raster.data))]


def shown_by(data: Any, window: int, modalities: Sequence[str]) -> int:
    """Return the side of the square around a pixel that its window shows.

    Features of an encoder show what lies around the window, too.

    Args:
        data: a SceneData, or what a user's dataset has in its place.
        window: side of the window.
        modalities: that are read.
    """
    encoded: Mapping[str, EncodedBands] = getattr(data, "encoded", {})
    return window + 2 * max((of.reach for m, of in encoded.items() if m in modalities), default=0)


def leak_note(data: SceneData, window: int, modalities: Sequence[str]) -> str:
    """Return a sentence on the test pixels that training windows show; empty if there are none.

    Args:
        data: scenes and split.
        window: side of the training windows; 1 for a pixel classifier.
        modalities: that are read.
    """
    shown = shown_by(data, window, modalities)
    leaked, tested = leaked_pixels(data.split, data.scenes, shown), data.split.count("test")
    if not leaked:
        return ""
    features = [m for m in modalities if m in getattr(data, "encoded", {})]
    by = f" and features of {', '.join(features)}" * bool(features)
    return (
        f"{leaked} of {tested} test pixels of split '{data.split.name}' lie inside training windows{by}, "
        f"which show {shown} x {shown} pixels (their bands, not their labels, are seen in training); "
        f"a guard of {shown // 2} pixels removes them"
    )


def load_scene_data(source: Mapping[str, Any], split: Mapping[str, Any]) -> SceneData:
    """Build a source and a split from their configs; the last two results are kept for the next caller.

    Pixels that no raster shows are unlabelled, see ``drop_unseen``; they are in no part of the split.

    Args:
        source: config of a part of ``SOURCES``.
        split: config for ``build_split``.

    Raises:
        InputError: if the source's ``load`` or ``build_split`` raises it, or a band is NaN or infinite.
    """
    return _load(json.dumps(source, sort_keys=True), json.dumps(split, sort_keys=True))


@lru_cache(maxsize=2)
def _load(source_json: str, split_json: str) -> SceneData:
    loaded = _load_scenes(source_json)
    return replace(loaded, split=build_split(json.loads(split_json), loaded.scenes))


@lru_cache(maxsize=2)
def _load_scenes(source_json: str) -> SceneData:
    """Load the scenes, which all splits of a source share; nothing trains or tests yet."""
    config = json.loads(source_json)
    source = SOURCES.build(dict(config))
    scenes = source.load()
    for scene in scenes:
        for modality, raster in scene.rasters.items():
            raster.check_finite(modality)
    name = source.title or config["type"]
    if source.simulated and "simulated" not in name:
        name = f"simulated_{name}"
    scenes, unseen = drop_unseen(scenes)
    return SceneData(
        name,
        scenes,
        Split("none", {}),
        scenes[0].classes,
        source.simulated,
        unseen,
        source.requests(),
        source.encoded(),
    )
