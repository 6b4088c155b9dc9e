"""The entries of a manifest that name labels, and these labels: rasters, vector files, ENVI's regions."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.memory import require_memory
from m3amba_zoo.rasters import Raster
from m3amba_zoo.rasters.crs import read_crs
from m3amba_zoo.rasters.grid import Grid
from m3amba_zoo.rasters.opening import GeoRaster
from m3amba_zoo.scenes.envi_roi import is_region_file, read_regions
from m3amba_zoo.scenes.manifest_entries import LABEL_KEYS, RasterEntry, Section
from m3amba_zoo.scenes.scene import UNLABELLED
from m3amba_zoo.scenes.shapes import CENTRES, Brush, Shapes, cover_by_value, merge_covers, place
from m3amba_zoo.scenes.vectors import SUFFIXES, propose_attributes, read_shapes

SHAPE_KEYS = ("attribute", "layer", "crs", "radius", "touched", "skip_invalid")
MASKS = 4
"""Bytes per pixel that drawing takes: the labels, a class's mask, which pixels are covered and contested."""
REGION_KEYS = ("path", "unlabelled")
ROUNDING = 0.01
"""Values this close to a class's value come from rounding or resampling."""
MOST_FOREIGN = 20
"""More values without a class than this are measurements or colours."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelRaster(RasterEntry):
    """A raster with one value per class, or a mask."""

    def read(self, grid: Grid | None = None, scene: str = "") -> GeoRaster:
        """Read the file; on a grid if one is given, see ``RasterEntry``.

        Raises:
            InputError: if the file is damaged, has several bands, or lies on another grid.
        """
        read = super().read(grid, scene)
        if len(read.raster.data) != 1:
            raise InputError(
                f"{self.where}: {self.path} has {len(read.raster.data)} bands; one is expected, with a "
                "number for each class (not a picture in colours)"
            )
        return read

    def labels(self, read: GeoRaster, numbers: Mapping[Any, int]) -> NDArray[np.uint8]:
        """Return the labels ``(H, W)``; see ``labels_of_values``."""
        return labels_of_values(self.where, read.raster, numbers, self.unlabelled or (UNLABELLED,))

    def mask(self, read: GeoRaster) -> NDArray[np.bool_]:
        """Mark the pixels ``(H, W)`` that have a value; see ``mask_of_values``."""
        return mask_of_values(read.raster, self.unlabelled or (UNLABELLED,))


@dataclass(frozen=True)
class LabelShapes:
    """Polygons or points of a vector file, or regions of interest of ENVI, which lie on pixels of an image.

    Attributes:
        where: the manifest and the path to the entry in it, for messages.
        path: the file.
        regions: whether it holds regions of interest; the other attributes are then of no use.
        attribute: holds the classes' values; None for a mask.
        layer: of the file, or None if it has one.
        crs: replaces the file's own, unless None.
        brush: which pixels a shape labels.
        skip_invalid: leave out features without a valid shape.
        unlabelled: values without a class.
    """

    where: str
    path: Path
    regions: bool = False
    attribute: str | None = None
    layer: str | None = None
    crs: str | None = None
    brush: Brush = CENTRES
    skip_invalid: bool = False
    unlabelled: tuple[float | str, ...] = ()

    def count_values(self) -> dict[Any, int]:
        """Count the shapes of each value: sorted by the value, those of regions in the order of the file."""
        if self.regions:
            return dict(Counter(region.name for region in read_regions(self.path).regions))
        counts = Counter(value for value in self._read().values if value is not None)
        return {value: counts[value] for value in sorted(counts)}

    def labels(self, grid: Grid, numbers: Mapping[Any, int]) -> NDArray[np.uint8]:
        """Draw labels ``(H, W)`` into a grid; ``numbers`` gives the label of each value.

        Pixels under shapes of different classes are unlabelled; a warning counts them.

        Raises:
            InputError: if the file is wrong, does not lie on the grid, or has values without a class.
        """
        _require_memory(grid)
        if self.regions:
            regions = read_regions(self.path)
            regions.require_size(grid.shape, grid.path)
            names = [region.name for region in regions.regions]
            self._require_known(names, numbers)
            # regions of one class may overlap, so those of each class are joined first
            masks: dict[object, NDArray[np.bool_]] = {}
            for name, mask in regions.covers(grid.shape):
                if name in numbers:
                    masks[numbers[name]] = masks.get(numbers[name], False) | mask
            return self._merge(masks.items(), numbers, grid)
        shapes = self._read()
        self._require_known(shapes.values, numbers)
        valued = np.array([value is not None for value in shapes.values], bool)
        if not valued.all():
            logger.warning(
                f"{self.where}: {int((~valued).sum())} of {len(valued)} {shapes.kind} of {self.path} have no "
                f"'{self.attribute}'; they label nothing"
            )
        chosen = np.array([value in numbers for value in shapes.values], bool)
        placed = self._place(shapes.only(chosen), grid)
        classes = placed._replace(values=np.array([numbers[value] for value in placed.values], object))
        return self._merge(cover_by_value(classes, grid.shape, grid.transform, self.brush), numbers, grid)

    def mask(self, grid: Grid) -> NDArray[np.bool_]:
        """Mark the pixels ``(H, W)`` of a grid that any shape labels.

        Raises:
            InputError: if the file is wrong or does not lie on the grid.
        """
        _require_memory(grid)
        if self.regions:
            regions = read_regions(self.path)
            regions.require_size(grid.shape, grid.path)
            covers = [mask for name, mask in regions.covers(grid.shape) if name not in self.unlabelled]
            return np.logical_or.reduce([np.zeros(grid.shape, bool), *covers])
        shapes = self._read()
        kept = np.array([value not in self.unlabelled for value in shapes.values], bool)
        placed = self._place(shapes.only(kept), grid)
        one = placed._replace(values=np.ones(len(placed.values), object))
        return dict(cover_by_value(one, grid.shape, grid.transform, self.brush))[1]

    def _read(self) -> Shapes:
        shapes = read_shapes(self.path, self.attribute, self.layer, self.skip_invalid)
        if self.crs is not None:
            shapes = shapes._replace(crs=self.crs)
        for key, value, kind in (
            ("radius", self.brush.radius, "polygons"),
            ("touched", self.brush.touched, "points"),
        ):
            if value and shapes.kind == kind and len(shapes.values):
                raise InputError(f"{self.where}: '{key}' is for other shapes, but {self.path} holds {kind}")
        return shapes

    def _place(self, shapes: Shapes, grid: Grid) -> Shapes:
        if grid.transform is None:
            raise InputError(
                f"{self.where}: polygons and points are placed by coordinates, but no raster of the scene is "
                "georeferenced; a GeoTIFF or ENVI raster with a transform is expected, or a label raster"
            )
        if not len(shapes.values):
            raise InputError(f"{self.where}: {self.path} has no feature with a class; labels are expected")
        return place(shapes, grid, self.brush)

    def _require_known(self, values: Iterable[object], numbers: Mapping[Any, int]) -> None:
        """Raise InputError for values without a class that ``unlabelled`` does not list."""
        known = {*numbers, *self.unlabelled, None}
        foreign = sorted({repr(value) for value in values if value not in known})
        if foreign:
            what = "'ROI name'" if self.regions else f"'{self.attribute}'"
            raise InputError(
                f"{self.where}: {what} of {self.path} has the values {', '.join(foreign[:5])}, but "
                f"those of the classes are {', '.join(map(repr, numbers))}; classes can list their 'values', "
                "and values without a class must be listed under 'unlabelled'"
            )

    def _merge(
        self, covers: Iterable[tuple[object, NDArray[np.bool_]]], numbers: Mapping[Any, int], grid: Grid
    ) -> NDArray[np.uint8]:
        labels, contested = merge_covers(covers, {number: number for number in numbers.values()}, grid.shape)
        if contested.any():
            logger.warning(
                f"{self.where}: {int(contested.sum())} pixels lie under shapes of different classes of "
                f"{self.path}; they stay unlabelled"
            )
        return labels


def _require_memory(grid: Grid) -> None:
    """Raise InputError if the masks in which shapes are drawn take more memory than is free."""
    height, width = grid.shape
    require_memory(grid.path, MASKS * height * width, f"labels of {height} x {width} pixels")


LabelFile = LabelRaster | LabelShapes


def parse_label_file(where: str, value: Any, folder: Path, kind: str, is_mask: bool = False) -> LabelFile:
    """Check an entry of a manifest that names labels.

    Args:
        where: the manifest and the path to the entry, for messages.
        value: the entry.
        folder: where relative paths start.
        kind: the entry's key; under ``polygons`` there is no raster.
        is_mask: whether all that counts is which pixels the file marks.

    Raises:
        InputError: if a key or value is wrong, or the file is absent.
    """
    raster_keys = () if kind == "polygons" else LABEL_KEYS
    keys = tuple(dict.fromkeys(("path", *raster_keys, *SHAPE_KEYS, "unlabelled")))
    section = Section(where, value, keys, ("path",))
    if "key" in section:
        return LabelRaster.parse(where, value, folder, LABEL_KEYS)
    path = folder / section.text("path")
    if is_region_file(path):
        section = Section(where, value, REGION_KEYS, ("path",))
        return LabelShapes(where, path, regions=True, unlabelled=tuple(section.scalars("unlabelled")))
    is_vector = any(key in section for key in SHAPE_KEYS) or path.suffix.lower() in SUFFIXES
    if kind != "polygons" and not is_vector:
        return LabelRaster.parse(where, value, folder, LABEL_KEYS)
    if "align" in section:
        raise InputError(f"{where}: 'align' is for label rasters; shapes are drawn on the rasters' grid")
    path = section.file("path", folder)
    layer = section.text("layer") or None
    if "attribute" not in section and not is_mask:
        raise InputError(
            f"{where}: the key 'attribute' is missing, which holds the classes; {path} has "
            f"{propose_attributes(path, layer)}"
        )
    radius = section.number("radius")
    if radius is not None and not 0 < radius < np.inf:
        raise section.refusal("radius", "a number of metres above 0")
    return LabelShapes(
        where,
        path,
        attribute=section.text("attribute") or None,
        layer=layer,
        crs=read_crs(f"{where}: 'crs'", section.values["crs"]) if "crs" in section else None,
        brush=Brush(section.flag("touched"), radius),
        skip_invalid=section.flag("skip_invalid"),
        unlabelled=tuple(section.scalars("unlabelled")),
    )


def labels_of_values(
    where: str, raster: Raster, numbers: Mapping[Any, int], unlabelled: Sequence[float]
) -> NDArray[np.uint8]:
    """Turn a label raster's only band into labels ``(H, W)``.

    Args:
        where: begins messages.
        raster: its values; missing ones and NaN are unlabelled.
        numbers: the label of each value of a class.
        unlabelled: values without a class.

    Raises:
        InputError: if a value belongs to no class and is not unlabelled.
    """
    present, inverse = np.unique(raster.data[0], return_inverse=True)
    inverse = inverse.reshape(raster.shape)
    missing = _missing(raster)
    everywhere = np.bincount(inverse.ravel(), minlength=len(present))
    counts = np.bincount(inverse[~missing], minlength=len(present))
    known = {_stored(value, present.dtype): number for value, number in numbers.items()}
    plain = {_stored(value, present.dtype) for value in unlabelled}
    labels = np.array([known.get(value, UNLABELLED) for value in present.tolist()], np.uint8)
    foreign = [index for index, value in enumerate(present.tolist()) if value not in known.keys() | plain]
    foreign = [index for index in foreign if counts[index]]
    if foreign:
        raise InputError(
            f"{where}: {raster.path} has {_listed(present[foreign], counts[foreign])}, but the values of the "
            f"classes are {', '.join(map(repr, numbers))} and those of 'unlabelled' "
            f"{', '.join(map(str, unlabelled))}; {_remedy(present[foreign], numbers, unlabelled)}"
        )
    for index in np.flatnonzero((labels != UNLABELLED) & (counts == 0)):  # the manifest contradicts the file
        logger.warning(
            f"{where}: {raster.path} marks the value {written(present[index])} as missing (nodata), but a "
            f"class has it: its {everywhere[index]} pixels are labelled"
        )
        missing &= inverse != index
    found = labels[inverse]
    found[missing] = UNLABELLED
    return found


def mask_of_values(raster: Raster, unlabelled: Sequence[float]) -> NDArray[np.bool_]:
    """Mark the pixels ``(H, W)`` of a raster's only band that are neither ``unlabelled``, missing nor NaN."""
    band = raster.data[0]
    plain = [_stored(value, band.dtype) for value in unlabelled]
    return ~np.isin(band, plain) & ~_missing(raster)


def distinct_values(raster: Raster) -> dict[float, int]:
    """Count the pixels of each value of a raster's only band, in ascending order; missing ones left out."""
    present, counts = np.unique(raster.data[0][~_missing(raster)], return_counts=True)
    return dict(zip(present.tolist(), counts.tolist(), strict=True))


def written(value: np.number) -> str:
    """Write a value with the digits that tell it from its neighbours, and no others."""
    return np.format_float_positional(value, trim="-") if isinstance(value, np.floating) else str(value)


def plain(value: Any) -> Any:
    """Return whole numbers as such."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value


def _missing(raster: Raster) -> NDArray[np.bool_]:
    return raster.missing()[0] | (raster.data[0] != raster.data[0])


def _stored(value: Any, dtype: np.dtype) -> Any:
    """Return a value as a raster of this type holds it: 0.1 in float32 is another number than in float64."""
    return dtype.type(value).item() if dtype.kind == "f" and not isinstance(value, str) else value


def _listed(values: NDArray, counts: NDArray) -> str:
    if len(values) == 1:
        return f"the value {written(values[0])} in {counts[0]} pixels"
    order = np.argsort(counts, kind="stable")[::-1][:3]
    told = [f"{written(values[index])} ({counts[index]} pixels)" for index in order]
    more = f" and {len(values) - 3} others" if len(values) > 3 else ""
    return f"the values {', '.join(told)}{more}"


def _remedy(foreign: NDArray, numbers: Mapping[Any, int], unlabelled: Sequence[float]) -> str:
    """Say what to do about values without a class."""
    classes = np.array([value for value in numbers if not isinstance(value, str)], float)
    if not len(classes):
        return "a raster holds numbers, so numbers are expected as 'values'"
    nearest = classes[np.abs(foreign[:, None] - classes).argmin(axis=1)]
    if (np.abs(foreign - nearest) < ROUNDING).all():
        return (
            f"the nearest value of a class is {nearest[0]:g}, so the raster was rounded or resampled; write "
            "it in whole numbers, for example with numpy.rint"
        )
    if len(foreign) > MOST_FOREIGN:
        return "these look like measurements or colours; one number per class is expected"
    listed = [*map(str, unlabelled), *map(written, foreign)]
    return f"if they mean no class, write `unlabelled: [{', '.join(listed)}]`"
