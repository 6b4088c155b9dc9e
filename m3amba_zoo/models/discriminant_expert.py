"""A shrinkage LDA inside a network: fitted on training pixels, never by gradients."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

ABSENT = -1e4  # a class without training pixels: no probability, and no infinity in a logarithm


class DiscriminantExpert(nn.Module):
    """Class posteriors of single pixels by linear discriminants.

    Reads the pretreated bands of all modalities side by side; the covariance is shrunk by Ledoit and Wolf
    (JMVA 88:365, 2004). Its state travels with the weights.

    Args:
        in_channels: bands by modality after pretreatment.
        num_classes: K.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, in_channels: Mapping[str, int], num_classes: int) -> None:
        super().__init__()
        self.modalities = tuple(in_channels)
        self.register_buffer("weight", torch.zeros(num_classes, sum(in_channels.values())))
        self.register_buffer("bias", torch.zeros(num_classes))

    def fit(self, pixels: Mapping[str, NDArray[np.float32]], labels: NDArray[np.int64]) -> None:
        """Fit scikit-learn's LDA on ``(n, C)`` by modality with classes ``(n,)``, 1..K."""
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        bands = np.concatenate([pixels[m] for m in self.modalities], axis=1).astype(np.float64)
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

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return posteriors ``(B, K, S, S)`` of windows ``(B, C_m, S, S)`` by modality."""
        x = torch.cat([inputs[m] for m in self.modalities], dim=1)
        return nn.functional.conv2d(x, self.weight[:, :, None, None], self.bias).softmax(1)
