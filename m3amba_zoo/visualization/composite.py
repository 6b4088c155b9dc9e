"""Rasters as pictures: false colour, radar in decibels, grey relief."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.scenes.scene import Raster

FALSE_COLOR_NM = (860.0, 660.0, 560.0)
"""Near infrared, red and green, shown as red, green and blue: vegetation is red."""
SENTINEL2_BANDS = (8, 4, 3)
FARTHEST_NM = 60.0
"""A band further than this from a wanted wavelength is not used for it."""
POLARISATIONS = ("VV", "VH", "HV", "HH")
STRETCH = (2.0, 98.0)
"""Percentiles of a band's valid pixels that are drawn black and at full brightness."""


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
    numbers = [re.fullmatch(r"B0?(\d+)", band.split(" ")[0].upper()) for band in raster.bands]
    by_number = {int(match[1]): band for band, match in enumerate(numbers) if match}
    if set(SENTINEL2_BANDS) <= set(by_number):
        return [by_number[number] for number in SENTINEL2_BANDS]
    count = len(raster.data)
    # three bands are taken as red, green and blue; more bands as a spectrum from blue to infrared
    return [0, 1, 2] if count == 3 else [count * 5 // 6, count // 2, count // 6]


def _picture(raster: Raster, bands: Sequence[int]) -> NDArray[np.uint8]:
    """Stretch one band or three to RGBA ``(H, W, 4)``."""
    chosen = Raster(raster.data[list(bands)], nodata=raster.nodata)
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
