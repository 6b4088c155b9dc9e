"""A synthetic aperture radar over the simulated ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.scene import Raster
from m3amba_zoo.scenes.simulation.fields import smooth_field
from m3amba_zoo.scenes.simulation.ground import Ground

SAR_BANDS = ("VV intensity", "VH intensity", "real part of VV VH*", "imaginary part of VV VH*")
OBJECT_DB = 1.2  # standard deviation between objects of a class, dB


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
        """Record the ground.

        Returns:
            ``(bands, H, W)`` float32, linear power.
        """
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
