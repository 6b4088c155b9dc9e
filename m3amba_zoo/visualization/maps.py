"""The maps of a run: a figure of rasters, labels, predicted classes and errors, and a GeoTIFF per scene.

Rasters are shown as pictures: false colour, radar in decibels, grey relief.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.maps.geotiff import write_class_map
from m3amba_zoo.rasters import Raster
from m3amba_zoo.scenes.scene import LandClass, Scene
from m3amba_zoo.splits import Split
from m3amba_zoo.system import whole_file
from m3amba_zoo.visualization.pictures import Picture, make_pictures
from m3amba_zoo.visualization.sheet import Panel, Strip, draw_sheet

CORRECT, WRONG = (200, 205, 212), (20, 20, 20)
"""Grey and black: no class has these colours, and they stay distinct for every reader and printer."""
MAP_FIGURE = "map.png"
MOST_STRIPS = 60
DOTS_PER_INCH = 200
FALSE_COLOR_NM = (860.0, 660.0, 560.0)
"""Near infrared, red and green, shown as red, green and blue: vegetation is red."""
SENTINEL2_BANDS = (8, 4, 3)
TRUE_COLOR = ("red", "green", "blue")
"""Bands of these names are shown as what they are."""
FARTHEST_NM = 60.0
"""A band further than this from a wanted wavelength is not used for it."""
POLARISATIONS = ("VV", "VH", "HV", "HH")
STRETCH = (2.0, 98.0)
"""Percentiles of a band's valid pixels that are drawn black and at full brightness."""


def write_map_figure(
    work_dir: Path,
    scenes: Sequence[Scene],
    class_maps: Mapping[str, NDArray[np.uint8]],
    split: Split,
    simulated: bool = False,
    model: str = "",
) -> Path:
    """Write the figure of ``map_figure``, whose arguments these are, as ``map.png``; return the file.

    Raises:
        InputError: if the file cannot be written.
    """
    path, figure = work_dir / MAP_FIGURE, map_figure(scenes, class_maps, split, simulated, model)
    with whole_file(path) as aside:
        figure.savefig(aside, format="png", dpi=DOTS_PER_INCH)
    return path


def write_class_maps(
    work_dir: Path,
    scenes: Sequence[Scene],
    class_maps: Mapping[str, NDArray[np.uint8]],
    tags: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> list[Path]:
    """Write each class map as GeoTIFF ``maps/<scene>.tif``; its CRS, transform and classes are the scene's.

    Args:
        work_dir: the folder to write to.
        scenes: see ``map_figure``.
        class_maps: see ``map_figure``.
        tags: of each scene's GeoTIFF, by the scene's name.

    Returns:
        The files written.

    Raises:
        InputError: if a file cannot be written.
    """
    folder = work_dir / "maps"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from error
    written, names = [], file_names([scene.name for scene in scenes])
    for scene in scenes:
        if scene.name in class_maps:
            path = folder / f"{names[scene.name]}.tif"
            own = tags.get(scene.name)
            write_class_map(path, class_maps[scene.name], scene.classes, scene.crs, scene.transform, own)
            written.append(path)
    return written


def map_figure(
    scenes: Sequence[Scene],
    class_maps: Mapping[str, NDArray[np.uint8]],
    split: Split,
    simulated: bool = False,
    model: str = "",
) -> Figure:
    """Draw each scene as a strip of panels: its rasters, training and test labels, prediction, errors.

    Scenes without test pixels are left out if others have some. Of many scenes, those that touch are one
    strip. At most 60 strips are drawn. Colours are those of the class table; unlabelled and unpredicted
    pixels are white.

    Args:
        scenes: with one class table, with or without rasters.
        class_maps: ``(H, W)`` uint8 by scene name, 1..K the classes, 0 not predicted.
        split: whose test part is scored.
        simulated: whether the pixels are; the headings then say so.
        model: its name, for the line below the panels.

    Returns:
        A figure outside pyplot's state, without a window.
    """
    predicted = [scene for scene in scenes if scene.name in class_maps]
    tested = [scene for scene in predicted if split.masks[scene.name]["test"].any()] or predicted
    pictures = list(itertools.islice(make_pictures(tested, class_maps, split), MOST_STRIPS))
    trained = any(picture.train.any() for picture in pictures)
    composites = [
        {modality: composite(modality, raster) for modality, raster in picture.rasters.items()}
        for picture in pictures
    ]
    strips = [
        Strip(
            _heading(picture.scenes, class_maps, split, simulated),
            [
                *(Panel(modality, drawn.image) for modality, drawn in shown.items()),
                *_label_panels(picture, trained),
            ],
            picture.place,
        )
        for picture, shown in zip(pictures, composites, strict=True)
    ]
    notes = [model] if model else []
    notes += [f"{modality}: {drawn.shows}" for modality, drawn in composites[0].items() if drawn.shows]
    count = sum(len(picture.scenes) for picture in pictures)
    if count < len(tested):
        notes.append(f"the first {count} of {len(tested)} test scenes")
    legend = [(land_class.name, land_class.color) for land_class in scenes[0].classes]
    legend += [("correct test pixel", CORRECT), ("wrong test pixel", WRONG)]
    return draw_sheet(strips, legend, " · ".join(notes))


def _label_panels(picture: Picture, trained: bool) -> list[Panel]:
    labels, classes = picture.labels, picture.scenes[0].classes
    panels = [
        Panel("test labels", class_image(np.where(picture.test, labels, 0), classes)),
        Panel("predicted", class_image(picture.class_map, classes)),
        Panel("errors", error_image(picture.class_map, picture)),
    ]
    if trained:
        panels.insert(0, Panel("train labels", class_image(np.where(picture.train, labels, 0), classes)))
    return panels


def class_image(class_map: NDArray, classes: Sequence[LandClass]) -> NDArray[np.uint8]:
    """Colour classes 1..K ``(H, W)`` as their table does, RGBA ``(H, W, 4)``; 0 is transparent."""
    colors = [(0, 0, 0, 0), *((*entry.color, 255) for entry in classes)]
    return np.array(colors, np.uint8)[class_map]


def error_image(class_map: NDArray, picture: Picture) -> NDArray[np.uint8]:
    """Colour a picture's scored pixels by whether a class map is right, RGBA; others are transparent."""
    judged = np.array([(0, 0, 0, 0), (*CORRECT, 255), (*WRONG, 255)], np.uint8)
    return judged[np.where(picture.test, np.where(class_map == picture.labels, 1, 2), 0)]


def _heading(
    scenes: Sequence[Scene], class_maps: Mapping[str, NDArray[np.uint8]], split: Split, simulated: bool
) -> str:
    name, more = scenes[0].name, len(scenes) - 1
    if more:
        name += f" and {more} that join{'s' * (more == 1)} it"
    if simulated:
        name += " (simulated data)"
    tests = [split.masks[scene.name]["test"] for scene in scenes]
    right = [class_maps[s.name][test] == s.labels[test] for s, test in zip(scenes, tests, strict=True)]
    judged = np.concatenate(right)
    return f"{name} · OA {judged.mean():.3f}, {len(judged)} test pixels" if len(judged) else name


def file_names(names: Sequence[str]) -> dict[str, str]:
    """Return a file name without suffix for each name: they differ, for file systems that ignore case, too.

    Characters that file systems refuse, slashes among them, become ``_``; where two names become one, the
    second gets ``_2``.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        plain = wanted = re.sub(r"[^\w.-]+", "_", name)
        number = 1
        while wanted.casefold() in taken:
            number += 1
            wanted = f"{plain}_{number}"
        taken.add(wanted.casefold())
        found[name] = wanted
    return found


class Composite(NamedTuple):
    """A picture, RGBA ``(H, W, 4)`` uint8, transparent where a value is missing; and the bands it shows."""

    image: NDArray[np.uint8]
    shows: str


def composite(modality: str, raster: Raster) -> Composite:
    """Make a picture of a raster.

    Radar is shown in decibels (two polarisations as red and green, their ratio as blue), a raster of three
    bands or more in false colour, and any other raster as its first band in grey. A raster is radar if its
    unit or a band's name says so, or if ``sar`` is in the name of its modality.
    """
    if _is_radar(modality, raster):
        return _radar(raster)
    if len(raster.data) < 3:
        name = raster.bands[0] if raster.bands else "band 0" if len(raster.data) > 1 else ""
        return Composite(_picture(raster, [0]), ", ".join(filter(None, (name, raster.unit))))
    bands = _color_bands(raster)
    if raster.wavelengths is not None and len(raster.wavelengths):
        names = ", ".join(f"{raster.wavelengths[band]:.0f}" for band in bands) + " nm"
    else:
        names = ", ".join(raster.bands[band] if raster.bands else f"band {band}" for band in bands)
    return Composite(_picture(raster, bands), names)


def _is_radar(modality: str, raster: Raster) -> bool:
    named = any(band.split(" ")[0].upper() in POLARISATIONS for band in raster.bands)
    return named or raster.unit == "dB" or "sar" in modality.lower()


def _radar(raster: Raster) -> Composite:
    """Show the first two bands if they are in dB, else the first two intensities, converted to dB."""
    known = ~raster.missing()
    bands = list(range(len(raster.data)))
    # a covariance also has signed bands, of which no logarithm exists
    intensities = [band for band in bands if (raster.data[band][known[band]] >= 0).all()]
    is_db = raster.unit == "dB" or not intensities
    bands = bands[:2] if is_db else intensities[:2]
    data, known = raster.data[bands].astype(np.float32), known[bands]
    if not is_db:
        known &= data > 0
        data = 10 * np.log10(np.where(known, data, 1))
    names = [raster.bands[band].split(" ")[0] if raster.bands else f"band {band}" for band in bands]
    if len(bands) == 2:
        data = np.stack([*data, data[0] - data[1]])
        known = np.stack([*known, known.all(0)])
        names.append(f"{names[0]}/{names[1]}")
    decibels = Raster(np.where(known, data, np.nan), nodata=np.nan)
    return Composite(_picture(decibels, range(len(data))), f"{', '.join(names)}, dB")


def _color_bands(raster: Raster) -> list[int]:
    """Return the bands shown as red, green and blue."""
    if raster.wavelengths is not None and len(raster.wavelengths):
        distance = np.abs(raster.wavelengths[:, None] - FALSE_COLOR_NM)
        if distance.min(0).max() <= FARTHEST_NM:
            return [int(band) for band in distance.argmin(0)]
    named = {band.lower(): index for index, band in enumerate(raster.bands)}
    if set(TRUE_COLOR) <= set(named):
        return [named[color] for color in TRUE_COLOR]
    numbers = [re.fullmatch(r"B0?(\d+)", band.split(" ")[0].upper()) for band in raster.bands]
    by_number = {int(match[1]): band for band, match in enumerate(numbers) if match}
    if set(SENTINEL2_BANDS) <= set(by_number):
        return [by_number[number] for number in SENTINEL2_BANDS]
    count = len(raster.data)
    # three bands are taken as red, green and blue; more bands as a spectrum from blue to infrared
    return [0, 1, 2] if count == 3 else [count * 5 // 6, count // 2, count // 6]


def _picture(raster: Raster, bands: Sequence[int]) -> NDArray[np.uint8]:
    """Stretch one band or three to RGBA ``(H, W, 4)``."""
    chosen = raster.select(bands)
    valid = ~chosen.missing()
    image = np.empty((*raster.shape, 4), np.uint8)
    for channel, (band, known) in enumerate(zip(chosen.data, valid, strict=True)):
        low, high = np.percentile(band[known], STRETCH) if known.any() else (0.0, 1.0)
        scaled = (band.astype(np.float32) - low) / max(high - low, np.finfo(np.float32).tiny)
        image[..., channel] = 255 * np.clip(np.where(known, scaled, 0), 0, 1)
    if len(chosen.data) == 1:
        image[..., 1:3] = image[..., :1]
    image[..., 3] = 255 * valid.all(0)
    return image
