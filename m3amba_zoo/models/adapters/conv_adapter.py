"""An adapter that sees each pixel's neighbourhood before the tokens are scanned."""

from __future__ import annotations

from torch import Tensor, nn

from m3amba_zoo.models.adapters.adapter import TokenAdapter
from m3amba_zoo.registry import ADAPTERS


@ADAPTERS.register_module()
class ConvAdapter(TokenAdapter):
    """``LayerNorm(ReLU(BN(Conv3x3(...))))`` from the bands to tokens: the local texture that a scan lacks.

    Args:
        in_channels: C.
        embed_dim: E.
        window: S.
        depth: number of convolutions; each sees one pixel further.
    """

    def __init__(self, in_channels: int, embed_dim: int, window: int, depth: int = 2) -> None:
        super().__init__(in_channels, embed_dim, window)
        layers: list[nn.Module] = []
        for channels in (in_channels, *[embed_dim] * (depth - 1)):
            layers += [
                nn.Conv2d(channels, embed_dim, 3, padding=1, bias=False),
                nn.BatchNorm2d(embed_dim),
                nn.ReLU(),
            ]
        self.convolutions = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(embed_dim)

    def tokens(self, x_BCSS: Tensor) -> Tensor:
        """Return ``(B, S, S, E)``."""
        return self.norm(self.convolutions(x_BCSS).permute(0, 2, 3, 1))
