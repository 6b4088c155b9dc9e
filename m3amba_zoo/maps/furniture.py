"""What a map needs beside its pixels, drawn on a matplotlib figure: a legend, a scale bar, where north is.

Positions and lengths are inches from the figure's lower left corner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.patches import FancyArrowPatch, Patch, Rectangle
from rasterio.transform import Affine

from m3amba_zoo.errors import printable
from m3amba_zoo.rasters.crs import crs_label, distances, horizontal

INK = "0.15"
THICKNESS = 0.04
GAP = 0.06
LETTER = 0.0095
"""Inches that a letter takes per point of its size, about."""
Entry = tuple[str, tuple[int, int, int]]
"""A name in a legend, and its colour (red, green, blue; 0 to 255)."""
plain_texts = matplotlib.rc_context({"text.parse_math": False, "text.usetex": False})
"""Decorates what draws a figure: names of users hold dollars and backslashes, which are no mathematics."""


class Place(NamedTuple):
    """Where a picture lies on the earth.

    Attributes:
        crs: ``EPSG:n`` or WKT, or None.
        transform: from the pixels that are drawn to map coordinates, or None.
        shape: rows and columns that are drawn.
    """

    crs: str | None
    transform: Affine | None
    shape: tuple[int, int]

    @property
    def metres_per_pixel(self) -> float | None:
        """The mean width of a pixel along the middle row; None without a place on the earth."""
        if self.transform is None or horizontal(self.crs) is None:
            return None
        rows, columns = self.shape
        ends = np.array([self.transform @ (column, rows / 2) for column in (0, columns)])
        return float(distances(ends[0], ends[1:], self.crs)[0]) / columns

    @property
    def extent(self) -> str:
        """The CRS and the coordinates of the picture's edges, for people; empty without a place."""
        if self.transform is None:
            return ""
        rows, columns = self.shape
        corners = np.array([self.transform @ at for at in ((0, 0), (columns, 0), (0, rows), (columns, rows))])
        (left, bottom), (right, top) = corners.min(0), corners.max(0)
        digits = 0 if max(right - left, top - bottom) > 10 else 4
        name = crs_label(horizontal(self.crs)) if horizontal(self.crs) else "no CRS"
        return f"{name}: x {left:.{digits}f} to {right:.{digits}f}, y {bottom:.{digits}f} to {top:.{digits}f}"


def draw_legend(figure: Figure, entries: Sequence[Entry], **style: Any) -> Legend:
    """Draw a legend without a frame; ``style`` is matplotlib's, such as ``loc`` and ``fontsize``."""
    handles = [
        Patch(facecolor="#" + bytes(color).hex(), edgecolor="0.4", linewidth=0.4) for _, color in entries
    ]
    names = [printable(name) for name, _ in entries]
    return figure.legend(handles, names, frameon=False, borderpad=0, borderaxespad=0, **style)


def bar_metres(metres_per_inch: float, longest: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten, in metres, that is no longer on the page.

    Args:
        metres_per_inch: of the map.
        longest: inches.
    """
    metres = metres_per_inch * longest
    power = 10.0 ** math.floor(math.log10(metres))
    return max(power * factor for factor in (1, 2, 5) if power * factor <= metres)


def draw_scale_bar(
    figure: Figure,
    x: float,
    y: float,
    metres_per_inch: float,
    longest: float,
    size: float = 8,
    boxed: bool = False,
) -> float:
    """Draw a scale bar with its length to the right, and return the width of both.

    Args:
        figure: to draw on.
        x: left end of the bar.
        y: its lower edge.
        metres_per_inch: of the map.
        longest: of the bar.
        size: of the letters, in points.
        boxed: whether it lies on a picture, and needs a white ground.
    """
    metres = bar_metres(metres_per_inch, longest)
    label = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"
    length = metres / metres_per_inch
    width = length + GAP + len(label) * LETTER * size
    if boxed:
        _white(figure, x - GAP, y - GAP, width + 2 * GAP, THICKNESS + 2 * GAP)
    inches = figure.dpi_scale_trans
    figure.add_artist(
        Rectangle((x, y), length, THICKNESS, color=INK, linewidth=0, transform=inches, zorder=4)
    )
    middle = y + THICKNESS / 2
    figure.text(
        x + length + GAP,
        middle,
        label,
        size=size,
        va="center_baseline",
        transform=inches,
        color=INK,
        zorder=4,
    )
    return width


def draw_north(
    figure: Figure,
    transform: Affine,
    x: float,
    y: float,
    length: float = 0.44,
    size: float = 8,
    boxed: bool = False,
) -> None:
    """Draw an arrow along the map's y axis, as it lies in the picture.

    The y axis differs a little from true north off the central meridian.

    Args:
        figure: to draw on.
        transform: from pixels to map coordinates.
        x: of the arrow's middle.
        y: of the arrow's middle.
        length: of the arrow.
        size: of the letter, in points.
        boxed: whether it lies on a picture, and needs a white ground.
    """
    inverse = ~transform
    right, down = inverse.b, inverse.e  # pixels per unit of the y axis
    pixels = math.hypot(right, down)
    dx, dy = length / 2 * right / pixels, -length / 2 * down / pixels
    letter = 1 + 2 * size * LETTER / length  # from the middle, as a multiple of half the length
    inches = figure.dpi_scale_trans
    if boxed:
        wide = abs(dx) * (1 + letter) / 2 + size * LETTER
        high = abs(dy) * (1 + letter) / 2 + size * LETTER
        cx, cy = x + dx * (letter - 1) / 2, y + dy * (letter - 1) / 2
        _white(figure, cx - wide, cy - high, 2 * wide, 2 * high)
    figure.add_artist(
        FancyArrowPatch(
            (x - dx, y - dy),
            (x + dx, y + dy),
            transform=inches,
            arrowstyle="-|>",
            mutation_scale=1.4 * size,
            color=INK,
            shrinkA=0,
            shrinkB=0,
            zorder=4,
        )
    )
    figure.text(
        x + letter * dx,
        y + letter * dy,
        "N",
        size=size,
        weight="bold",
        ha="center",
        va="center",
        transform=inches,
        color=INK,
        zorder=4,
    )


def _white(figure: Figure, x: float, y: float, width: float, height: float) -> None:
    """Draw a ground on which ink can be read, whatever lies below."""
    ground = Rectangle(
        (x, y),
        width,
        height,
        facecolor="white",
        alpha=0.8,
        linewidth=0,
        transform=figure.dpi_scale_trans,
        zorder=3,
    )
    figure.add_artist(ground)
