"""A sheet of pictures: strips of panels in a grid, at one scale, with headings and a legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from m3amba_zoo.maps.furniture import Entry, Place, draw_legend, draw_north, draw_scale_bar, plain_texts

ASPECT = 1.25
"""Preferred width over height of a sheet; the panels decide how close it comes."""
# in inches
WIDTH, HEIGHT = 14.0, 17.0
SMALLEST_PANEL, LARGEST_PANEL = 0.85, 12.0
MARGIN, PANEL_GAP, STRIP_GAP = 0.2, 0.06, 0.3
HEADING_LINE, TITLE_LINE, LEGEND_LINE, LETTER = 0.28, 0.2, 0.2, 0.075
SCALE_LINE = 0.56
BAR_SHARE = 0.35
"""Of a panel's width, at most, that the scale bar takes."""


class Panel(NamedTuple):
    """One picture: RGBA ``(H, W, 4)`` uint8."""

    title: str
    image: NDArray[np.uint8]


class Strip(NamedTuple):
    """Panels that belong together, their heading, and where all of them lie on the earth, if it is known."""

    heading: str
    panels: list[Panel]
    place: Place | None = None


@plain_texts
def draw_sheet(strips: Sequence[Strip], legend: Sequence[Entry], note: str) -> Figure:
    """Draw strips in a grid.

    The panels of a strip form a row, or a column if the pictures are wide. A single strip is wrapped into the
    rows that fit best. If strips are wrapped, each panel has its title; otherwise only the topmost strips do.

    Args:
        strips: one or more.
        legend: its entries.
        note: a line below the strips.
    """
    grid = _Grid.of(strips)
    width = grid.columns * (grid.strip_width + STRIP_GAP) - STRIP_GAP + 2 * MARGIN
    longest = max(len(name) for name, _ in legend)
    legend_columns = max(1, min(len(legend), int((width - 2 * MARGIN) / (0.55 + LETTER * longest))))
    legend_height = LEGEND_LINE * math.ceil(len(legend) / legend_columns)
    body = grid.top(math.ceil(len(strips) / grid.columns))
    placed = [
        strip.place for strip in strips if strip.place is not None and strip.place.transform is not None
    ]
    scale_height = SCALE_LINE if placed else 0
    height = body + scale_height + HEADING_LINE + legend_height + MARGIN
    figure = Figure(figsize=(width, height), facecolor="white")

    def text(x: float, y: float, content: str, **style: str | float) -> None:
        figure.text(x / width, 1 - y / height, content, va="bottom", **style)  # type: ignore[arg-type]

    for index, strip in enumerate(strips):
        row, column = divmod(index, grid.columns)
        left, top = MARGIN + column * (grid.strip_width + STRIP_GAP), grid.top(row)
        text(left, top + HEADING_LINE - 0.06, strip.heading, size=9, weight="bold")
        for number, panel in enumerate(strip.panels):
            x, y = grid.panel(number, row)
            x, y = left + x, top + y
            if grid.wrapped or row == 0:
                text(x, y - 0.04, panel.title, size=8)
            box = (x / width, 1 - (y + grid.panel_height) / height)
            axes = figure.add_axes((*box, grid.panel_width / width, grid.panel_height / height))
            axes.imshow(panel.image, interpolation="nearest")
            axes.set(xticks=[], yticks=[], anchor="NW")
            for side in axes.spines.values():
                side.set(color="0.6", linewidth=0.5)
    if placed:
        beside = _draw_scale(figure, grid, strips, height - body - SCALE_LINE / 2 - 0.07)
        extent = placed[0].extent if len(strips) == 1 else ""
        text(MARGIN + beside, body + SCALE_LINE / 2 + 0.13, extent, size=8, color="0.3")
    text(MARGIN, body + scale_height + TITLE_LINE, note, size=8, color="0.3")
    corner = (MARGIN / width, MARGIN / 2 / height)
    draw_legend(
        figure,
        legend,
        loc="lower left",
        bbox_to_anchor=corner,
        ncols=legend_columns,
        fontsize=8,
        labelspacing=0.5,
    )
    return figure


def _draw_scale(figure: Figure, grid: _Grid, strips: Sequence[Strip], y: float) -> float:
    """Draw a scale bar and an arrow to the north that hold for all strips, and return their width.

    Strips of different scales have no common bar, and those that are turned differently no common arrow.
    """
    scales: list[float] = []
    norths: list[float] = []
    for strip in strips:
        place = strip.place
        if place is None or place.transform is None:
            return 0.0
        rows, columns = place.shape
        metres = place.metres_per_pixel
        if metres is not None:
            scales.append(metres / min(grid.panel_width / columns, grid.panel_height / rows))
        norths.append(math.atan2((~place.transform).b, (~place.transform).e))
    width = 0.0
    if len(scales) == len(strips) and np.allclose(scales, scales[0], rtol=0.02):
        width = draw_scale_bar(figure, MARGIN, y, scales[0], BAR_SHARE * grid.panel_width) + 0.3
    if np.allclose(norths, norths[0], atol=0.02) and strips[0].place and strips[0].place.transform:
        draw_north(figure, strips[0].place.transform, MARGIN + width + 0.1, y - 0.02, length=0.28)
        width += 0.4
    return width


class _Grid(NamedTuple):
    """Where strips and panels lie, in inches from the upper left.

    Attributes:
        columns: strips side by side.
        across, down: panels of a strip.
        panel_width, panel_height: of the largest panel.
    """

    columns: int
    across: int
    down: int
    panel_width: float
    panel_height: float

    @classmethod
    def of(cls, strips: Sequence[Strip]) -> _Grid:
        """Choose the grid whose sheet comes closest to ``ASPECT``, and the scale that fills the sheet."""
        shapes = np.array([panel.image.shape[:2] for strip in strips for panel in strip.panels])
        rows, columns = (int(side) for side in shapes.max(0))
        count = max(len(strip.panels) for strip in strips)

        def grid(strip_columns: int, across: int, scale: float) -> _Grid:
            return cls(strip_columns, across, math.ceil(count / across), columns * scale, rows * scale)

        if len(strips) == 1:
            choices = [(1, across) for across in range(1, count + 1)]
        else:
            across = 1 if columns > 2 * rows else count
            choices = [(strip_columns, across) for strip_columns in range(1, len(strips) + 1)]

        def misfit(choice: tuple[int, int]) -> float:
            strip_columns, across = choice
            strip_rows, down = math.ceil(len(strips) / strip_columns), math.ceil(count / across)
            wide, high = strip_columns * across, strip_rows * down
            empty = strip_rows * strip_columns / len(strips) * across * down / count
            # far from the wanted shape, or with many empty places
            return abs(math.log(wide * columns / (high * rows) / ASPECT)) + math.log(empty)

        best = min(choices, key=misfit)
        # panels of size 0 leave what gaps and titles take; the panels share the rest of the sheet
        bare = grid(*best, scale=0)
        strip_rows = math.ceil(len(strips) / bare.columns)
        fixed_width = bare.columns * (bare.strip_width + STRIP_GAP) - STRIP_GAP + 2 * MARGIN
        scale = min(
            (WIDTH - fixed_width) / (bare.columns * bare.across * columns),
            (HEIGHT - bare.top(strip_rows)) / (strip_rows * bare.down * rows),
        )
        longest = max(rows, columns)
        return grid(*best, scale=float(np.clip(scale, SMALLEST_PANEL / longest, LARGEST_PANEL / longest)))

    @property
    def wrapped(self) -> bool:
        return self.down > 1

    @property
    def strip_width(self) -> float:
        return self.across * (self.panel_width + PANEL_GAP) - PANEL_GAP

    def panel(self, number: int, strip_row: int) -> tuple[float, float]:
        """Return x and y of a panel's picture within its strip."""
        down, across = divmod(number, self.across)
        title = TITLE_LINE if self.wrapped or strip_row == 0 else 0
        y = HEADING_LINE + down * (self.panel_height + PANEL_GAP + title) + title
        return across * (self.panel_width + PANEL_GAP), y

    def top(self, strip_row: int) -> float:
        """Return y of a row of strips."""
        top = MARGIN
        for row in range(strip_row):
            top += self.panel(self.across * self.down - 1, row)[1] + self.panel_height
        return top
