"""The figure of a run: rasters, labels, predicted classes and errors of each scene, side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from m3amba_zoo.scenes.scene import LandClass, Raster, Scene
from m3amba_zoo.splits import Split
from m3amba_zoo.visualization.composite import Composite, composite
from m3amba_zoo.visualization.sheet import Panel, Strip, draw_sheet

CORRECT, WRONG = (200, 205, 212), (20, 20, 20)
"""Grey and black: no class has them, and any reader and printer tells them apart."""
MOST_SCENES = 60
LONGEST_SIDE = 2000
"""Scenes with more rows or columns are drawn with every n-th pixel."""


def map_figure(scenes: Sequence[Scene], class_maps: Mapping[str, NDArray[np.uint8]], split: Split) -> Figure:
    """Draw each scene as a strip of panels: its rasters, training and test labels, prediction, errors.

    Scenes without test pixels are left out where others have some; of many, the first 60 are drawn.
    Colours are those of the class table; unlabelled and unpredicted pixels are white.

    Args:
        scenes: with or without rasters; of one class table.
        class_maps: ``(H, W)`` uint8 by scene, 1..K, 0 where nothing was predicted.
        split: whose test part is scored.

    Returns:
        A figure that belongs to no window and no pyplot state.
    """
    predicted = [scene for scene in scenes if scene.name in class_maps]
    tested = [scene for scene in predicted if split.masks[scene.name]["test"].any()] or predicted
    drawn = tested[:MOST_SCENES]
    trained = any(split.masks[scene.name]["train"].any() for scene in drawn)
    pictures = [_pictures(scene) for scene in drawn]
    strips = [
        Strip(
            _heading(scene, class_maps[scene.name], split),
            [
                *(Panel(modality, picture.image) for modality, picture in shown.items()),
                *_label_panels(scene, class_maps[scene.name], split, trained),
            ],
        )
        for scene, shown in zip(drawn, pictures, strict=True)
    ]
    notes = [f"{modality}: {picture.shows}" for modality, picture in pictures[0].items() if picture.shows]
    if len(drawn) < len(tested):
        notes.append(f"the first {len(drawn)} of {len(tested)} test scenes")
    legend = [(land_class.name, land_class.color) for land_class in scenes[0].classes]
    legend += [("correct test pixel", CORRECT), ("wrong test pixel", WRONG)]
    return draw_sheet(strips, legend, " · ".join(notes))


def class_colors(classes: Sequence[LandClass]) -> NDArray[np.uint8]:
    """Return RGBA ``(K + 1, 4)`` by label; 0 is transparent."""
    return np.array([(0, 0, 0, 0), *((*land_class.color, 255) for land_class in classes)], np.uint8)


def _thinned(scene: Scene) -> tuple[slice, slice]:
    step = math.ceil(max(scene.shape) / LONGEST_SIDE)
    return np.s_[::step, ::step]


def _pictures(scene: Scene) -> dict[str, Composite]:
    thin = (slice(None), *_thinned(scene))
    return {
        modality: composite(
            modality, Raster(raster.data[thin], raster.bands, raster.wavelengths, raster.nodata, raster.unit)
        )
        for modality, raster in scene.rasters.items()
    }


def _label_panels(scene: Scene, class_map: NDArray[np.uint8], split: Split, trained: bool) -> list[Panel]:
    thin, masks = _thinned(scene), split.masks[scene.name]
    colors = class_colors(scene.classes)
    judged = np.array([(0, 0, 0, 0), (*CORRECT, 255), (*WRONG, 255)], np.uint8)
    train, test = masks["train"] | masks["val"], masks["test"]
    errors = np.where(test, np.where(class_map == scene.labels, 1, 2), 0)
    panels = [
        Panel("test labels", colors[np.where(test, scene.labels, 0)[thin]]),
        Panel("predicted", colors[class_map[thin]]),
        Panel("errors", judged[errors[thin]]),
    ]
    if trained:
        panels.insert(0, Panel("train labels", colors[np.where(train, scene.labels, 0)[thin]]))
    return panels


def _heading(scene: Scene, class_map: NDArray[np.uint8], split: Split) -> str:
    test = split.masks[scene.name]["test"]
    if not test.any():
        return scene.name
    share = (class_map == scene.labels)[test].mean()
    return f"{scene.name} · OA {share:.3f}, {int(test.sum())} test pixels"
