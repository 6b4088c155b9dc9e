"""Layers over sequences that baselines share: the ViT's encoder layer, selective scans, the Mamba block.

Shape suffixes: B batch, L length, E embed_dim, I = 2E inner, N d_state, R = ceil(E / 16) dt_rank,
K sequences with parameters of their own; in the encoder layer N sequences of T tokens.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m3amba_zoo.models.ss2d import ScanParameters
from m3amba_zoo.ops import selective_scan

CAUSAL_KERNEL = 4  # steps of the Mamba block's convolution


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


class SequenceScan(nn.Module):
    """K selective scans side by side, each with its own delta, A, B, C and D.

    Args:
        inner: I.
        d_state: N.
        dt_rank: R.
        sequences: K.
    """

    def __init__(self, inner: int, d_state: int, dt_rank: int, sequences: int = 1) -> None:
        super().__init__()
        self.own = ScanParameters(inner, d_state, dt_rank, sequences)

    def forward(self, u_BKIL: Tensor) -> Tensor:
        """Scan K sequences ``(B, K, I, L)``; return the same shape."""
        own = self.own
        rows = torch.einsum("kri,bkil->bkrl", own.x_proj, u_BKIL)
        dt, B, C = rows.split((own.dt_rank, own.d_state, own.d_state), dim=2)
        delta = torch.einsum("kir,bkrl->bkil", own.dt_weight, dt)
        # the channels of one sequence share B and C: one group of channels per sequence
        y = selective_scan(
            u_BKIL.flatten(1, 2),
            delta.flatten(1, 2),
            own.A.flatten(0, 1),
            B,
            C,
            own.D.flatten(),
            own.dt_bias.flatten(),
        )
        return y.view_as(u_BKIL)


class BothWaysScan(SequenceScan):
    """The sum of two scans of a sequence, from its start and from its end, each with its own parameters."""

    def __init__(self, inner: int, d_state: int, dt_rank: int) -> None:
        super().__init__(inner, d_state, dt_rank, sequences=2)

    def forward(self, u_BIL: Tensor) -> Tensor:
        """Return ``(B, I, L)``."""
        ahead, back = super().forward(torch.stack((u_BIL, u_BIL.flip(-1)), dim=1)).unbind(1)
        return ahead + back.flip(-1)


class Mamba(nn.Module):
    """The Mamba block (arXiv 2312.00752, figure 3), without norm and residual.

    ``Linear(E -> 2I)``, causal depthwise convolution, SiLU, selective scan, gate, ``Linear(I -> E)``.

    Args:
        embed_dim: E.
        d_state: N.
    """

    def __init__(self, embed_dim: int, d_state: int = 16) -> None:
        super().__init__()
        inner = 2 * embed_dim
        self.in_proj = nn.Linear(embed_dim, 2 * inner, bias=False)
        self.conv = nn.Conv1d(inner, inner, CAUSAL_KERNEL, groups=inner)
        self.scan = SequenceScan(inner, d_state, dt_rank=math.ceil(embed_dim / 16))
        self.out_proj = nn.Linear(inner, embed_dim, bias=False)

    def forward(self, x_BLE: Tensor) -> Tensor:
        """Return ``(B, L, E)``; position t depends on positions up to t."""
        u, gate = self.in_proj(x_BLE).chunk(2, dim=-1)
        past = self.conv.kernel_size[0] - 1
        u = F.silu(self.conv(F.pad(u.transpose(1, 2), (past, 0))))
        y = self.scan(u[:, None])[:, 0].transpose(1, 2)
        return self.out_proj(y * F.silu(gate))
