"""Which pixels some raster shows. The others are unlabelled: nothing can be learnt or told of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.scenes.scene import UNLABELLED, Scene
from m3amba_zoo.splits.split import Split


def seen_pixels(scene: Scene, modalities: Sequence[str] | None = None) -> NDArray[np.bool_]:
    """Return the mask ``(H, W)`` of pixels that have a value in some band of some raster of the scene.

    ``Predictor`` has the same rule: the others are 0 in its maps. A scene without rasters shows all.

    Args:
        scene: with its rasters.
        modalities: which rasters count; None means all.
    """
    rasters = [raster for m, raster in scene.rasters.items() if modalities is None or m in modalities]
    unseen = np.full(scene.shape, bool(rasters) and all(raster.may_lack_values for raster in rasters))
    for raster in rasters:
        if not unseen.any():
            break
        unseen &= raster.missing().all(axis=0)
    return ~unseen


def drop_unseen(scenes: Sequence[Scene]) -> tuple[list[Scene], int]:
    """Make the pixels that no raster shows unlabelled, in the labels and in the official masks.

    All rasters of a scene count, not only those that a config reads: models of all modalities have one split.

    Returns:
        The scenes, and the number of labelled pixels that were dropped.
    """
    kept, dropped = [], 0
    for scene in scenes:
        seen = seen_pixels(scene)
        if lost := int((scene.labelled & ~seen).sum()):
            official = scene.official and {part: mask & seen for part, mask in scene.official.items()}
            scene = replace(scene, labels=np.where(seen, scene.labels, UNLABELLED), official=official)
        kept.append(scene)
        dropped += lost
    return kept, dropped


def without_unseen(split: Split, scenes: Sequence[Scene]) -> Split:
    """Take the pixels that no raster shows out of a split that was made from labels alone."""
    masks = dict(split.masks)
    for scene in scenes:
        seen, parts = seen_pixels(scene), masks.get(scene.name, {})
        if parts and not seen.all() and all(mask.shape == seen.shape for mask in parts.values()):
            masks[scene.name] = {part: mask & seen for part, mask in parts.items()}
    return replace(split, masks=masks)
