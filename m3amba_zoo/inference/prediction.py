"""A predicted map and its files."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib.image
import numpy as np
from numpy.typing import NDArray
from rasterio.transform import Affine

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.georaster import write_class_map, write_probabilities
from m3amba_zoo.scenes.scene import LandClass
from m3amba_zoo.system.whole_file import whole_file

GEOTIFF = (".tif", ".tiff")
PICTURE = (".png",)


@dataclass(frozen=True)
class Prediction:
    """The map that a Predictor makes of a set of rasters.

    Attributes:
        class_map: ``(H, W)`` uint8, 1..K; 0 where no raster has a value.
        classes: the K classes in order.
        probabilities: ``(K, H, W)`` float16, NaN where ``class_map`` is 0; None unless asked for.
        crs: of the rasters, ``EPSG:n`` or WKT, or None.
        transform: of the rasters, or None.
    """

    class_map: NDArray[np.uint8] = field(repr=False)
    classes: tuple[LandClass, ...]
    probabilities: NDArray[np.float16] | None = field(default=None, repr=False)
    crs: str | None = None
    transform: Affine | None = None

    def save(self, path: str | Path) -> None:
        """Write the map: a GeoTIFF with colours and class names (``.tif``), or a picture (``.png``).

        Raises:
            InputError: if the name has another suffix, or the file cannot be written.
        """
        check_output(path, (*GEOTIFF, *PICTURE))
        if Path(path).suffix.lower() in PICTURE:
            self._save_picture(Path(path))
        else:
            write_class_map(path, self.class_map, self.classes, self.crs, self.transform)

    def save_probabilities(self, path: str | Path) -> None:
        """Write the probabilities as a GeoTIFF with one float32 band per class.

        Raises:
            InputError: if the name has another suffix, or the file cannot be written.
            ValueError: if the prediction has no probabilities.
        """
        if self.probabilities is None:
            raise ValueError("no probabilities were kept; predict(..., probabilities=True) keeps them")
        check_output(path, GEOTIFF)
        write_probabilities(path, self.probabilities, self.classes, self.crs, self.transform)

    def _save_picture(self, path: Path) -> None:
        colors = np.array([(0, 0, 0, 0), *((*entry.color, 255) for entry in self.classes)], np.uint8)
        with whole_file(path) as aside:
            matplotlib.image.imsave(aside, colors[self.class_map], format="png")


def check_output(path: str | Path, suffixes: tuple[str, ...]) -> None:
    """Raise InputError if it is known beforehand that a file of this name cannot be written."""
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise InputError(f"{path}: cannot be written, its name should end in {' or '.join(suffixes)}")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise InputError(f"{path}: cannot be written, there is no folder {folder}")
    if path.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        found = "it is a folder" if path.is_dir() else f"no permission for {folder}"
        raise InputError(f"{path}: cannot be written, {found}")
