"""The encoder layer of a ViT (arXiv 2010.11929), for the baselines that build on it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention of tokens to themselves or to others, after a LayerNorm.

    Args:
        embed_dim: E.
        heads: number of heads.
        head_dim: length of each head's queries.
        dropout: of the output.
    """

    def __init__(self, embed_dim: int, heads: int, head_dim: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(embed_dim)
        self.query = nn.Linear(embed_dim, heads * head_dim, bias=False)
        self.key_value = nn.Linear(embed_dim, 2 * heads * head_dim, bias=False)
        self.out = nn.Sequential(nn.Linear(heads * head_dim, embed_dim), nn.Dropout(dropout))

    def forward(self, x_NTE: Tensor, other_NTE: Tensor | None = None) -> Tensor:
        """Return ``(N, T, E)``: what x's tokens read from ``other`` (x itself by default)."""
        x = self.norm(x_NTE)
        source = x if other_NTE is None else self.norm(other_NTE)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(x), *self.key_value(source).chunk(2, dim=-1))
        )
        return self.out(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class EncoderLayer(nn.Module):
    """``x + Attention(x)``, then ``x + MLP(LN x)``, on tokens ``(N, T, E)``."""

    def __init__(self, embed_dim: int, heads: int, head_dim: int, mlp_dim: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(embed_dim, heads, head_dim, dropout)
        self.mlp = nn.Sequential(
            nn.LayerNorm(embed_dim),
            nn.Linear(embed_dim, mlp_dim),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(mlp_dim, embed_dim),
            nn.Dropout(dropout),
        )

    def forward(self, x_NTE: Tensor) -> Tensor:
        """Return ``(N, T, E)``."""
        x = x_NTE + self.attention(x_NTE)
        return x + self.mlp(x)
