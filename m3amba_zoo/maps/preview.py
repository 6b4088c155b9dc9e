"""A class map as a picture for people: legend, scale bar, and north where it is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.io import DatasetReader, MemoryFile
from rasterio.transform import Affine

from m3amba_zoo.maps.furniture import Place, draw_legend, draw_north, draw_scale_bar, plain_texts
from m3amba_zoo.scenes.scene import LandClass
from m3amba_zoo.system import whole_file

LONGEST_SIDE = 1600
"""Pixels of the picture; of larger maps an overview is drawn."""
DOTS_PER_INCH = 160
BAR_SHARE = 0.25
"""Of the map's width, at most, that the scale bar takes."""
MARGIN, SCALE_LINE, LEGEND_LINE, SMALLEST_MAP = 0.1, 0.5, 0.17, 3.0
"""In inches."""


def write_preview(path: Path, class_map: Path, classes: Sequence[LandClass]) -> None:
    """Draw a finished class map, as ``write_picture`` does.

    Args:
        path: the PNG to write.
        class_map: the GeoTIFF.
        classes: the K classes.

    Raises:
        InputError: if the file cannot be written.
    """
    with rasterio.open(class_map) as file:
        shown = _thinned(file)
        crs = file.crs.to_string() if file.crs else None
        transform = None if file.transform.is_identity else file.transform
        shape = file.shape
    _write(path, shown, shape, classes, crs, transform)


def write_picture(
    path: Path,
    class_map: NDArray[np.uint8],
    classes: Sequence[LandClass],
    crs: str | None,
    transform: Affine | None,
) -> None:
    """Draw a class map with legend, scale bar and an arrow to the north where it is placed on the earth.

    Of a map with more than ``LONGEST_SIDE`` rows or columns, the most frequent class of a square is drawn.

    Args:
        path: the PNG to write.
        class_map: ``(H, W)``, 1..K, 0 not predicted.
        classes: the K classes.
        crs: ``EPSG:n`` or WKT, or None.
        transform: pixel to map coordinates, or None.

    Raises:
        InputError: if the file cannot be written.
    """
    shown = class_map
    if max(class_map.shape) > LONGEST_SIDE:
        height, width = class_map.shape
        layout = {"driver": "GTiff", "height": height, "width": width, "count": 1, "dtype": "uint8"}
        with MemoryFile() as memory, memory.open(**layout) as file:
            file.write(class_map, 1)
            shown = _thinned(file)
    _write(path, shown, class_map.shape, classes, crs, transform)


def _thinned(file: DatasetReader) -> NDArray[np.uint8]:
    step = max(1, math.ceil(max(file.shape) / LONGEST_SIDE))
    shape = tuple(max(1, side // step) for side in file.shape)
    return file.read(1, out_shape=shape, resampling=Resampling.mode)


def _write(
    path: Path,
    shown: NDArray[np.uint8],
    shape: tuple[int, ...],
    classes: Sequence[LandClass],
    crs: str | None,
    transform: Affine | None,
) -> None:
    """Draw what is shown of a map of a shape."""
    rows, columns = shown.shape
    if transform is not None:
        transform = transform @ Affine.scale(shape[1] / columns, shape[0] / rows)
    figure = _draw(shown, classes, Place(crs, transform, (rows, columns)))
    # how wide the names are is known once they are laid out
    right = figure.legends[0].get_window_extent().x1 / figure.dpi + MARGIN
    page = Bbox.from_extents(0, 0, right, figure.get_size_inches()[1])
    with whole_file(path) as aside:
        figure.savefig(aside, format="png", dpi=DOTS_PER_INCH, bbox_inches=page)


@plain_texts
def _draw(class_map: NDArray[np.uint8], classes: Sequence[LandClass], place: Place) -> Figure:
    rows, columns = class_map.shape
    inches = max(max(rows, columns) / DOTS_PER_INCH, SMALLEST_MAP)
    width, height = (max(side / max(rows, columns) * inches, 1.0) for side in (columns, rows))
    below = 0.0 if place.transform is None else SCALE_LINE
    tall = max(height + below, LEGEND_LINE * len(classes))
    bottom = MARGIN + tall - height
    total_width, total_height = width + 4 * MARGIN, tall + 2 * MARGIN
    figure = Figure(figsize=(total_width, total_height), facecolor="white")
    axes = figure.add_axes(
        (MARGIN / total_width, bottom / total_height, width / total_width, height / total_height)
    )
    colors = np.array([(0, 0, 0, 0), *((*entry.color, 255) for entry in classes)], np.uint8)
    axes.imshow(colors[class_map], interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set(color="0.6", linewidth=0.5)
    corner = ((width + 2.5 * MARGIN) / total_width, 1 - MARGIN / total_height)
    entries = [(entry.name, entry.color) for entry in classes]
    draw_legend(figure, entries, loc="upper left", bbox_to_anchor=corner, fontsize=8)
    metres = place.metres_per_pixel
    if metres is not None:
        draw_scale_bar(figure, MARGIN, bottom - 0.3, metres * columns / width, BAR_SHARE * width)
    if place.transform is not None:
        draw_north(figure, place.transform, width, bottom - 0.4, length=0.28)
    return figure
