"""A scene at rest: co-registered rasters, a label map, a class table and a place on the earth."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.transform import Affine

from m3amba_zoo.errors import InputError

UNLABELLED = 0
MOST_CLASSES = 255
"""Class maps are uint8, and 0 is taken."""
GOLDEN_SECTION = 0.618033988749895
SHADES = ((0.75, 0.90), (0.90, 0.60), (0.45, 0.98))
"""Saturation and value, in turn, so that neighbours on the colour circle differ in brightness."""


class LandClass(NamedTuple):
    """A class of the label map: its name and its colour (red, green, blue; 0 to 255)."""

    name: str
    color: tuple[int, int, int]


def check_number_of_classes(where: str, count: int) -> None:
    """Raise InputError, beginning with ``where``, for more classes than a class map can tell apart."""
    if count > MOST_CLASSES:
        raise InputError(f"{where}: {count} classes; {MOST_CLASSES} at most are expected")


def distinct_color(index: int) -> tuple[int, int, int]:
    """Return a colour (red, green, blue; 0 to 255) for the class at position ``index``, from 0.

    Hues step by the golden section of the colour circle, which spreads any number of them evenly.
    """
    saturation, value = SHADES[index % len(SHADES)]
    red, green, blue = colorsys.hsv_to_rgb(index * GOLDEN_SECTION % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


@dataclass(frozen=True)
class Raster:
    """One modality's bands.

    Attributes:
        data: ``(C, H, W)``, any real dtype, as in the file.
        bands: one name per band, or empty.
        wavelengths: centre of each band in nm, ``(C,)`` float64, or None.
        nodata: the value that marks a missing pixel, or None.
        unit: what one unit of ``data`` is, for example ``reflectance x 10000``, ``m`` or ``dB``.
        path: the file it was read from, for messages.
    """

    data: NDArray
    bands: tuple[str, ...] = ()
    wavelengths: NDArray[np.float64] | None = None
    nodata: float | None = None
    unit: str = ""
    path: str = ""

    def __post_init__(self) -> None:
        where = self.path or "raster"
        if self.data.ndim != 3:
            raise InputError(f"{where}: expected (bands, rows, columns), found shape {self.data.shape}")
        for attribute in ("bands", "wavelengths"):
            values = getattr(self, attribute)
            if values is not None and len(values) not in (0, len(self.data)):
                raise InputError(f"{where}: {len(values)} {attribute} for {len(self.data)} bands")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.data.shape[1], self.data.shape[2]

    def band_name(self, index: int) -> str:
        """Name a band in a message: its index from 0, with its name or wavelength if known."""
        if self.bands:
            return f"{index} ({self.bands[index]})"
        if self.wavelengths is not None:
            return f"{index} ({self.wavelengths[index]:.0f} nm)"
        return str(index)

    def missing(self) -> NDArray[np.bool_]:
        """Return the mask ``(C, H, W)`` of the values that equal nodata."""
        if self.nodata is None:
            return np.zeros(self.data.shape, bool)
        return np.isnan(self.data) if np.isnan(self.nodata) else self.data == self.nodata

    def check_finite(self, modality: str) -> None:
        """Raise InputError if a value other than nodata is NaN or infinite; it names the first such band."""
        if not np.issubdtype(self.data.dtype, np.floating):
            return
        for index, band in enumerate(self.data):
            bad = ~np.isfinite(band) & ~Raster(band[None], nodata=self.nodata).missing()[0]
            if bad.any():
                row, column = np.argwhere(bad)[0]
                raise InputError(
                    f"{self.path or modality}: band {self.band_name(index)} of '{modality}' holds "
                    f"{int(bad.sum())} NaN or infinite values (the first at row {row}, column {column}); "
                    "expected finite numbers, or these marked as nodata"
                )


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
