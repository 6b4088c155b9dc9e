"""The map that a Predictor makes in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.transform import Affine

from m3amba_zoo.maps.geotiff import Layout, write_class_map, write_geotiff
from m3amba_zoo.maps.outputs import GEOTIFF, PICTURE, check_output
from m3amba_zoo.maps.preview import write_picture
from m3amba_zoo.scenes.scene import LandClass


@dataclass(frozen=True)
class Prediction:
    """The map that a Predictor makes of a set of rasters.

    Attributes:
        class_map: ``(H, W)`` uint8, 1..K; 0 where no raster has a value.
        classes: the K classes in order.
        probabilities: ``(K, H, W)`` float16, NaN where ``class_map`` is 0; None unless asked for.
        crs: of the rasters, ``EPSG:n`` or WKT, or None.
        transform: of the rasters, or None.
        inputs: the rasters' files, which no output replaces.
        tags: on model and rasters, for the map's file.
    """

    class_map: NDArray[np.uint8] = field(repr=False)
    classes: tuple[LandClass, ...]
    probabilities: NDArray[np.float16] | None = field(default=None, repr=False)
    crs: str | None = None
    transform: Affine | None = None
    inputs: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict, repr=False)

    def save(self, path: str | Path) -> None:
        """Write the map: a GeoTIFF with colours and class names, or a picture with legend and scale bar.

        The suffix decides: ``.tif`` or ``.png``.

        Raises:
            InputError: if the name has another suffix, or the file cannot be written.
        """
        check_output(path, (*GEOTIFF, *PICTURE), self.inputs)
        if Path(path).suffix.lower() in PICTURE:
            write_picture(Path(path), self.class_map, self.classes, self.crs, self.transform)
        else:
            write_class_map(path, self.class_map, self.classes, self.crs, self.transform, self.tags)

    def save_probabilities(self, path: str | Path) -> None:
        """Write the probabilities as a GeoTIFF with one float16 band per class.

        Raises:
            InputError: if the name has another suffix, or the file cannot be written.
            ValueError: if the prediction has no probabilities.
        """
        if self.probabilities is None:
            raise ValueError("no probabilities were kept; predict(..., probabilities=True) keeps them")
        check_output(path, GEOTIFF, self.inputs)
        names = [entry.name for entry in self.classes]
        layout = Layout(names, np.nan, self.crs, self.transform, tags=self.tags, half=True)
        write_geotiff(path, self.probabilities.astype(np.float32), layout)
