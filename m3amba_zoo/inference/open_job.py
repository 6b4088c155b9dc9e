"""Rasters that are open and ready to be classified."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from m3amba_zoo.inference.strips import RowClassifier
from m3amba_zoo.rasters.grid import Grid
from m3amba_zoo.rasters.opening import OpenRaster
from m3amba_zoo.scenes.scene import LandClass


class OpenJob(NamedTuple):
    """What a prediction goes through with, and what its map says.

    Attributes:
        classifier: of their rows.
        place: their common grid.
        opened: those that were given, by modality.
        read: those that the model reads, by modality, features that an encoder makes among them.
        classes: the class table.
        settings: overlap and views.
        tags: for the map's file.
    """

    classifier: RowClassifier
    place: Grid
    opened: Mapping[str, OpenRaster]
    read: Mapping[str, OpenRaster]
    classes: tuple[LandClass, ...]
    settings: dict[str, float]
    tags: dict[str, str]

    @property
    def inputs(self) -> list[str]:
        """The rasters' files, with all that belong to them."""
        return [path for raster in self.opened.values() for path in raster.files]
