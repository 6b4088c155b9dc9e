"""LiDAR and surface models of the simulated ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import ndimage

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.scene import Raster
from m3amba_zoo.scenes.simulation.fields import smooth_field
from m3amba_zoo.scenes.simulation.ground import Ground
from m3amba_zoo.scenes.simulation.spectra import endmembers

LIDAR_BANDS = (
    "first return elevation",
    "first return intensity",
    "last return elevation",
    "last return intensity",
)
LASER_NM = 1064.0
PLANTS = ("canopy",)  # materials that a laser pulse passes in part


@dataclass(frozen=True)
class LidarSpec:
    """Rasterised airborne LiDAR.

    Attributes:
        bands: 1 to 4, the first ones of ``LIDAR_BANDS``; elevations in m above the datum, intensities in
            digital numbers of 0 to some 2000.
        noise: standard deviation of an elevation in m.
    """

    bands: int = 1
    noise: float = 0.08

    def __post_init__(self) -> None:
        if not 1 <= self.bands <= len(LIDAR_BANDS):
            raise InputError(f"LidarSpec: bands is {self.bands}, expected 1 to {len(LIDAR_BANDS)}")

    def observe(self, ground: Ground, rng: np.random.Generator) -> Raster:
        """Record the ground.

        Returns:
            ``(bands, H, W)`` float32.
        """
        shape = ground.shape
        first = ndimage.gaussian_filter(ground.height, 0.4)
        laser = endmembers(ground.materials, np.array([LASER_NM]))[0]
        fresh, altered = (np.tensordot(state, ground.shares, 1) for state in laser)
        reflectance = (fresh + (altered - fresh) * ground.state) * np.maximum(1 + ground.tints[0], 0.2)
        plants = [index for index, name in enumerate(ground.materials) if name in PLANTS]
        passing = np.clip(
            ground.shares[plants].sum(axis=0) * (0.5 + 0.3 * smooth_field(shape, 1.5, rng)), 0, 1
        )
        bands = (
            ground.terrain + first,
            2400 * reflectance,
            ground.terrain + first * (1 - passing),
            2400 * reflectance * (1 - 0.6 * passing),
        )[: self.bands]
        data = np.stack(bands).astype(np.float32)
        data[0::2] += self.noise * rng.standard_normal(data[0::2].shape, np.float32)
        data[1::2] *= 1 + 0.15 * rng.standard_normal(data[1::2].shape, np.float32)
        unit = "m" if self.bands == 1 else "m; intensities in digital numbers"
        return Raster(data, bands=LIDAR_BANDS[: self.bands], unit=unit)


@dataclass(frozen=True)
class DsmSpec:
    """A digital surface model from images or radar: smoother and less exact than LiDAR.

    Attributes:
        noise: standard deviation of an elevation in m.
        blur: standard deviation of the smoothing in pixels.
    """

    noise: float = 0.4
    blur: float = 1.0
    bands: ClassVar[int] = 1

    def observe(self, ground: Ground, rng: np.random.Generator) -> Raster:
        """Record the ground.

        Returns:
            ``(1, H, W)`` float32, m above the datum.
        """
        surface = ndimage.gaussian_filter(ground.terrain + ground.height, self.blur)
        surface += self.noise * smooth_field(ground.shape, 2, rng)
        return Raster(surface[None].astype(np.float32), bands=("surface elevation",), unit="m")
