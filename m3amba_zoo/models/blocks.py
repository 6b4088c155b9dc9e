"""The residual blocks of M3amba: SS2D or Cross-SS2D, then an MLP, each behind a LayerNorm."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from m3amba_zoo.models.map_linear import MapLinear
from m3amba_zoo.models.ss2d import SS2D, CrossSS2D

MLP_RATIO = 4


class DropPath(nn.Module):
    """Stochastic depth (arXiv 1603.09382): drop a residual branch for a whole sample, in training only."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Zero whole samples of ``(B, ...)`` with probability ``rate`` and scale the rest up."""
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        mask = torch.empty(x.shape[0], *[1] * (x.ndim - 1), device=x.device, dtype=x.dtype)
        return x * mask.bernoulli_(keep) / keep

    def extra_repr(self) -> str:
        """Show the rate."""
        return f"rate={self.rate:.3f}"


class Block(nn.Module):
    """``x + DropPath(SS2D(LN1 x))``, then ``x + DropPath(MLP(LN2 x))``, on ``(B, H, W, E)``."""

    scan_class: type[SS2D] = SS2D

    def __init__(self, embed_dim: int, d_state: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dim)
        self.scan = self.scan_class(embed_dim, d_state)
        self.norm2 = nn.LayerNorm(embed_dim)
        self.mlp = nn.Sequential(
            MapLinear(embed_dim, MLP_RATIO * embed_dim),
            nn.GELU(),
            MapLinear(MLP_RATIO * embed_dim, embed_dim),
        )
        self.drop_path = DropPath(drop_path)

    def forward(self, x_BHWE: Tensor) -> Tensor:
        """Return ``(B, H, W, E)``."""
        x = x_BHWE + self.drop_path(self.scan(self.norm1(x_BHWE)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class CrossBlock(Block):
    """A Block whose scan also reads the fused stream z, through the same LayerNorm."""

    scan_class = CrossSS2D

    def forward(self, x_BHWE: Tensor, z_BHWE: Tensor) -> Tensor:  # type: ignore[override]
        """Return x's new value ``(B, H, W, E)``."""
        x = x_BHWE + self.drop_path(self.scan(self.norm1(x_BHWE), self.norm1(z_BHWE)))
        return x + self.drop_path(self.mlp(self.norm2(x)))
