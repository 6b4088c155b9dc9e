"""A hyperspectral sensor over the simulated ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from m3amba_zoo.scenes.scene import Raster
from m3amba_zoo.scenes.simulation.fields import smooth_field
from m3amba_zoo.scenes.simulation.ground import TINTS, Ground
from m3amba_zoo.scenes.simulation.spectra import endmembers

SCALE = 10000  # digital numbers a unit of reflectance
ROWS_AT_ONCE = 32

# absorption by oxygen (760 nm) and water vapour: centre nm, width nm, optical depth
ABSORPTION = (
    (760, 4, 0.5),
    (820, 12, 0.15),
    (940, 18, 0.8),
    (1130, 25, 1.1),
    (1400, 35, 4.0),
    (1880, 55, 4.5),
)


@dataclass(frozen=True)
class HsiSpec:
    """A hyperspectral image: reflectance x 10000 after an imperfect atmospheric correction.

    Attributes:
        bands: number of bands, evenly spaced.
        first_nm: centre of the first band.
        last_nm: centre of the last band.
        snr: signal-to-noise ratio of bright ground in the best band; less towards the ends of the
            spectrum and in absorption bands.
        blur: standard deviation of the point spread in pixels, which mixes materials at borders.
    """

    bands: int
    first_nm: float = 400.0
    last_nm: float = 2500.0
    snr: float = 150.0
    blur: float = 0.6

    def observe(self, ground: Ground, rng: np.random.Generator) -> Raster:
        """Record the ground.

        Returns:
            ``(bands, H, W)`` uint16 with wavelengths; the unit is reflectance x 10000.
        """
        wavelengths = np.linspace(self.first_nm, self.last_nm, self.bands)
        mixture = self._mixture(ground)
        spectra = endmembers(ground.materials, wavelengths).reshape(self.bands, -1)
        tint_curves = _tint_curves(wavelengths)
        depth = _optical_depth(wavelengths)
        # the sky lights shadows, and is blue
        skylight = (0.16 * (550 / wavelengths) ** 1.7).astype(np.float32)
        haze = (0.012 * (450 / wavelengths) ** 3).astype(np.float32)
        haze_field = (
            1 + 0.15 * smooth_field(ground.shape, max(min(ground.shape) / 2, 8), rng) + 0.5 * ground.season
        )
        vapour = 0.05 * smooth_field(ground.shape, max(min(ground.shape) / 3, 8), rng) + 0.04 * ground.season
        noise = self._noise(wavelengths, depth)
        stripes = 1 + 0.004 * rng.standard_normal((self.bands, 1, ground.shape[1]), np.float32)

        data = np.empty((self.bands, *ground.shape), np.uint16)
        for top in range(0, ground.shape[0], ROWS_AT_ONCE):
            rows = np.s_[:, top : top + ROWS_AT_ONCE]
            signal = np.tensordot(spectra, mixture[rows], 1)
            signal *= np.maximum(1 + np.tensordot(tint_curves, ground.tints[rows], 1), 0.2)
            sunlit = ground.sunlit[rows[1:]]
            signal *= sunlit + skylight[:, None, None] * (1 - sunlit)
            signal *= 1 - depth[:, None, None] * vapour[rows[1:]]
            signal += haze[:, None, None] * haze_field[rows[1:]]
            signal *= stripes
            # photon noise grows with the root of the signal, on top of a floor
            spread = noise[:, None, None] * np.sqrt(0.3 + np.maximum(signal, 0) / 0.3)
            signal += spread * rng.standard_normal(signal.shape, np.float32)
            data[rows] = np.clip(np.rint(signal * SCALE), 0, 65535)
        return Raster(data, wavelengths=wavelengths, unit=f"reflectance x {SCALE}")

    def _mixture(self, ground: Ground) -> NDArray[np.float32]:
        """Shares of the fresh and the altered state of each material as the optics blur them, (2M, H, W)."""
        mixture = np.concatenate([ground.shares * (1 - ground.state), ground.shares * ground.state])
        for share in mixture:
            ndimage.gaussian_filter(share, self.blur, output=share)
        return mixture

    def _noise(self, wavelengths: NDArray[np.float64], depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Standard deviation of the noise by band, after the sun's spectrum, detector and absorption."""
        # Planck at 5800 K, photons, relative to its maximum over the bands
        photons = wavelengths**-4 / np.expm1(1.4388e7 / (wavelengths * 5800))
        detector = np.clip((wavelengths - 330) / 120, 0.08, 1) * np.clip((2700 - wavelengths) / 500, 0.2, 1)
        detector *= np.where(wavelengths < 950, np.clip((1100 - wavelengths) / 250, 0.15, 1), 1)
        arriving = photons / photons.max() * detector * np.exp(-depth)
        return (0.3 / self.snr / np.sqrt(np.maximum(arriving, 1e-3))).astype(np.float32)


def _tint_curves(wavelengths: NDArray[np.float64]) -> NDArray[np.float32]:
    """Cosines over the visible and infrared, ``(C, TINTS)``; the first is 1."""
    position = np.log(wavelengths / 350) / np.log(2500 / 350)
    return np.cos(np.pi * 1.5 * np.outer(position, np.arange(TINTS))).astype(np.float32)


def _optical_depth(wavelengths: NDArray[np.float64]) -> NDArray[np.float32]:
    """Optical depth of the atmosphere's absorption bands, ``(C,)``."""
    centre, width, depth = np.array(ABSORPTION, np.float64).T
    return (np.exp(-0.5 * ((wavelengths[:, None] - centre) / width) ** 2) @ depth).astype(np.float32)
