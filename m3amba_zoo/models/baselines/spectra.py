"""The input of a pixel classifier: the pretreated bands of each pixel, the modalities side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.preprocessor import RasterPreprocessor, data_warning
from m3amba_zoo.models.pretreatment import constant_features
from m3amba_zoo.rasters import Raster
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits.scene_data import SceneData

CHUNK_PIXELS = 32_768


def row_chunks(scene: Scene) -> Iterator[tuple[int, int]]:
    """Yield the first and last row (excluded) of strips of ``CHUNK_PIXELS`` pixels at most, or of one row."""
    height, width = scene.shape
    rows = max(1, CHUNK_PIXELS // width)
    for start in range(0, height, rows):
        yield start, min(start + rows, height)


class PixelSpectra:
    """The bands of pixels, averaged over squares, then pretreated like those of the networks.

    Attributes:
        warning: after ``fit``, a sentence on classes without data in a modality and on features that are
            constant; empty if there are none.

    Args:
        modalities: names of the rasters, in order.
        mean: side of the square around each pixel over which every band is averaged, in pixels; odd. Pixels
            that are missing or outside the scene do not count. 1 takes the pixel itself.
        pretreatment: as for ``RasterPreprocessor``, after the mean.

    Raises:
        InputError: if ``mean`` is not an odd number of pixels, there are no modalities, or the pretreatment
            names another one.
    """

    def __init__(
        self,
        modalities: Sequence[str],
        mean: int = 1,
        pretreatment: Mapping[str, Sequence[dict]] | None = None,
    ) -> None:
        if mean < 1 or mean % 2 == 0:
            raise InputError(f"mean is {mean}; an odd number of pixels is expected, such as 1 or 3")
        if not modalities:
            raise InputError("modalities names none; a raster of the scenes is expected")
        for unknown in set(pretreatment or {}) - set(modalities):
            raise InputError(f"pretreatment names '{unknown}', but modalities has {', '.join(modalities)}")
        self.modalities, self.mean = tuple(modalities), mean
        self.pretreatment = pretreatment
        self.preprocessor: RasterPreprocessor | None = None
        self.warning = ""

    def fit(self, data: SceneData) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Fit the pretreatment on the training pixels and return these, as ``of_part`` does.

        Raises:
            InputError: if a scene lacks a modality or has another number of its bands than the first, or the
                pixels do not allow the fit.
        """
        data.check_modalities(self.modalities)
        bands = {modality: len(data.scenes[0].rasters[modality].data) for modality in self.modalities}
        for scene in data.scenes:
            for modality, expected in bands.items():
                found = len(scene.rasters[modality].data)
                if found != expected:
                    raise InputError(
                        f"scene '{scene.name}' of {data.name} has {found} bands of '{modality}', but scene "
                        f"'{data.scenes[0].name}' has {expected}"
                    )
        preprocessor = RasterPreprocessor(bands, self.pretreatment).eval()  # evaluation mode: no augmentation
        pixels, labels = self._raw_of_part(data, "train")
        names = {modality: data.band_names(modality) for modality in pixels}
        preprocessor.fit(pixels, labels, names, data.encoded)
        lacking = data_warning(pixels, labels, [entry.name for entry in data.classes], names)
        self.warning = "; ".join(filter(None, (lacking, constant_features(pixels, data.encoded))))
        self.preprocessor = preprocessor
        return self._pretreat_pixels(pixels), labels

    def of_rows(self, scene: Scene, start: int, stop: int) -> NDArray[np.float32]:
        """Return the pixels of some rows in row-major order, ``((stop - start) * W, C)``."""
        treated = self._pretreat({m: self._strip(scene.rasters[m], start, stop) for m in self.modalities})
        return treated.reshape(len(treated), -1).T

    def of_window(self, bands: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return the pixels of a window in row-major order, ``(S * S, C)``.

        Args:
            bands: ``(C, S + 2 M, S + 2 M)`` by modality, NaN where a value is missing; the margin M is
                ``mean // 2``.
        """
        margin = self.mean // 2
        if margin:
            bands = {m: _neighbourhood_mean(values, self.mean) for m, values in bands.items()}
            inside = slice(margin, -margin)
            bands = {m: values[:, inside, inside] for m, values in bands.items()}
        treated = self._pretreat({m: bands[m] for m in self.modalities})
        return treated.reshape(len(treated), -1).T

    def state(self) -> dict[str, NDArray]:
        """Return the fitted pretreatment as plain arrays by name."""
        assert self.preprocessor is not None, "fit first"
        return {name: value.numpy() for name, value in self.preprocessor.state_dict().items()}

    def restore(self, state: Mapping[str, NDArray], in_channels: Mapping[str, int]) -> None:
        """Take the place of a fit: use what ``state`` returned.

        Raises:
            RuntimeError: if the arrays are those of another pretreatment.
            InputError: if the pretreatment does not fit these numbers of bands.
        """
        bands = {modality: in_channels[modality] for modality in self.modalities}
        self.preprocessor = RasterPreprocessor(bands, self.pretreatment).eval()
        self.preprocessor.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})

    def of_part(self, data: SceneData, part: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the pixels of a part of the split, ``(n, C)``, and their classes ``(n,)``, 1..K."""
        pixels, labels = self._raw_of_part(data, part)
        return self._pretreat_pixels(pixels), labels

    def _raw_of_part(
        self, data: SceneData, part: str
    ) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.int64]]:
        """Return the averaged bands ``(n, C)`` per modality, NaN if missing, and the classes ``(n,)``."""
        pixels: dict[str, list[NDArray[np.float32]]] = {modality: [] for modality in self.modalities}
        labels = []
        for scene, mask in data.split.parts(data.scenes, part):
            for start, stop in row_chunks(scene):
                for modality, of_modality in pixels.items():
                    strip = self._strip(scene.rasters[modality], start, stop)
                    of_modality.append(strip[:, mask[start:stop]].T)
            labels.append(scene.labels[mask].astype(np.int64))
        return {m: np.concatenate(strips) for m, strips in pixels.items()}, np.concatenate(labels)

    def _pretreat_pixels(self, pixels: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return the pretreated bands of all modalities, ``(n, C)``, from those of each."""
        return self._pretreat({m: values.T[:, :, None] for m, values in pixels.items()})[:, :, 0].T

    def _pretreat(self, bands: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return the pretreated bands of all modalities, ``(C, rows, columns)``, from those of each."""
        assert self.preprocessor is not None, "fit first"
        inputs = {m: torch.from_numpy(np.ascontiguousarray(values))[None] for m, values in bands.items()}
        with torch.no_grad():
            treated = self.preprocessor.transform(inputs)
        return torch.cat([treated[modality] for modality in self.modalities], dim=1)[0].numpy()

    def _strip(self, raster: Raster, start: int, stop: int) -> NDArray[np.float32]:
        """Return rows of a raster, ``(C, stop - start, W)``."""
        halo = self.mean // 2  # rows beside the strip that the means of its first and last row need
        top = max(start - halo, 0)
        strip = raster.crop(slice(top, stop + halo), slice(None)).floats()
        if self.mean > 1:
            strip = _neighbourhood_mean(strip, self.mean)
        return strip[:, start - top : stop - top]


def _neighbourhood_mean(bands: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Average each band ``(C, H, W)`` over squares, over the pixels that are not missing; NaN if all are."""
    present = ~np.isnan(bands)
    size = (1, side, side)
    total = ndimage.uniform_filter(np.where(present, bands, 0), size, mode="constant")
    share = ndimage.uniform_filter(present.astype(np.float32), size, mode="constant")
    some = share > 0.5 / side**2  # one pixel or more: the filter's running sum may leave a rounding error
    return np.divide(total, share, out=np.full_like(bands, np.nan), where=some)
