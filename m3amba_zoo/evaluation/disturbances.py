"""Disturbances of a scene's rasters: a modality missing, shifted, noisy, or without some of its bands.

Labels and splits stay as they are, so that disturbed and undisturbed scores are of the same pixels.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.rasters import Raster
from m3amba_zoo.scenes.scene import Scene

NOISE, BANDS = 1, 2
"""The streams of random numbers: a draw of noise and one of bands share none."""


class Disturbance(ABC):
    """Changes the rasters of a scene."""

    @abstractmethod
    def rasters(self, rasters: Mapping[str, Raster], index: int) -> dict[str, Raster]:
        """Return the disturbed rasters alone.

        Args:
            rasters: of the scene, by modality.
            index: the scene's number in its data, from 0.
        """

    def apply(self, scene: Scene, index: int) -> Scene:
        """Return a scene whose rasters are disturbed; the given one is left as it is."""
        return replace(scene, rasters={**scene.rasters, **self.rasters(scene.rasters, index)})


@dataclass(frozen=True)
class Missing(Disturbance):
    """A modality has no value anywhere.

    Attributes:
        modality: its name.
    """

    modality: str

    def rasters(self, rasters: Mapping[str, Raster], index: int) -> dict[str, Raster]:
        """Return the raster of the modality, all NaN."""
        raster = rasters[self.modality]
        return {self.modality: _with(raster, np.full(raster.data.shape, np.nan, np.float32))}


@dataclass(frozen=True)
class Shifted(Disturbance):
    """Modalities lie so many pixels away from where they belong.

    The value at row r and column c moves to row r + ``rows`` and column c + ``columns``. What moves out of
    the scene is lost, and pixels that nothing moves to are missing.

    Attributes:
        modalities: that are moved.
        rows, columns: by how many pixels, down and to the right.
    """

    modalities: tuple[str, ...]
    rows: int
    columns: int

    def rasters(self, rasters: Mapping[str, Raster], index: int) -> dict[str, Raster]:
        """Return the moved rasters."""
        found = {}
        for modality in self.modalities:
            values = rasters[modality].floats()
            moved = np.full_like(values, np.nan)
            to_rows, from_rows = _overlap(self.rows, values.shape[1])
            to_columns, from_columns = _overlap(self.columns, values.shape[2])
            moved[:, to_rows, to_columns] = values[:, from_rows, from_columns]
            found[modality] = _with(rasters[modality], moved)
        return found


@dataclass(frozen=True)
class Noisy(Disturbance):
    """White Gaussian noise is added to every band: independent in each value, of one deviation in a band.

    The deviation is that of the band's values that are not missing, in this scene, times 10^(-snr_db / 20).
    The signal's power is thus the variance. The literature on hyperspectral noise often takes the mean square
    (Bioucas-Dias and Nascimento, IEEE TGRS 46:2435, 2008). That depends on where a unit has its zero, and
    means nothing for backscatter in dB or heights above the sea. Where both mean something, the same number
    of dB is less noise here, by 10 log10(1 + mean^2 / variance) dB. Values are neither rounded nor clipped.

    One draw has the same noise at every SNR, but for its deviation.

    Attributes:
        modalities: that get noise.
        snr_db: signal to noise ratio in dB; infinity adds nothing.
        seed, draw: of the noise.
    """

    modalities: tuple[str, ...]
    snr_db: float
    seed: int = 0
    draw: int = 0

    def rasters(self, rasters: Mapping[str, Raster], index: int) -> dict[str, Raster]:
        """Return the noisy rasters."""
        found = {}
        for number, modality in enumerate(self.modalities):
            generator = np.random.default_rng([self.seed, NOISE, self.draw, index, number])
            values = rasters[modality].floats()
            for band in values:
                present = band[~np.isnan(band)]
                deviation = float(present.std(dtype=np.float64)) if len(present) else 0.0
                noise = generator.standard_normal(band.shape, np.float32)
                band += np.float32(deviation * 10 ** (-self.snr_db / 20)) * noise
            found[modality] = _with(rasters[modality], values)
        return found


@dataclass(frozen=True)
class WithoutBands(Disturbance):
    """Bands of a modality have no value anywhere.

    Attributes:
        modality: its name.
        bands: that are missing, counted from 0.
    """

    modality: str
    bands: tuple[int, ...]

    def rasters(self, rasters: Mapping[str, Raster], index: int) -> dict[str, Raster]:
        """Return the raster of the modality without these bands."""
        values = rasters[self.modality].floats()
        values[list(self.bands)] = np.nan
        return {self.modality: _with(rasters[self.modality], values)}


def draw_bands(bands: int, share: float, seed: int, draw: int) -> tuple[int, ...]:
    """Draw a share of the bands, rounded, at least one and never all; sorted.

    A draw's larger shares hold its smaller ones.
    """
    count = min(max(math.floor(bands * share + 0.5), 1), bands - 1)
    order = np.random.default_rng([seed, BANDS, draw]).permutation(bands)
    return tuple(sorted(int(band) for band in order[:count]))


def disturbed(
    scenes: Collection[Scene], disturbance: Disturbance | None, needed: Collection[str]
) -> list[Scene]:
    """Return scenes with disturbed rasters; those that are not needed, by name, stay as they are."""
    return [
        disturbance.apply(scene, index) if disturbance is not None and scene.name in needed else scene
        for index, scene in enumerate(scenes)
    ]


def _overlap(by: int, length: int) -> tuple[slice, slice]:
    """Return where values lie after a move along an axis, and where they lay before."""
    by = max(-length, min(by, length))
    return slice(max(by, 0), length + min(by, 0)), slice(max(-by, 0), length + min(-by, 0))


def _with(raster: Raster, values: NDArray[np.float32]) -> Raster:
    """Return a raster with other values, NaN where they are missing."""
    return replace(raster, data=values, nodata=None, mask=None)
