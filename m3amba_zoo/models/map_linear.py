"""A linear layer on the channels of a map that runs as a convolution on a CPU, for speed."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# dtypes that run as a convolution on a CPU; queried here because torch.compile cannot trace the query
CONVOLVED = (torch.float32, torch.bfloat16) if torch.backends.mkldnn.is_available() else ()


def map_linear(x_BHWC: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x weight^T + bias`` of maps ``(B, H, W, C)``; weight ``(C_out, C)``.

    On a CPU it runs as a 1 x 1 convolution: torch runs convolutions with oneDNN and matrix products with MKL,
    which is half as fast on AMD processors (``docs/performance.md``). Channels-last maps are not copied.
    """
    if x_BHWC.device.type == "cpu" and x_BHWC.dtype in CONVOLVED:
        return F.conv2d(x_BHWC.permute(0, 3, 1, 2), weight[:, :, None, None], bias).permute(0, 2, 3, 1)
    return F.linear(x_BHWC, weight, bias)


class MapLinear(nn.Linear):
    """``nn.Linear`` for maps ``(B, H, W, C)``, computed by :func:`map_linear`."""

    def forward(self, input: Tensor) -> Tensor:
        """Return ``(B, H, W, C_out)``."""
        return map_linear(input, self.weight, self.bias)
