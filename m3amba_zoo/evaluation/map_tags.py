"""What the maps of a test say of pixels that lack a modality."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.maps.lacking import Lacking, added
from m3amba_zoo.rasters.matching import KnownBands
from m3amba_zoo.scenes.scene import Scene

logger = logging.getLogger(__name__)


def map_tags(
    scenes: Sequence[Scene],
    class_maps: Mapping[str, NDArray[np.uint8]],
    modalities: Sequence[str],
    inputs: Mapping[str, Any],
) -> dict[str, dict[str, str]]:
    """Warn of mapped pixels that lack a modality, and return the tags of each scene's map that count them.

    Args:
        scenes: with their rasters.
        class_maps: ``(H, W)`` uint8 by scene name, 0 where nothing is mapped.
        modalities: that the model reads.
        inputs: the entry ``inputs`` of the run's record.
    """
    found = {
        scene.name: _lacking(scene, class_maps[scene.name] > 0, modalities)
        for scene in scenes
        if scene.name in class_maps
    }
    known = {modality: KnownBands.from_json(entry) for modality, entry in inputs.items()}
    for sentence in added(found.values()).sentences(known):
        logger.warning("%s", sentence)
    return {name: lacking.tags() for name, lacking in found.items()}


def _lacking(scene: Scene, mapped: NDArray[np.bool_], modalities: Sequence[str]) -> Lacking:
    without = {}
    for modality in (modality for modality in modalities if modality in scene.rasters):
        raster = scene.rasters[modality]
        absent = raster.missing().all(axis=0) & mapped if raster.may_lack_values else np.array(False)
        without[modality] = int(absent.sum())
    return Lacking(int(mapped.sum()), without)
