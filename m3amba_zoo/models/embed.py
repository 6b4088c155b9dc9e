"""A 1 x 1 convolution to channels-last tokens with a LayerNorm."""

from __future__ import annotations

from torch import Tensor, nn

from m3amba_zoo.models.map_linear import MapLinear


class ChannelLastEmbed(nn.Module):
    """``LayerNorm(Conv1x1(C -> E)(x))`` from ``(B, C, H, W)`` to ``(B, H, W, E)``.

    The convolution is a Linear on the last axis, which is what a 1 x 1 convolution computes.
    """

    def __init__(self, in_channels: int, embed_dim: int) -> None:
        super().__init__()
        self.proj = MapLinear(in_channels, embed_dim)
        self.norm = nn.LayerNorm(embed_dim)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return ``(B, H, W, E)``."""
        return self.norm(self.proj(x_BCHW.permute(0, 2, 3, 1)))
