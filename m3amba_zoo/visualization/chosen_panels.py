"""The panels of a figure, chosen by name: rasters, labels, each run's prediction and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError, close_names
from m3amba_zoo.rasters import Raster
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits import Split
from m3amba_zoo.visualization.maps import CORRECT, WRONG, composite
from m3amba_zoo.visualization.paper import Row
from m3amba_zoo.visualization.pictures import Picture, make_pictures
from m3amba_zoo.visualization.sheet import Panel

FALSE_COLOUR, REFERENCE, TRAIN, TEST = "false-colour", "reference", "train", "test"
PREDICTION, ERRORS = "prediction", "errors"
COLUMNS = (FALSE_COLOUR, REFERENCE, TRAIN, TEST, PREDICTION, ERRORS)
DEFAULT = (FALSE_COLOUR, REFERENCE, PREDICTION, ERRORS)
NO_CLASS = ((255, 255, 255), "no label")
TITLES = {FALSE_COLOUR: "false colour", TRAIN: "training labels", TEST: "test labels"}

Entry = tuple[str, tuple[int, int, int]]
ClassMaps = Mapping[str, NDArray[np.uint8]]


class Chosen(NamedTuple):
    """Rows of a figure, its legend, and what the rasters show, for the caption."""

    rows: list[Row]
    legend: list[Entry]
    shows: list[str]


def choose_panels(
    scenes: Sequence[Scene],
    split: Split,
    runs: Mapping[str, ClassMaps],
    columns: Sequence[str] = DEFAULT,
    simulated: bool = False,
) -> Chosen:
    """Make the panels of scenes; ``prediction`` and ``errors`` are one panel per run.

    Args:
        scenes: with rasters, to be drawn one by one.
        split: of the scenes; errors are those of its test part.
        runs: the class maps of each run, ``(H, W)`` uint8 by scene name, by the run's title.
        columns: of ``COLUMNS``, or names of modalities.
        simulated: whether the pixels are; the scenes' labels then say so.

    Raises:
        InputError: if a column is unknown.
    """
    modalities = list(scenes[0].rasters)
    for column in columns:
        if column not in COLUMNS and column not in modalities:
            known = [*COLUMNS, *modalities]
            hint = close_names(column, known) or f"expected {', '.join(known)}"
            raise InputError(f"--columns: '{column}'; {hint}")
    rows, shows, seen = [], {}, set()
    classes = scenes[0].classes
    for scene in scenes:
        picture = _picture(scene, runs, split)
        panels = []
        for column in columns:
            if column == FALSE_COLOUR or column in modalities:
                modality = _colourful(picture.rasters) if column == FALSE_COLOUR else column
                drawn = composite(modality, picture.rasters[modality])
                shows[column] = f"{TITLES.get(column, column)}: {modality}, {drawn.shows}".rstrip(", ")
                panels.append(Panel(TITLES.get(column, column), drawn.image))
            elif column in (REFERENCE, TRAIN, TEST):
                mask = {REFERENCE: picture.labels > 0, TRAIN: picture.train, TEST: picture.test}[column]
                shown = np.where(mask, picture.labels, 0)
                seen |= set(np.unique(shown).tolist())
                panels.append(Panel(TITLES.get(column, column), _colored(shown, classes)))
            else:
                for title, class_maps in runs.items():
                    class_map = _picture(replace(scene, rasters={}), {title: class_maps}, split).class_map
                    panels.append(_of_run(column, title if len(runs) > 1 else "", class_map, picture))
                    if column == PREDICTION:
                        seen |= set(np.unique(class_map).tolist())
        label = scene.name if len(scenes) > 1 else ""
        if simulated and "simulated" not in label:
            label = f"{label} (simulated data)" if label else "simulated data"
        rows.append(Row(label, panels, picture.place))
    legend = [(entry.name, entry.color) for k, entry in enumerate(classes, start=1) if k in seen]
    if 0 in seen:
        legend.append((NO_CLASS[1], NO_CLASS[0]))
    if ERRORS in columns:
        legend += [("correct test pixel", CORRECT), ("wrong test pixel", WRONG)]
    return Chosen(rows, legend, list(shows.values()))


def _picture(scene: Scene, runs: Mapping[str, ClassMaps], split: Split) -> Picture:
    return next(make_pictures([scene], next(iter(runs.values())), split))


def _colourful(rasters: Mapping[str, Raster]) -> str:
    """Return the first modality with three bands or more, else the first."""
    return next((name for name, raster in rasters.items() if len(raster.data) > 2), next(iter(rasters)))


def _of_run(column: str, title: str, class_map: NDArray[np.uint8], picture: Picture) -> Panel:
    if column == PREDICTION:
        return Panel(title or column, _colored(class_map, picture.scenes[0].classes))
    image = np.zeros((*class_map.shape, 4), np.uint8)
    right = class_map == picture.labels
    image[picture.test & right] = (*CORRECT, 255)
    image[picture.test & ~right] = (*WRONG, 255)
    return Panel(f"{column}, {title}" if title else column, image)


def _colored(class_map: NDArray, classes: Sequence) -> NDArray[np.uint8]:
    colors = np.array([(0, 0, 0, 0), *((*entry.color, 255) for entry in classes)], np.uint8)
    return colors[class_map]
