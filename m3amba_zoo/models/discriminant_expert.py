"""A shrinkage LDA inside a network: fitted on training pixels, never by gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import MODELS

ABSENT = -1e4  # a class without training pixels: no probability, and no infinity in a logarithm


@MODELS.register_module()
class DiscriminantExpert(nn.Module):
    """Class posteriors by linear discriminants of a pixel's bands, those of all modalities side by side.

    The covariance is shrunk by Ledoit and Wolf (JMVA 88:365, 2004). Its state, with that of its pretreatment,
    travels with the weights.

    Args:
        in_channels: bands by modality, as the scene holds them.
        num_classes: K.
        mean: side of the square, in pixels, over which bands are averaged when it predicts; odd. Missing
            pixels and what lies outside the window do not count. It is fitted on single pixels.
        pretreatment: of the averaged bands, as for ``RasterPreprocessor``.

    Raises:
        InputError: ``mean`` is not an odd number of pixels.
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

    def fit(self, pixels: Mapping[str, NDArray[np.float32]], labels: NDArray[np.int64]) -> None:
        """Fit scikit-learn's LDA on bands ``(n, C_m)`` by modality with classes ``(n,)``, 1..K."""
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        treated = self.preprocessor.fit(pixels, labels)
        bands = np.concatenate([treated[m] for m in self.modalities], axis=1).astype(np.float64)
        lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(bands, labels)
        coefficients, intercepts = lda.coef_, lda.intercept_
        if len(lda.classes_) == 2:  # scikit-learn gives the difference of the two
            coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
            intercepts = np.concatenate([np.zeros_like(intercepts), intercepts])
        self.weight.zero_()
        self.bias.fill_(ABSENT)
        present = torch.from_numpy(lda.classes_ - 1)
        self.weight[present] = torch.from_numpy(coefficients).to(self.weight)
        self.bias[present] = torch.from_numpy(intercepts).to(self.bias)

    def forward(self, bands: Mapping[str, Tensor]) -> Tensor:
        """Return posteriors ``(B, K, S, S)`` of windows ``(B, C_m, S, S)`` by modality, not pretreated."""
        with torch.autocast(self.weight.device.type, enabled=False):  # as for every pretreatment
            means = {m: _box_mean(bands[m].float(), self.mean) for m in self.modalities}
            treated = self.preprocessor.transform(means)
            x = torch.cat([treated[m] for m in self.modalities], dim=1)
            return F.conv2d(x, self.weight[:, :, None, None], self.bias).softmax(1)


def _box_mean(x_BCSS: Tensor, side: int) -> Tensor:
    """Average each band over squares, over the pixels that are there; NaN where none is."""
    if side == 1:
        return x_BCSS
    present = ~x_BCSS.isnan()
    total, count = (
        F.avg_pool2d(x, side, stride=1, padding=side // 2, divisor_override=1)
        for x in (torch.where(present, x_BCSS, 0.0), present.to(x_BCSS))
    )
    return torch.where(count > 0, total / count, torch.nan)
