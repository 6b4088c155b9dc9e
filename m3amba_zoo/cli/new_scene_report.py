"""What ``m3amba new scene`` prints: what it found, and what it decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from m3amba_zoo.cli.output import print_line, print_table
from m3amba_zoo.config.own_config import Recipe, Training
from m3amba_zoo.maps.outputs import SQUARE_METRES_PER_HECTARE, hectare_digits, pixel_hectares
from m3amba_zoo.rasters.crs import crs_label, metres_per_unit
from m3amba_zoo.rasters.grid import Grid
from m3amba_zoo.rasters.request import RasterRequest
from m3amba_zoo.rasters.summary import RasterSummary
from m3amba_zoo.scenes.new_scene import FoundScene, NewScenes
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits import Split
from m3amba_zoo.splits.stratify import class_counts

FEW_BANDS = 4
"""So many bands at most are listed one by one."""
LITTLE = 10
"""A class with fewer training or test pixels is named: its score says little."""
FEWEST_DIGITS = 2
PARTS = {"train": "training", "test": "test"}


def print_files(scene: FoundScene) -> None:
    """Print where a scene lies, and a line for each raster."""
    print_line(f"scene '{scene.name}': {_place(scene.grid)}")
    for modality, summary in scene.rasters.items():
        print_line(f"  {modality}: {_raster(scene.requests[modality], summary)}")
        pixels = summary.unseen.size
        lost = int(summary.unseen.sum())
        missing = f"{lost / pixels:.1%} of the pixels are missing" if lost else "no pixel is missing"
        if summary.incomplete:
            missing += f", {summary.incomplete / pixels:.1%} lack some of the bands"
        print_line(f"    {missing}")
        if summary.fill is not None:
            value, count = summary.fill
            print_line(
                f"    {count / pixels:.1%} of the pixels are {value:g} in all bands; if that means missing, "
                f"give --nodata {modality}={value:g}"
            )
    for remark in scene.remarks:
        print_line(f"  note: {remark}")


def print_classes(joined: NewScenes, found: Sequence[FoundScene]) -> None:
    """Print a table of the classes, and what was left out."""
    files = ", ".join(dict.fromkeys(_labels(scene) for scene in found))
    print_line(f"labels: {files}")
    with_shapes = any(entry.shapes is not None for entry in joined.classes)
    with_area = all(entry.area is not None for entry in joined.classes)
    of_pixel = min((pixel_hectares(scene.crs, scene.transform) or 0 for scene in joined.scenes), default=0)
    digits = hectare_digits(of_pixel, FEWEST_DIGITS)
    with_value = any(entry.value != entry.name for entry in joined.classes)
    numbers = [*["shapes"] * with_shapes, "pixels", *["hectares"] * with_area]
    rows = []
    for entry in joined.classes:
        value = f"{entry.value:g}" if isinstance(entry.value, float) else str(entry.value)
        row = [entry.name, *[value] * with_value]
        row += [str(entry.shapes or "-")] * with_shapes + [f"{entry.pixels:,}"]
        rows.append([*row, *[f"{(entry.area or 0) / SQUARE_METRES_PER_HECTARE:,.{digits}f}"] * with_area])
    print_table(["class", *["value"] * with_value, *numbers], rows, numbers)
    labelled = sum(entry.pixels for entry in joined.classes)
    everything = sum(scene.labels.size for scene in joined.scenes)
    print_line(f"  {labelled:,} pixels are labelled, {labelled / everything:.1%} of the scene")
    if values := dict.fromkeys(f"{value:g}" for scene in found for value in scene.found.unlabelled):
        print_line(f"  values taken to mean no class: {', '.join(values)}")
    if joined.unseen:
        print_line(f"  {joined.unseen:,} labelled pixels are left out, no raster shows them")
    for modality, count in joined.lacking.items():
        if count:
            print_line(
                f"  {count:,} of the labelled pixels ({100 * count / labelled:.3g} %) lack '{modality}'; "
                "they train and test with the other modalities alone"
            )
    if joined.absent:
        names = ", ".join(f"'{entry.name}'" for entry in joined.absent)
        print_line(f"  left out, without a pixel on the rasters: {names}")


def print_split(split: Split, window: int, reason: str, scenes: Sequence[Scene]) -> None:
    """Print the window and the split, and which classes have few pixels in it."""
    print_line("decided (options or the files change it):")
    print_line(f"  window: {window} x {window} pixels; {reason}")
    counts = {
        part: class_counts(scenes, [m for _, m in split.parts(scenes, part)]) for part in ("train", "test")
    }
    told = " and ".join(f"{int(counts[part].sum()):,} {name} pixels" for part, name in PARTS.items())
    print_line(f"  split: {split.name}, {told}")
    for index, entry in enumerate(scenes[0].classes):
        train, test = int(counts["train"][index]), int(counts["test"][index])
        if min(train, test) < LITTLE:
            say = "it is not tested" if not test else "its score says little"
            print_line(f"    class '{entry.name}' has {train} training and {test} test pixels: {say}")


def print_left_out(names: Mapping[str, Sequence[str]]) -> None:
    """Print which bands were left out."""
    for modality, bands in names.items():
        print_line(
            f"  bands of '{modality}' left out, missing or constant where labels train: {', '.join(bands)}"
        )


def print_training(recipe: Recipe, training: Training | None) -> None:
    """Print the size of the training."""
    if training is None:
        print_line(f"  model: {recipe.name}, which is fitted at once")
        return
    print_line(
        f"  model: {recipe.name}; {training.epochs} epochs of {training.windows:,} windows, {training.batch} "
        f"at once; {training.reason}"
    )


def _place(grid: Grid) -> str:
    """Say how large a scene is, and where it lies."""
    size = f"{grid.shape[0]} x {grid.shape[1]} pixels (rows x columns)"
    if grid.transform is None:
        return f"{size}, without georeference"
    width, height = np.hypot(grid.transform.a, grid.transform.d), np.hypot(grid.transform.b, grid.transform.e)
    metres = metres_per_unit(grid.crs)
    unit = "m" if metres else "units of the CRS"
    sides = [f"{side * (metres or 1):.6g}" for side in (width, height)]
    return (
        f"{size} of {sides[0] if sides[0] == sides[1] else ' x '.join(sides)} {unit}, {crs_label(grid.crs)}"
    )


def _raster(request: RasterRequest, summary: RasterSummary) -> str:
    """Say what a raster holds."""
    header = summary.header
    count = len(header.data)
    said = [f"{count} band{'s' * (count != 1)}"]
    if header.bands and count <= FEW_BANDS:
        said[0] += f" ({', '.join(header.bands)})"
    if header.wavelengths is not None:
        said.append(f"{header.wavelengths.min():.0f} to {header.wavelengths.max():.0f} nm")
    elif header.bands and count > FEW_BANDS:
        said.append(f"{header.bands[0]} to {header.bands[-1]}")
    said.append(header.data.dtype.name)
    low, high = summary.low, summary.high
    if not np.isnan(low).all():
        said.append(f"values {np.nanmin(low):.4g} to {np.nanmax(high):.4g}")
    said.append(request.unit or "unit unknown")
    if empty := int(np.isnan(low).sum()):
        said.append(f"{empty} of the bands empty")
    if header.nodata is not None:
        nodata = header.nodata if isinstance(header.nodata, tuple) else (header.nodata,)
        said.append(
            "nodata " + ", ".join("none" if value is None else f"{value:g}" for value in nodata[:FEW_BANDS])
        )
    return f"{request}: {', '.join(said)}"


def _labels(scene: FoundScene) -> str:
    options = scene.labels.options
    parts = [f"{key} '{options[key]}'" for key in ("layer", "attribute", "key") if key in options]
    return ", ".join([scene.labels.path, *parts])
