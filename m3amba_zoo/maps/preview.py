"""A class map as a picture for people: legend, scale bar, and north where it is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Patch, Rectangle
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.transform import Affine

from m3amba_zoo.rasters.crs import metres_per_unit
from m3amba_zoo.scenes.scene import LandClass
from m3amba_zoo.system import whole_file

LONGEST_SIDE = 1600
"""Pixels of the picture; of larger maps an overview is drawn."""
DOTS_PER_INCH = 160
BAR_SHARE = 0.25
"""Of the map's width, at most, that the scale bar takes."""
LEGEND_INCHES, LEGEND_LINE, SMALLEST_MAP = 2.6, 0.2, 3.0


def write_preview(path: Path, class_map: Path, classes: Sequence[LandClass]) -> None:
    """Draw a finished class map.

    The scale bar is in metres or kilometres where the CRS is projected. The arrow points north where the grid
    is placed on the earth: along the map's y axis, which differs a little from true north off the central
    meridian.

    Args:
        path: the PNG to write.
        class_map: the GeoTIFF.
        classes: the K classes.

    Raises:
        InputError: if the file cannot be written.
    """
    with rasterio.open(class_map) as file:
        step = max(1, math.ceil(max(file.shape) / LONGEST_SIDE))
        shape = tuple(max(1, side // step) for side in file.shape)
        shown = file.read(1, out_shape=shape, resampling=Resampling.mode)
        crs = file.crs.to_string() if file.crs else None
        transform = None if file.transform.is_identity else file.transform
        scale = file.width / shape[1], file.height / shape[0]
    placed = None if transform is None else transform @ Affine.scale(*scale)
    figure = _draw(shown, classes, crs, placed)
    with whole_file(path) as aside:
        figure.savefig(aside, format="png", dpi=DOTS_PER_INCH)


def _draw(
    class_map: NDArray[np.uint8], classes: Sequence[LandClass], crs: str | None, transform: Affine | None
) -> Figure:
    rows, columns = class_map.shape
    inches = max(max(rows, columns) / DOTS_PER_INCH, SMALLEST_MAP)
    width, height = (max(side / max(rows, columns) * inches, 1.0) for side in (columns, rows))
    tall = max(height, LEGEND_LINE * (len(classes) + 1))
    figure = Figure(figsize=(width + LEGEND_INCHES + 0.3, tall + 0.7), facecolor="white")
    total_width, total_height = figure.get_size_inches()
    box = (
        0.1 / total_width,
        (tall - height + 0.6) / total_height,
        width / total_width,
        height / total_height,
    )
    axes = figure.add_axes(box)
    colors = np.array([(0, 0, 0, 0), *((*entry.color, 255) for entry in classes)], np.uint8)
    axes.imshow(colors[class_map], interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set(color="0.6", linewidth=0.5)
    handles = [
        Patch(facecolor="#" + bytes(entry.color).hex(), edgecolor="0.4", label=entry.name)
        for entry in classes
    ]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=((width + 0.2) / total_width, 1 - 0.1 / total_height),
        fontsize=8,
        frameon=False,
        borderaxespad=0,
    )
    if transform is None:
        return figure
    metres = metres_per_unit(crs)
    if metres is not None:
        pixel = math.hypot(transform.a, transform.d) * metres
        bar = _round_length(columns * pixel * BAR_SHARE)
        share = bar / pixel / columns * box[2]
        y = 0.3 / total_height
        figure.add_artist(Rectangle((box[0], y), share, 0.06 / total_height, color="0.2"))
        label = f"{bar / 1000:g} km" if bar >= 1000 else f"{bar:g} m"
        figure.text(box[0] + share + 0.08 / total_width, y, label, size=8, va="center_baseline")
    _draw_north(figure, transform, (width + 0.45) / total_width, 0.35 / total_height)
    return figure


def _draw_north(figure: Figure, transform: Affine, x: float, y: float) -> None:
    """Draw an arrow along the map's y axis, as it lies in the picture."""
    inverse = ~transform
    right, down = inverse.b, inverse.e  # pixels per unit of the y axis
    length = math.hypot(right, down)
    wide, high = figure.get_size_inches()
    step = 0.22  # inches on each side of the middle
    dx, dy = step * right / length / wide, -step * down / length / high
    arrow = FancyArrowPatch(
        (x - dx, y - dy),
        (x + dx, y + dy),
        transform=figure.transFigure,
        arrowstyle="-|>",
        mutation_scale=12,
        color="0.2",
    )
    figure.add_artist(arrow)
    figure.text(x + 1.5 * dx, y + 1.5 * dy, "N", size=8, weight="bold", ha="center", va="center")


def _round_length(metres: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is not above a length."""
    power = 10.0 ** math.floor(math.log10(metres))
    return max(power * factor for factor in (1, 2, 5) if power * factor <= metres)
