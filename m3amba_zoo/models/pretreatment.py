"""The steps of the bands' pretreatment, fitted on training pixels and kept with the weights.

Each step has ``out_channels``, ``fit`` on training pixels ``(n, C)``, and ``forward`` on windows
``(B, C, S, S)``. Missing values are NaN and stay NaN; a step is fitted on the values that are there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import savgol_coeffs
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import MODELS


class Pretreatment(nn.Module):
    """Base of the steps.

    Attributes:
        carried: whether the fit came with weights of another model; then training pixels do not change it.
        of_features: whether the bands are an encoder's features. Some of these are the same at all training
            pixels, as where a ReLU never fires; a sensor's band that is constant is a fault of the data.

    Args:
        in_channels: bands that come in.
    """

    carried = of_features = False

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.in_channels = self.out_channels = in_channels

    def fit(
        self, pixels: NDArray[np.float32], labels: NDArray[np.int64], modality: str, names: NDArray[np.str_]
    ) -> None:
        """Fit on training pixels; most steps have nothing to fit.

        Args:
            pixels: ``(n, C)``, NaN where a value is missing.
            labels: classes, ``(n,)``.
            modality: its name, for messages.
            names: of the bands, ``(C,)``, for messages.

        Raises:
            InputError: if the pixels do not allow it; the message names the modality.
        """

    def of_treated(self, of_bands: NDArray) -> NDArray | None:
        """Return what is known of the outgoing bands, ``(out_channels,)``, such as wavelengths or names.

        Args:
            of_bands: the same of the incoming bands, ``(C,)``.

        Returns:
            None if what goes out are not bands any more.
        """
        return of_bands if self.out_channels == self.in_channels else None

    def forward(self, x_BCSS: Tensor) -> Tensor:
        """Return ``(B, out_channels, S, S)``."""
        raise NotImplementedError


@MODELS.register_module()
class SelectBands(Pretreatment):
    """Drop bands, such as those of water absorption.

    Args:
        drop: first and last index (both included, from 0) of each range of bands to drop.

    Raises:
        InputError: if a range lies outside the bands.
    """

    kept: Tensor

    def __init__(self, in_channels: int, drop: Sequence[Sequence[int]]) -> None:
        super().__init__(in_channels)
        keep = torch.ones(in_channels, dtype=torch.bool)
        for first, last in drop:
            if not 0 <= first <= last < in_channels:
                raise InputError(
                    f"SelectBands: range {first}..{last} lies outside bands 0..{in_channels - 1}"
                )
            keep[first : last + 1] = False
        self.register_buffer("kept", keep.nonzero().flatten(), persistent=False)
        self.out_channels = int(keep.sum())

    def of_treated(self, of_bands: NDArray) -> NDArray:
        """Return what is known of the kept bands."""
        return of_bands[self.kept.cpu().numpy()]

    def forward(self, x_BCSS: Tensor) -> Tensor:
        """Return the kept bands."""
        return x_BCSS[:, self.kept]


@MODELS.register_module()
class UnitNorm(Pretreatment):
    """Divide each pixel's spectrum by its Euclidean norm, which removes illumination.

    Missing bands count as the mean square of the others: the bands that are there stay comparable with those
    of whole spectra.
    """

    def forward(self, x_BCSS: Tensor) -> Tensor:
        """Return spectra of norm 1 (all-zero ones stay zero)."""
        norm = x_BCSS.nan_to_num(nan=0.0).norm(dim=1, keepdim=True)
        present = (~x_BCSS.isnan()).sum(dim=1, keepdim=True).clamp(min=1)
        return x_BCSS / (norm * (self.in_channels / present).sqrt()).clamp(min=1e-12)


@MODELS.register_module()
class CenteredLog(Pretreatment):
    """Logarithm of each band minus the mean over bands: the centred log-ratio (Aitchison, JRSS B 44, 1982).

    This removes a gain common to all bands, such as that of light and slope.

    Args:
        floor: in the raster's unit; smaller values (a shadow's zeros) count as this.

    Raises:
        InputError: if ``floor`` is not above 0.
    """

    def __init__(self, in_channels: int, floor: float) -> None:
        super().__init__(in_channels)
        if not floor > 0:
            raise InputError(f"CenteredLog: floor is {floor}, expected a number above 0")
        self.floor = floor

    def forward(self, x_BCSS: Tensor) -> Tensor:
        """Return logarithms with mean 0 over the bands that each pixel has."""
        logarithm = x_BCSS.clamp(min=self.floor).log()
        return logarithm - logarithm.nanmean(dim=1, keepdim=True)


@MODELS.register_module()
class WindowShift(Pretreatment):
    """In training, add one random vector to all pixels of a window; at inference, nothing.

    Two places differ more in light, moisture and season than two pixels of one place. A network that sees few
    places memorises their differences; shifted windows prevent that. Put this step last: ``level`` is for the
    bands that the network reads.

    Args:
        level: standard deviation of the shift of every band; after ``Standardize``, ``PCA`` or
            ``Discriminants`` in standard deviations of the training pixels.

    Raises:
        InputError: if ``level`` is below 0.
    """

    def __init__(self, in_channels: int, level: float) -> None:
        super().__init__(in_channels)
        if not level >= 0:
            raise InputError(f"WindowShift: level is {level}, expected 0 or more")
        self.level = level

    def forward(self, x_BCSS: Tensor) -> Tensor:
        """Return the windows, each shifted by its own vector in training."""
        if not self.training:
            return x_BCSS
        return x_BCSS + self.level * torch.randn(*x_BCSS.shape[:2], 1, 1).to(x_BCSS)


@MODELS.register_module()
class Derivative(Pretreatment):
    """First derivative along the bands by Savitzky-Golay (Analytical Chemistry 36:1627, 1964).

    Args:
        length: odd number of bands of the local fit; ``length - 1`` bands are lost.
        degree: of the fitted polynomial.

    Raises:
        InputError: if ``length`` is even, not above ``degree``, or above the number of bands.
    """

    kernel: Tensor

    def __init__(self, in_channels: int, length: int = 11, degree: int = 2) -> None:
        super().__init__(in_channels)
        if length % 2 == 0 or length > in_channels or degree >= length:
            raise InputError(
                f"Derivative: length {length} must be odd, above the degree {degree} and at most the "
                f"{in_channels} bands"
            )
        kernel = torch.from_numpy(savgol_coeffs(length, degree, deriv=1, use="dot")).float()
        self.register_buffer("kernel", kernel.view(1, 1, -1), persistent=False)
        self.out_channels = in_channels - length + 1

    def of_treated(self, of_bands: NDArray) -> NDArray:
        """Return what is known of the centres of the local fits."""
        lost = (self.in_channels - self.out_channels) // 2
        return of_bands[lost : len(of_bands) - lost]

    def forward(self, x_BCSS: Tensor) -> Tensor:
        """Return ``(B, C - length + 1, S, S)``."""
        batch, bands, rows, columns = x_BCSS.shape
        spectra = x_BCSS.permute(0, 2, 3, 1).reshape(-1, 1, bands)
        slopes = nn.functional.conv1d(spectra, self.kernel)
        return slopes.view(batch, rows, columns, -1).permute(0, 3, 1, 2)


@MODELS.register_module()
class Standardize(Pretreatment):
    """Subtract each band's mean and divide by its deviation, both over the training pixels that have it.

    A constant feature of an encoder becomes 0, also at pixels where it is another value.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels)
        self.register_buffer("mean", torch.zeros(in_channels))
        self.register_buffer("std", torch.ones(in_channels))

    def fit(
        self, pixels: NDArray[np.float32], labels: NDArray[np.int64], modality: str, names: NDArray[np.str_]
    ) -> None:
        """Take mean and standard deviation.

        Raises:
            InputError: if a band is missing at all pixels, or constant and no feature of an encoder.
        """
        present = (~np.isnan(pixels)).sum(0)
        for band in np.flatnonzero(present == 0):
            raise InputError(
                f"band {names[band]} of '{modality}' is missing at all {len(pixels)} training pixels"
            )
        mean: NDArray[np.float64] = np.nanmean(pixels, 0, dtype=np.float64)
        std: NDArray[np.float64] = np.nanstd(pixels, 0, dtype=np.float64)
        constant = _constant(mean, std)
        if self.of_features:
            std[constant] = np.finfo(np.float32).max
        for band in np.flatnonzero(constant & (not self.of_features)):
            raise InputError(
                f"band {names[band]} of '{modality}' is constant ({mean[band]:g}) over the {present[band]} "
                "training pixels; drop it with a SelectBands step, or correct the data"
            )
        self.mean.copy_(torch.from_numpy(mean))
        self.std.copy_(torch.from_numpy(std))

    def forward(self, x_BCSS: Tensor) -> Tensor:
        """Return bands of mean 0 and standard deviation 1."""
        return (x_BCSS - self.mean.view(-1, 1, 1)) / self.std.view(-1, 1, 1)


class Projection(Pretreatment):
    """Base of the fitted affine maps of each pixel's bands.

    They are fitted on the pixels that have all bands. A pixel that lacks one gives NaN in all components.

    Args:
        in_channels: bands that come in.
        components: number of channels that go out.

    Raises:
        InputError: if there are more components than bands, or none.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, in_channels: int, components: int) -> None:
        super().__init__(in_channels)
        if not 1 <= components <= in_channels:
            raise InputError(f"{type(self).__name__}: {components} components of {in_channels} bands")
        self.register_buffer("weight", torch.zeros(components, in_channels))
        self.register_buffer("bias", torch.zeros(components))
        self.out_channels = components

    def of_treated(self, of_bands: NDArray) -> None:
        """Return None: components are no bands."""

    def _set(self, weight: NDArray, bias: NDArray) -> None:
        self.weight.copy_(torch.from_numpy(weight))
        self.bias.copy_(torch.from_numpy(bias))

    def forward(self, x_BCSS: Tensor) -> Tensor:
        """Return ``(B, components, S, S)``."""
        return nn.functional.conv2d(x_BCSS, self.weight[:, :, None, None], self.bias)


@MODELS.register_module()
class PCA(Projection):
    """Principal components of the training pixels.

    Args:
        components: how many to keep.
        whiten: whether each is scaled to variance 1.
    """

    def __init__(self, in_channels: int, components: int, whiten: bool = True) -> None:
        super().__init__(in_channels, components)
        self.whiten = whiten

    def fit(
        self, pixels: NDArray[np.float32], labels: NDArray[np.int64], modality: str, names: NDArray[np.str_]
    ) -> None:
        """Fit scikit-learn's PCA.

        Raises:
            InputError: if there are not more pixels with all bands than components.
        """
        from sklearn.decomposition import PCA as SklearnPCA

        pixels = pixels[_whole(pixels)]
        if len(pixels) <= self.out_channels:
            raise InputError(
                f"PCA of '{modality}': {self.out_channels} components asked of {len(pixels)} training pixels "
                "with all bands"
            )
        fitted = SklearnPCA(self.out_channels, svd_solver="full").fit(pixels.astype(np.float64))
        scale = np.sqrt(fitted.explained_variance_)[:, None] if self.whiten else 1.0
        weight = fitted.components_ / scale
        self._set(weight, -weight @ fitted.mean_)


@MODELS.register_module()
class Discriminants(Projection):
    """Discriminant directions of the training pixels (LDA, Ledoit-Wolf shrinkage), scaled to unit variance.

    Args:
        components: how many to keep, at most classes - 1.
    """

    def fit(
        self, pixels: NDArray[np.float32], labels: NDArray[np.int64], modality: str, names: NDArray[np.str_]
    ) -> None:
        """Fit scikit-learn's LinearDiscriminantAnalysis and keep its projection.

        Raises:
            InputError: if there are more components than classes, of pixels with all bands, minus 1.
        """
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        whole = _whole(pixels)
        pixels, labels = pixels[whole], labels[whole]
        classes = len(np.unique(labels))
        if self.out_channels > classes - 1:
            raise InputError(
                f"Discriminants of '{modality}': {self.out_channels} components asked of {classes} classes "
                f"that have training pixels with all bands (at most {max(classes - 1, 0)})"
            )
        lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto").fit(
            pixels.astype(np.float64), labels
        )
        weight = lda.scalings_[:, : self.out_channels].T
        projected = pixels @ weight.T
        weight = weight / projected.std(0)[:, None]
        self._set(weight, -(weight @ pixels.mean(0, dtype=np.float64)))


def constant_features(pixels: Mapping[str, NDArray[np.float32]], features: Collection[str]) -> str:
    """Return a sentence on an encoder's features that are the same at all training pixels; empty if none are.

    Args:
        pixels: ``(n, C)`` per modality, NaN where a value is missing.
        features: the modalities whose bands are an encoder's features.
    """
    found = []
    for modality in (m for m in pixels if m in features and len(pixels[m])):
        values = pixels[modality]
        mean: NDArray[np.float64] = np.nanmean(values, 0, dtype=np.float64)
        std: NDArray[np.float64] = np.nanstd(values, 0, dtype=np.float64)
        if count := int(_constant(mean, std).sum()):
            found.append(f"{count} of {values.shape[1]} features of '{modality}'")
    return f"{' and '.join(found)} are the same at all training pixels and count as 0" if found else ""


def _constant(mean: NDArray[np.float64], std: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which bands ``(C,)`` do not vary."""
    return std <= 1e-6 * np.abs(mean)


def _whole(pixels: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which pixels ``(n,)`` have all bands."""
    return ~np.logical_or.reduce(np.isnan(pixels), axis=1)
