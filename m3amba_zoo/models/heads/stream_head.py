"""The classification head of one stream."""

from __future__ import annotations

from torch import Tensor, nn

from m3amba_zoo.models.map_linear import MapLinear
from m3amba_zoo.registry import HEADS


@HEADS.register_module()
class StreamHead(nn.Module):
    """``Conv1x1(E -> classes)(LayerNorm(x))`` on ``(B, H, W, E)`` tokens.

    Args:
        embed_dim: E.
        num_classes: K.
    """

    def __init__(self, embed_dim: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(embed_dim)
        self.classify = MapLinear(embed_dim, num_classes)

    def forward(self, x_BHWE: Tensor) -> Tensor:
        """Return logits ``(B, K, H, W)``."""
        return self.classify(self.norm(x_BHWE)).permute(0, 3, 1, 2)
