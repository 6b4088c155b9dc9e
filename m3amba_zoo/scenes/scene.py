"""A scene at rest: co-registered rasters, a label map, a class table and a place on the earth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.transform import Affine

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters import Raster

UNLABELLED = 0
MOST_CLASSES = 255
"""Class maps are uint8, and 0 is taken."""


class LandClass(NamedTuple):
    """A class of the label map: its name and its colour (red, green, blue; 0 to 255)."""

    name: str
    color: tuple[int, int, int]


def check_number_of_classes(where: str, count: int) -> None:
    """Raise InputError, beginning with ``where``, for more classes than a class map can tell apart."""
    if count > MOST_CLASSES:
        raise InputError(f"{where}: {count} classes; {MOST_CLASSES} at most are expected")


@dataclass(frozen=True)
class Scene:
    """Co-registered rasters of one place, with labels.

    Attributes:
        name: unique within its source; contains ``simulated`` if the data is.
        rasters: by modality, all of one height and width; may be empty if only masks were asked for.
        labels: ``(H, W)`` uint8 or int; 0 unlabelled, 1..K the classes.
        classes: the K classes in order.
        crs: coordinate reference system as WKT or ``EPSG:n``, or None.
        transform: pixel to map coordinates (rasterio's affine), or None.
        official: boolean ``(H, W)`` masks ``train`` and ``test`` of the published split, or None.
        objects: ``(H, W)`` int64, the number of the object (a tree, a field) that a pixel belongs to, 0 for
            none, or None. An object has the same number in every scene of the source that shows it.
    """

    name: str
    rasters: Mapping[str, Raster]
    labels: NDArray
    classes: tuple[LandClass, ...]
    crs: str | None = None
    transform: Affine | None = None
    official: Mapping[str, NDArray[np.bool_]] | None = None
    objects: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        check_number_of_classes(f"scene '{self.name}'", len(self.classes))
        if self.labels.ndim != 2:
            raise InputError(f"scene '{self.name}': labels have shape {self.labels.shape}, expected (H, W)")
        sizes = {
            f"raster '{name}' {raster.path}".rstrip(): raster.shape for name, raster in self.rasters.items()
        }
        sizes["the label map"] = self.shape
        sizes |= {f"the official {part} mask": mask.shape for part, mask in (self.official or {}).items()}
        first, size = next(iter(sizes.items()))
        if self.objects is not None:
            sizes["the map of objects"] = self.objects.shape
        for what, found in sizes.items():
            if found != size:
                raise InputError(
                    f"scene '{self.name}': {what} is {' x '.join(map(str, found))} pixels, but {first} is "
                    f"{size[0]} x {size[1]}; co-registered rasters and masks of one size are expected"
                )
        smallest, largest = int(self.labels.min(initial=0)), int(self.labels.max(initial=0))
        if smallest < 0 or largest > len(self.classes):
            raise InputError(
                f"scene '{self.name}': label value {min(smallest, 0) or largest} lies outside "
                f"0..{len(self.classes)} (the class table has {len(self.classes)} classes)"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.labels.shape[0], self.labels.shape[1]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Mask ``(H, W)`` of the labelled pixels."""
        return self.labels != UNLABELLED


def mirrored_indices(start: int, count: int, length: int) -> NDArray[np.intp]:
    """Return the indices ``start .. start + count - 1``, reflected into ``0 .. length - 1``.

    The border itself is not repeated: -1 becomes 1, and ``length`` becomes ``length - 2``.
    """
    if length == 1:
        return np.zeros(count, np.intp)
    period = 2 * (length - 1)
    indices = np.arange(start, start + count) % period
    return np.minimum(indices, period - indices)


def seen_pixels(scene: Scene, modalities: Sequence[str] | None = None) -> NDArray[np.bool_]:
    """Return the mask ``(H, W)`` of pixels that have a value in some band of some raster of the scene.

    ``Predictor`` has the same rule: the others are 0 in its maps. A scene without rasters shows all.

    Args:
        scene: with its rasters.
        modalities: which rasters count; None means all.
    """
    rasters = [raster for m, raster in scene.rasters.items() if modalities is None or m in modalities]
    unseen = np.full(scene.shape, bool(rasters) and all(raster.may_lack_values for raster in rasters))
    for raster in rasters:
        if not unseen.any():
            break
        unseen &= raster.missing().all(axis=0)
    return ~unseen


def drop_unseen(scenes: Sequence[Scene]) -> tuple[list[Scene], int]:
    """Make the pixels that no raster shows unlabelled, in the labels and in the official masks.

    All rasters of a scene count, not only those that a config reads: models of all modalities have one split.

    Returns:
        The scenes, and the number of labelled pixels that were dropped.
    """
    kept, dropped = [], 0
    for scene in scenes:
        seen = seen_pixels(scene)
        if lost := int((scene.labelled & ~seen).sum()):
            official = scene.official and {part: mask & seen for part, mask in scene.official.items()}
            scene = replace(scene, labels=np.where(seen, scene.labels, UNLABELLED), official=official)
        kept.append(scene)
        dropped += lost
    return kept, dropped
