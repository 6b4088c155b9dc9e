"""The simplest adapter: each pixel's bands, projected."""

from __future__ import annotations

from torch import Tensor

from m3amba_zoo.models.adapters.adapter import TokenAdapter
from m3amba_zoo.models.embed import ChannelLastEmbed
from m3amba_zoo.registry import ADAPTERS


@ADAPTERS.register_module()
class LinearAdapter(TokenAdapter):
    """``LayerNorm(Conv1x1(C -> E)(x))``: M3amba's tokens without its CLIP prior."""

    def __init__(self, in_channels: int, embed_dim: int, window: int) -> None:
        super().__init__(in_channels, embed_dim, window)
        self.token_embed = ChannelLastEmbed(in_channels, embed_dim)

    def tokens(self, x_BCSS: Tensor) -> Tensor:
        """Return ``(B, S, S, E)``."""
        return self.token_embed(x_BCSS)
