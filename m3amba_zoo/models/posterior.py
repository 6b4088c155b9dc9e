"""Turns a trained network's logits into posteriors: views, prior, smoothing, expert."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import MODELS

SYMMETRIES = 8
SMALLEST = 1e-6


@MODELS.register_module()
class Posterior(nn.Module):
    """Turns the logits of a WindowClassifier into posteriors when it predicts; training does not use it.

    1. ``views``: the posteriors of a window and of its mirrored and rotated copies are averaged.
    2. ``prior_power`` t: they are divided by the class frequencies to the power t (logit adjustment, arXiv
       2007.07314): those of the labels that training windows show, because the network has learnt these. A
       class that training never shows stays as it is.
    3. ``smooth``: they are averaged over neighbours with Gaussian weights, only within the window, so that
       no pixels are read that the network does not read.
    4. ``expert``: the result is the geometric mean of them and an expert's posteriors (logarithmic opinion
       pool; Genest and Zidek, Statistical Science 1:114, 1986).

    Attributes:
        views_at_once: whether the network sees all views of the windows as one batch, which takes ``views``
            times the memory. An exported file holds the network once then, not ``views`` times.

    Args:
        in_channels: bands per modality, as the scene holds them.
        num_classes: K.
        views: 1, or 8 for all symmetries of the square.
        prior_power: t, 0 to 1.
        smooth: standard deviation of the Gaussian in pixels; 0 for no smoothing.
        expert: config of the expert, such as a ``DiscriminantExpert``; None for no expert.

    Raises:
        InputError: if an option is out of range.
    """

    frequencies: Tensor
    views_at_once = False

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        views: int = 1,
        prior_power: float = 0.0,
        smooth: float = 0.0,
        expert: dict | None = None,
    ) -> None:
        super().__init__()
        if views not in (1, SYMMETRIES):
            raise InputError(f"Posterior: views is {views}, expected 1 or {SYMMETRIES}")
        if not 0 <= prior_power <= 1 or smooth < 0:
            raise InputError(
                f"Posterior: prior_power is {prior_power} and smooth {smooth}; expected 0 to 1, and 0 or more"
            )
        self.views, self.prior_power, self.smooth = views, prior_power, smooth
        if not isinstance(expert, Mapping | None):
            raise InputError(
                f"Posterior: expert is {expert!r}, expected a config such as dict(type='DiscriminantExpert')"
            )
        shapes = {"in_channels": dict(in_channels), "num_classes": num_classes}
        self.expert = MODELS.build(expert, default_args=shapes) if expert else None
        self.register_buffer("frequencies", torch.full((num_classes,), 1 / num_classes))

    def fit(
        self,
        pixels: Mapping[str, NDArray[np.float32]],
        labels: NDArray[np.int64],
        frequencies: NDArray[np.float64],
        names: Mapping[str, Sequence[str]] | None = None,
        features: Collection[str] = (),
    ) -> None:
        """Keep the class frequencies and fit the expert.

        Args:
            pixels: the training pixels' bands, ``(n, C_m)`` per modality, NaN where a value is missing.
            labels: their classes, ``(n,)``, 1..K.
            frequencies: of the classes in the labels that training windows show, ``(K,)``.
            names: of the bands per modality, for messages.
            features: the modalities whose bands are an encoder's features.

        Raises:
            InputError: if the expert's pretreatment cannot be fitted.
        """
        self.frequencies.copy_(torch.from_numpy(frequencies))
        if self.expert is not None:
            self.expert.fit(pixels, labels, names, features)

    def forward(
        self,
        logits: Callable[[Mapping[str, Tensor]], Tensor],
        inputs: Mapping[str, Tensor],
        bands: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Return logarithms of posteriors, ``(B, K, S, S)``.

        Args:
            logits: takes windows ``(B, C_m, S, S)`` per modality, returns logits ``(B, K, S, S)``.
            inputs: the windows.
            bands: the windows before pretreatment, for the expert.

        Raises:
            ValueError: if there is an expert but no bands.
        """
        posterior = self._over_views(logits, inputs)
        divisor = torch.where(self.frequencies > 0, self.frequencies, 1.0) ** self.prior_power
        posterior = posterior / divisor.view(-1, 1, 1)
        posterior = _smoothed(_normalised(posterior), self.smooth)
        if self.expert is not None:
            if bands is None:
                raise ValueError("bands is None: the expert reads the windows before their pretreatment")
            posterior = _normalised((posterior * self.expert(bands).clamp(min=SMALLEST)).sqrt())
        return posterior.clamp(min=SMALLEST).log()

    def _over_views(
        self, logits: Callable[[Mapping[str, Tensor]], Tensor], inputs: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the mean of the views' posteriors, ``(B, K, S, S)``."""
        symmetries = list(_symmetries())[: self.views]

        def turned(turn: Move) -> dict[str, Tensor]:
            return {m: turn(x) for m, x in inputs.items()}

        if self.views_at_once:
            copies = [turned(turn) for turn, _ in symmetries]
            joined = {m: torch.cat([copy[m] for copy in copies]) for m in inputs}
            scores = list(logits(joined).unflatten(0, (self.views, -1)))
        else:
            scores = [logits(turned(turn)) for turn, _ in symmetries]
        views = [back(x.float().softmax(1)) for (_, back), x in zip(symmetries, scores, strict=True)]
        return torch.stack(views).mean(0)


def _normalised(x_BKSS: Tensor) -> Tensor:
    return x_BKSS / x_BKSS.sum(1, keepdim=True)


Move = Callable[[Tensor], Tensor]


def _symmetries() -> Iterator[tuple[Move, Move]]:
    """Yield the eight symmetries of the square with their inverses; the first changes nothing."""
    for mirrored in (False, True):
        for turns in range(4):

            def turn(x: Tensor, turns: int = turns, mirrored: bool = mirrored) -> Tensor:
                x = torch.rot90(x, turns, (-2, -1))
                return (x.flip(-1) if mirrored else x).contiguous()

            def turn_back(x: Tensor, turns: int = turns, mirrored: bool = mirrored) -> Tensor:
                return torch.rot90(x.flip(-1) if mirrored else x, -turns, (-2, -1))

            yield turn, turn_back


def _smoothed(x_BKSS: Tensor, deviation: float) -> Tensor:
    """Average each channel with Gaussian weights over pixels within the window."""
    if deviation == 0:
        return x_BKSS
    reach = math.ceil(3 * deviation)
    offsets = torch.arange(-reach, reach + 1, dtype=x_BKSS.dtype, device=x_BKSS.device)
    kernel = torch.exp(-(offsets**2) / (2 * deviation**2))

    def along_both(x: Tensor) -> Tensor:
        flat = x.reshape(-1, 1, *x.shape[-2:])
        flat = nn.functional.conv2d(flat, kernel.view(1, 1, -1, 1), padding=(reach, 0))
        return nn.functional.conv2d(flat, kernel.view(1, 1, 1, -1), padding=(0, reach)).view_as(x)

    return along_both(x_BKSS) / along_both(torch.ones_like(x_BKSS[:1, :1]))


ABSENT = -1e4  # bias of a class without training pixels: probability 0 without an infinite logit


@MODELS.register_module()
class DiscriminantExpert(nn.Module):
    """Class posteriors from linear discriminants of a pixel's bands, those of all modalities side by side.

    The covariance is shrunk by Ledoit and Wolf (JMVA 88:365, 2004). Its state and its pretreatment's are
    stored with the weights.

    Args:
        in_channels: bands per modality, as the scene holds them.
        num_classes: K.
        mean: side of the square, in pixels, over which bands are averaged when it predicts; odd. Pixels that
            are missing or outside the window do not count. It is fitted on single pixels.
        pretreatment: of the averaged bands, as for ``RasterPreprocessor``.

    Raises:
        InputError: if ``mean`` is not an odd number of pixels.
    """

    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        mean: int = 1,
        pretreatment: Mapping[str, Sequence[dict]] | None = None,
    ) -> None:
        super().__init__()
        if mean < 1 or mean % 2 == 0:
            raise InputError(f"DiscriminantExpert: mean is {mean}, expected an odd number of pixels")
        self.modalities, self.mean = tuple(in_channels), mean
        self.preprocessor = MODELS.build(
            {"type": "RasterPreprocessor", "in_channels": dict(in_channels), "pretreatment": pretreatment}
        )
        self.register_buffer("weight", torch.zeros(num_classes, sum(self.preprocessor.out_channels.values())))
        self.register_buffer("bias", torch.zeros(num_classes))

    def fit(
        self,
        pixels: Mapping[str, NDArray[np.float32]],
        labels: NDArray[np.int64],
        names: Mapping[str, Sequence[str]] | None = None,
        features: Collection[str] = (),
    ) -> None:
        """Fit scikit-learn's LDA on bands ``(n, C_m)`` per modality with classes ``(n,)``, 1..K.

        Missing values (NaN) are imputed as when it predicts. ``names`` and ``features`` are as for Posterior.
        """
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        treated = self.preprocessor.fit(pixels, labels, names, features)
        bands = np.concatenate([treated[m] for m in self.modalities], axis=1).astype(np.float64)
        lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(bands, labels)
        coefficients, intercepts = lda.coef_, lda.intercept_
        if len(lda.classes_) == 2:  # scikit-learn gives only the difference of the two
            coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
            intercepts = np.concatenate([np.zeros_like(intercepts), intercepts])
        self.weight.zero_()
        self.bias.fill_(ABSENT)
        present = torch.from_numpy(lda.classes_ - 1)
        self.weight[present] = torch.from_numpy(coefficients).to(self.weight)
        self.bias[present] = torch.from_numpy(intercepts).to(self.bias)

    def forward(self, bands: Mapping[str, Tensor]) -> Tensor:
        """Return posteriors ``(B, K, S, S)`` of windows ``(B, C_m, S, S)`` per modality, not pretreated."""
        with torch.autocast(self.weight.device.type, enabled=False):  # exact, as in RasterPreprocessor
            means = {m: _box_mean(bands[m].float(), self.mean) for m in self.modalities}
            treated = self.preprocessor.transform(means)
            x = torch.cat([treated[m] for m in self.modalities], dim=1)
            return F.conv2d(x, self.weight[:, :, None, None], self.bias).softmax(1)


def _box_mean(x_BCSS: Tensor, side: int) -> Tensor:
    """Average each band over squares, over the pixels that are not missing; NaN if all are."""
    if side == 1:
        return x_BCSS
    present = ~x_BCSS.isnan()
    total, count = (
        F.avg_pool2d(x, side, stride=1, padding=side // 2, divisor_override=1)
        for x in (torch.where(present, x_BCSS, 0.0), present.to(x_BCSS))
    )
    return torch.where(count > 0, total / count, torch.nan)
