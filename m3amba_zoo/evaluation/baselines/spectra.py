"""What a pixel classifier reads: the bands of each pixel, the modalities side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from m3amba_zoo.datasets.scene_data import SceneData
from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.scene import Raster, Scene

CHUNK_PIXELS = 32_768


def row_chunks(scene: Scene) -> Iterator[tuple[int, int]]:
    """Yield first and last row (excluded) of strips of at most ``CHUNK_PIXELS`` pixels, at least one row."""
    height, width = scene.shape
    rows = max(1, CHUNK_PIXELS // width)
    for start in range(0, height, rows):
        yield start, min(start + rows, height)


class PixelSpectra:
    """The bands of pixels, ``(n, C)`` float32, NaN where missing; C counts the bands of all modalities.

    Args:
        modalities: which rasters, in which order.
        mean: side of the square around each pixel over which every band is averaged, in pixels; odd.
            Missing pixels and what lies outside the scene do not count. 1 takes the pixel itself.

    Raises:
        InputError: ``mean`` is not an odd number of pixels.
    """

    def __init__(self, modalities: Sequence[str], mean: int = 1) -> None:
        if mean < 1 or mean % 2 == 0:
            raise InputError(f"mean is {mean}; an odd number of pixels is expected, such as 1 or 3")
        self.modalities, self.mean = tuple(modalities), mean

    def check(self, data: SceneData) -> None:
        """Raise InputError if a scene lacks a modality or has another number of its bands than the first."""
        data.check_modalities(self.modalities)
        first = data.scenes[0]
        for modality in self.modalities:
            expected = len(first.rasters[modality].data)
            for scene in data.scenes:
                found = len(scene.rasters[modality].data)
                if found != expected:
                    raise InputError(
                        f"scene '{scene.name}' of {data.name} has {found} bands of '{modality}', but scene "
                        f"'{first.name}' has {expected}"
                    )

    def of_rows(self, scene: Scene, start: int, stop: int) -> NDArray[np.float32]:
        """Return the pixels of some rows in row-major order, ``((stop - start) * W, C)``."""
        strips = [self._strip(scene.rasters[modality], start, stop) for modality in self.modalities]
        bands = np.concatenate(strips)
        return bands.reshape(len(bands), -1).T

    def of_mask(self, scene: Scene, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return the pixels under a mask ``(H, W)``, in row-major order: ``(n, C)``."""
        chunks = [
            self.of_rows(scene, start, stop)[mask[start:stop].ravel()] for start, stop in row_chunks(scene)
        ]
        return np.concatenate(chunks)

    def of_part(self, data: SceneData, part: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the pixels of a part of the split, ``(n, C)``, and their classes ``(n,)``, 1..K."""
        pixels, labels = [], []
        for scene, mask in data.split.parts(data.scenes, part):
            pixels.append(self.of_mask(scene, mask))
            labels.append(scene.labels[mask].astype(np.int64))
        return np.concatenate(pixels), np.concatenate(labels)

    def _strip(self, raster: Raster, start: int, stop: int) -> NDArray[np.float32]:
        """Return rows of a raster, ``(C, stop - start, W)``."""
        halo = self.mean // 2
        top = max(start - halo, 0)
        values = raster.data[:, top : stop + halo]
        strip = values.astype(np.float32)
        if raster.nodata is not None:
            strip[values == raster.nodata] = np.nan
        if self.mean > 1:
            strip = _neighbourhood_mean(strip, self.mean)
        return strip[:, start - top : stop - top]


def _neighbourhood_mean(bands: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Average each band ``(C, H, W)`` over squares, over the pixels that are there; NaN where none is."""
    present = ~np.isnan(bands)
    size = (1, side, side)
    total = ndimage.uniform_filter(np.where(present, bands, 0), size, mode="constant")
    share = ndimage.uniform_filter(present.astype(np.float32), size, mode="constant")
    some = share > 0.5 / side**2  # one pixel or more: the filter's running sum may leave a trace of none
    return np.divide(total, share, out=np.full_like(bands, np.nan), where=some)
