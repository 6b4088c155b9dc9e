"""The sensors that record the simulated ground: hyperspectral, LiDAR, surface model and radar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters import Raster
from m3amba_zoo.scenes.simulation.ground import TINTS, Ground
from m3amba_zoo.scenes.simulation.layout import smooth_field
from m3amba_zoo.scenes.simulation.materials import endmembers

HSI_SNR = 150.0  # of bright ground in the best band
HSI_BLUR = 0.6  # standard deviation of the point spread in pixels, which mixes materials at borders
SCALE = 10000  # digital numbers per unit of reflectance
ROWS_AT_ONCE = 32  # the noise is drawn in strips of this height: another value gives another image
# absorption by oxygen (760 nm) and water vapour: centre nm, width nm, optical depth
ABSORPTION = (
    (760, 4, 0.5),
    (820, 12, 0.15),
    (940, 18, 0.8),
    (1130, 25, 1.1),
    (1400, 35, 4.0),
    (1880, 55, 4.5),
)

LIDAR_BANDS = (
    "first return elevation",
    "first return intensity",
    "last return elevation",
    "last return intensity",
)
LASER_NM = 1064.0
LIDAR_NOISE, DSM_NOISE = 0.08, 0.4  # standard deviation of an elevation, m
DSM_BLUR = 1.0  # standard deviation of the smoothing, pixels
PLANTS = ("canopy",)  # materials that let part of a laser pulse through

SAR_BANDS = ("VV intensity", "VH intensity", "real part of VV VH*", "imaginary part of VV VH*")
OBJECT_DB = 1.2  # standard deviation between objects of a class, dB


class SensorSpec(Protocol):
    """A sensor: anything that records the ground as a raster."""

    @property
    def bands(self) -> int:
        """Number of bands of the raster."""
        ...

    def observe(self, ground: Ground, rng: np.random.Generator) -> Raster:
        """Record the ground."""
        ...


@dataclass(frozen=True)
class HsiSpec:
    """A hyperspectral image: reflectance x 10000 after an imperfect atmospheric correction.

    Attributes:
        bands: number of bands, evenly spaced.
        first_nm: centre of the first band.
        last_nm: centre of the last band.
    """

    bands: int
    first_nm: float = 400.0
    last_nm: float = 2500.0

    def observe(self, ground: Ground, rng: np.random.Generator) -> Raster:
        """Record ``(bands, H, W)`` uint16 with wavelengths, reflectance x 10000."""
        wavelengths = np.linspace(self.first_nm, self.last_nm, self.bands)
        mixture = _mixture(ground)
        spectra = endmembers(ground.materials, wavelengths).reshape(self.bands, -1)
        tint_curves = _tint_curves(wavelengths)
        depth = _optical_depth(wavelengths)
        # shadows are lit by the sky, which is blue
        skylight = (0.16 * (550 / wavelengths) ** 1.7).astype(np.float32)
        # what the correction leaves behind: haze in the blue, and water vapour in the absorption bands
        haze = (0.012 * (450 / wavelengths) ** 3).astype(np.float32)
        haze_field = (
            1 + 0.15 * smooth_field(ground.shape, max(min(ground.shape) / 2, 8), rng) + 0.5 * ground.season
        )
        vapour = 0.05 * smooth_field(ground.shape, max(min(ground.shape) / 3, 8), rng) + 0.04 * ground.season
        noise = _noise(wavelengths, depth)
        # each detector column has its own gain
        stripes = 1 + 0.004 * rng.standard_normal((self.bands, 1, ground.shape[1]), np.float32)

        data = np.empty((self.bands, *ground.shape), np.uint16)
        for top in range(0, ground.shape[0], ROWS_AT_ONCE):  # in strips, to bound the memory
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


@dataclass(frozen=True)
class LidarSpec:
    """Rasterised airborne LiDAR.

    Attributes:
        bands: 1 to 4, the first ones of ``LIDAR_BANDS``; elevations in m above the datum, intensities in
            digital numbers from 0 to about 2000.
    """

    bands: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.bands <= len(LIDAR_BANDS):
            raise InputError(f"LidarSpec: bands is {self.bands}, expected 1 to {len(LIDAR_BANDS)}")

    def observe(self, ground: Ground, rng: np.random.Generator) -> Raster:
        """Record ``(bands, H, W)`` float32."""
        first = ndimage.gaussian_filter(ground.height, 0.4)
        laser = endmembers(ground.materials, np.array([LASER_NM]))[0]
        fresh, altered = (np.tensordot(state, ground.shares, 1) for state in laser)
        reflectance = (fresh + (altered - fresh) * ground.state) * np.maximum(1 + ground.tints[0], 0.2)
        # the last return reaches the ground where plants let the pulse through
        plants = [index for index, name in enumerate(ground.materials) if name in PLANTS]
        passing = np.clip(
            ground.shares[plants].sum(axis=0) * (0.5 + 0.3 * smooth_field(ground.shape, 1.5, rng)), 0, 1
        )
        bands = (
            ground.terrain + first,
            2400 * reflectance,
            ground.terrain + first * (1 - passing),
            2400 * reflectance * (1 - 0.6 * passing),
        )[: self.bands]
        data = np.stack(bands).astype(np.float32)
        data[0::2] += LIDAR_NOISE * rng.standard_normal(data[0::2].shape, np.float32)
        data[1::2] *= 1 + 0.15 * rng.standard_normal(data[1::2].shape, np.float32)
        unit = "m" if self.bands == 1 else "m; intensities in digital numbers"
        return Raster(data, bands=LIDAR_BANDS[: self.bands], unit=unit)


@dataclass(frozen=True)
class DsmSpec:
    """A digital surface model from images or radar: smoother and less exact than LiDAR."""

    bands: ClassVar[int] = 1

    def observe(self, ground: Ground, rng: np.random.Generator) -> Raster:
        """Record ``(1, H, W)`` float32, m above the datum."""
        surface = ndimage.gaussian_filter(ground.terrain + ground.height, DSM_BLUR)
        surface += DSM_NOISE * smooth_field(ground.shape, 2, rng)
        return Raster(surface[None].astype(np.float32), bands=("surface elevation",), unit="m")


@dataclass(frozen=True)
class SarSpec:
    """Dual-polarised, multi-looked SAR: the elements of the covariance matrix, linear power.

    Attributes:
        bands: 1 to 4, the first ones of ``SAR_BANDS``.
        looks: independent looks averaged; intensities of even ground are gamma distributed with this shape.
        blur: standard deviation in pixels of the interpolation to the common grid, which correlates speckle.
    """

    bands: int = 4
    looks: int = 4
    blur: float = 0.7

    def __post_init__(self) -> None:
        if not 1 <= self.bands <= len(SAR_BANDS):
            raise InputError(f"SarSpec: bands is {self.bands}, expected 1 to {len(SAR_BANDS)}")

    def observe(self, ground: Ground, rng: np.random.Generator) -> Raster:
        """Record ``(bands, H, W)`` float32, linear power."""
        shape, layout = ground.shape, ground.layout
        mean = np.array([cover.backscatter for cover in ground.covers], np.float32).T[:, layout.classes]
        mean += (OBJECT_DB * rng.standard_normal((2, len(layout.unit_classes)), np.float32))[:, layout.units]
        # wet ground scatters more; the far range is darker
        mean += 0.8 * ground.moisture - 1.5 * np.linspace(0, 1, shape[1], dtype=np.float32)
        clutter = np.array([cover.clutter for cover in ground.covers])[layout.classes]
        texture = (rng.standard_gamma(clutter) / clutter).astype(np.float32)
        power = 10 ** (mean / 10) * texture
        amplitude_vv, amplitude_vh = np.sqrt(power / 2)
        # surfaces keep the phase between the polarisations, volumes and towns less so
        coherence = np.clip(0.25 - 0.01 * ground.height + 0.05 * smooth_field(shape, 8, rng), 0, 0.6)

        covariance = np.zeros((4, *shape), np.float32)
        for _ in range(self.looks):
            # speckle: both polarisations are complex normal, and correlated by the coherence
            vv_re, vv_im, own_re, own_im = rng.standard_normal((4, *shape), np.float32)
            own = np.sqrt(1 - coherence**2)
            vh_re, vh_im = coherence * vv_re + own * own_re, coherence * vv_im + own * own_im
            vv_re, vv_im = vv_re * amplitude_vv, vv_im * amplitude_vv
            vh_re, vh_im = vh_re * amplitude_vh, vh_im * amplitude_vh
            covariance[0] += vv_re**2 + vv_im**2
            covariance[1] += vh_re**2 + vh_im**2
            covariance[2] += vv_re * vh_re + vv_im * vh_im
            covariance[3] += vv_im * vh_re - vv_re * vh_im
        covariance /= self.looks
        data = np.stack([ndimage.gaussian_filter(band, self.blur) for band in covariance[: self.bands]])
        return Raster(data, bands=SAR_BANDS[: self.bands], unit="linear power")


def _tint_curves(wavelengths: NDArray[np.float64]) -> NDArray[np.float32]:
    """Cosines over the visible and infrared, ``(C, TINTS)``; the first is 1."""
    position = np.log(wavelengths / 350) / np.log(2500 / 350)
    return np.cos(np.pi * 1.5 * np.outer(position, np.arange(TINTS))).astype(np.float32)


def _optical_depth(wavelengths: NDArray[np.float64]) -> NDArray[np.float32]:
    """Optical depth of the atmosphere's absorption bands, ``(C,)``."""
    centre, width, depth = np.array(ABSORPTION, np.float64).T
    return (np.exp(-0.5 * ((wavelengths[:, None] - centre) / width) ** 2) @ depth).astype(np.float32)


def _mixture(ground: Ground) -> NDArray[np.float32]:
    """Return the blurred shares of each material's fresh and altered state, ``(2M, H, W)``."""
    mixture = np.concatenate([ground.shares * (1 - ground.state), ground.shares * ground.state])
    for share in mixture:
        ndimage.gaussian_filter(share, HSI_BLUR, output=share)
    return mixture


def _noise(wavelengths: NDArray[np.float64], depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the noise's standard deviation by band: the fewer photons arrive, the more noise."""
    # Planck at 5800 K, photons, relative to its maximum over the bands
    photons = wavelengths**-4 / np.expm1(1.4388e7 / (wavelengths * 5800))
    # detectors lose sensitivity at both ends, silicon also near its limit of about 1050 nm
    detector = np.clip((wavelengths - 330) / 120, 0.08, 1) * np.clip((2700 - wavelengths) / 500, 0.2, 1)
    detector *= np.where(wavelengths < 950, np.clip((1100 - wavelengths) / 250, 0.15, 1), 1)
    arriving = photons / photons.max() * detector * np.exp(-depth)
    return (0.3 / HSI_SNR / np.sqrt(np.maximum(arriving, 1e-3))).astype(np.float32)
