"""A figure of maps for a paper: scenes in rows, chosen panels in columns, at a given width on the page.

Panels are chosen by name: rasters, labels, each run's prediction and errors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError, close_names
from m3amba_zoo.maps.furniture import (
    LETTER,
    Entry,
    Place,
    draw_legend,
    draw_north,
    draw_scale_bar,
    plain_texts,
)
from m3amba_zoo.rasters import Raster
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits import Split
from m3amba_zoo.system import whole_file
from m3amba_zoo.visualization.maps import CORRECT, WRONG, class_image, composite, error_image
from m3amba_zoo.visualization.pictures import Picture, make_pictures
from m3amba_zoo.visualization.sheet import Panel

SUFFIXES = (".pdf", ".svg", ".png")
DOTS_PER_INCH = 400
MILLIMETRES = 25.4
SIZE = 7
"""Of letters, in points: the smallest that journals print."""
# in inches
GAP, MARGIN = 0.05, 0.02
TITLE, HEADING, SWATCH = 0.16, 0.15, 0.32
TICKS_LEFT, TICKS_BELOW = 0.17, 0.17
NARROWEST, HIGHEST = 1.6, 5.0
"""Of a panel: narrower ones go to a line of their own, higher ones do not fill their column."""
EDGE = 0.1
"""Of a panel's side: no tick is so close to its ends."""
WIDE = 2.5
"""Width over height above which panels lie below each other."""
STYLE: Any = {"pdf.fonttype": 42, "ps.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "m3amba_zoo"}
"""Letters stay letters, which can be searched and edited; the same figure is the same file."""
FALSE_COLOUR, REFERENCE, TRAIN, TEST = "false-colour", "reference", "train", "test"
PREDICTION, ERRORS = "prediction", "errors"
COLUMNS = (FALSE_COLOUR, REFERENCE, TRAIN, TEST, PREDICTION, ERRORS)
DEFAULT = (FALSE_COLOUR, REFERENCE, PREDICTION, ERRORS)
NO_CLASS = ((255, 255, 255), "no label")
TITLES = {FALSE_COLOUR: "false colour", TRAIN: "training labels", TEST: "test labels"}
ClassMaps = Mapping[str, NDArray[np.uint8]]


class Row(NamedTuple):
    """A scene.

    Attributes:
        label: above it; "" for none.
        panels: all of one size.
        place: of the panels on the earth.
    """

    label: str
    panels: list[Panel]
    place: Place


@plain_texts
def draw_figure(
    rows: Sequence[Row],
    legend: Sequence[Entry],
    width_mm: float,
    across: int | None = None,
    coordinates: bool = False,
) -> Figure:
    """Draw scenes below each other, with titles above the panels and the legend below all.

    A scene that is placed on the earth has a scale bar and an arrow to the north in its first panel.

    Args:
        rows: one or more scenes, each with the same titles.
        legend: its entries.
        width_mm: of the figure.
        across: panels side by side; None lets the width and the scenes' shapes decide.
        coordinates: whether map coordinates stand at the outer edges of georeferenced scenes.
    """
    width = width_mm / MILLIMETRES
    count = len(rows[0].panels)
    coordinates = coordinates and any(row.place.transform is not None for row in rows)
    left = MARGIN + TICKS_LEFT * coordinates
    across = across or _across(rows, count, width - left - MARGIN)
    across = min(across, count)
    panel_width = (width - left - MARGIN - GAP * (across - 1)) / across
    down = math.ceil(count / across)
    legend_height = _draw_legend(Figure((width, 1.0)), legend, 1.0)
    heights = [min(panel_width / _ratio(row), HIGHEST) for row in rows]
    below = TICKS_BELOW * coordinates
    total = MARGIN + 2 * GAP + legend_height
    for index, height in enumerate(heights):
        total += (
            down * (height + GAP + TITLE * _titled(index, down)) + HEADING * bool(rows[index].label) + below
        )
    figure = Figure(figsize=(width, total), facecolor="white")
    y = total
    for index, (row, height) in enumerate(zip(rows, heights, strict=True)):
        if row.label:
            y -= HEADING
            figure.text(left, y + 0.03, row.label, size=SIZE, weight="bold", transform=figure.dpi_scale_trans)
        for number, panel in enumerate(row.panels):
            at = number % across
            if at == 0:
                y -= height + TITLE * _titled(index, down) + (GAP if number else 0)
            x, shown = left + at * (panel_width + GAP), height * _ratio(row)
            axes = figure.add_axes((x / width, y / total, shown / width, height / total))
            _draw_panel(axes, panel, row.place if coordinates else None, at == 0, number + across >= count)
            if _titled(index, down):
                axes.set_title(panel.title, size=SIZE, pad=2.5)
            if number == 0:
                _draw_scale(figure, row.place, x, y, shown, height)
        y -= GAP + below
    _draw_legend(figure, legend, (y - GAP) / total)
    return figure


def save_figure(figure: Figure, path: str) -> None:
    """Write a figure as its suffix says: PDF and SVG with letters as text, PNG with 400 dots per inch.

    Raises:
        InputError: if the file cannot be written.
    """
    kind = path.rpartition(".")[2].lower()
    # no date: the same figure is the same file
    metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind)
    with matplotlib.rc_context(STYLE), whole_file(path) as aside:
        figure.savefig(aside, format=kind, dpi=DOTS_PER_INCH, metadata=metadata)


def _titled(row: int, down: int) -> bool:
    """Say whether a scene's panels have titles: where all scenes are one line each, the first scene's do."""
    return row == 0 or down > 1


def _ratio(row: Row) -> float:
    """Return width over height of a scene's panels."""
    rows, columns = row.panels[0].image.shape[:2]
    return columns / rows


def _across(rows: Sequence[Row], count: int, width: float) -> int:
    """Return how many panels lie side by side."""
    if max(map(_ratio, rows)) > WIDE:
        return 1
    most = max(1, min(count, int((width + GAP) / (NARROWEST + GAP))))
    return math.ceil(count / math.ceil(count / most))  # lines of about one length


def _draw_panel(axes: Axes, panel: Panel, place: Place | None, first: bool, last: bool) -> None:
    """Draw a picture; with a place, its coordinates at the left of the first and below the last panels."""
    rows, columns = panel.image.shape[:2]
    straight = (
        place is not None and place.transform is not None and place.transform.b == place.transform.d == 0
    )
    extent = (0, columns, rows, 0)
    if straight and place is not None and place.transform is not None:
        x, y = place.transform.c, place.transform.f
        extent = (x, x + columns * place.transform.a, y + rows * place.transform.e, y)
    axes.imshow(panel.image, interpolation="none", extent=extent, aspect="auto")
    for side in axes.spines.values():
        side.set(color="0.6", linewidth=0.4)
    if not straight:
        axes.set(xticks=[], yticks=[])
        return
    axes.tick_params(labelsize=SIZE - 1.5, length=2, width=0.4, pad=1.5, color="0.6")
    axes.tick_params(labelleft=first, labelbottom=last)
    for axis, ends in ((axes.xaxis, extent[:2]), (axes.yaxis, extent[2:])):
        axis.set_major_locator(FixedLocator(_ticks(*ends)))
        axis.set_major_formatter(lambda value, _: f"{value:.10g}")
    for label in axes.get_yticklabels():
        label.set(rotation=90, va="center")


def _ticks(start: float, end: float) -> list[float]:
    """Return two or more round coordinates between two edges, none so close to one that labels touch."""
    low, high = sorted((start, end))
    inset = EDGE * (high - low)
    for intervals in range(2, 20):
        values = MaxNLocator(intervals, steps=[1, 2, 5, 10]).tick_values(low, high)
        inner = [float(value) for value in values if low + inset <= value <= high - inset]
        if len(inner) > 1:
            break
    return inner


def _draw_scale(figure: Figure, place: Place, x: float, y: float, width: float, height: float) -> None:
    """Draw a scale bar at the lower left of a panel, and an arrow at its upper right."""
    metres, inset = place.metres_per_pixel, 0.08
    if metres is not None:
        draw_scale_bar(
            figure, x + inset, y + inset, metres * place.shape[1] / width, 0.3 * width, SIZE - 1, boxed=True
        )
    if place.transform is not None:
        length = min(0.2, height / 4)
        draw_north(
            figure,
            place.transform,
            x + width - 1.3 * inset,
            y + height - inset - length,
            length,
            SIZE - 1,
            True,
        )


def _draw_legend(figure: Figure, legend: Sequence[Entry], top: float) -> float:
    """Draw a legend, if it has entries, below ``top``, a share of the figure's height; return its height."""
    if not legend:
        return 0.0
    drawn = draw_legend(
        figure,
        legend,
        loc="upper center",
        bbox_to_anchor=(0.5, top),
        ncols=_legend_columns(legend, figure.get_figwidth()),
        fontsize=SIZE,
        labelspacing=0.35,
        handlelength=1.2,
        handleheight=0.8,
        columnspacing=1.2,
    )
    return drawn.get_window_extent().height / figure.dpi


def _legend_columns(legend: Sequence[Entry], width: float) -> int:
    """Return how many entries of the legend fit side by side."""
    longest = max(len(name) for name, _ in legend)
    most = max(1, min(len(legend), int((width - 2 * MARGIN) / (SWATCH + LETTER * 0.78 * SIZE * longest))))
    return math.ceil(len(legend) / math.ceil(len(legend) / most))


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
                panels.append(Panel(TITLES.get(column, column), class_image(shown, classes)))
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
        return Panel(title or column, class_image(class_map, picture.scenes[0].classes))
    return Panel(f"{column}, {title}" if title else column, error_image(class_map, picture))
