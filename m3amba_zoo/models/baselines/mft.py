"""MFT (arXiv 2203.16952): a transformer whose class token comes from the other modality.

Shape suffixes: N patches, T tokens, E embed_dim, C channels, P rows and columns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.axes import reads_bands, undecayed, writes_classes
from m3amba_zoo.models.patch_classifier import PairClassifier
from m3amba_zoo.models.window_classifier import FUSED
from m3amba_zoo.registry import MODELS

SPECTRAL_FILTERS, SPECTRAL_KERNEL, GROUPS = 8, 9, 4


class HetConv(nn.Module):
    """A grouped 3 x 3 and a pointwise convolution, summed: heterogeneous kernels (arXiv 1903.04120)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(in_channels, out_channels, 3, padding=1, groups=GROUPS)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x_NCPP: Tensor) -> Tensor:
        """Return ``(N, out_channels, P, P)``."""
        return self.spatial(x_NCPP) + self.pointwise(x_NCPP)


class SpectralStem(nn.Module):
    """A 3D convolution along bands and pixels, then a HetConv to E channels, each with BatchNorm and ReLU."""

    def __init__(self, bands: int, embed_dim: int) -> None:
        super().__init__()
        depth = min(SPECTRAL_KERNEL, bands)  # a sensor of few bands has fewer than the paper's kernel
        self.spectral = nn.Sequential(
            nn.Conv3d(1, SPECTRAL_FILTERS, (depth, 3, 3), padding=(0, 1, 1)),
            nn.BatchNorm3d(SPECTRAL_FILTERS),
            nn.ReLU(),
        )
        self.spatial = nn.Sequential(
            HetConv(SPECTRAL_FILTERS * (bands - depth + 1), embed_dim), nn.BatchNorm2d(embed_dim), nn.ReLU()
        )

    def forward(self, x_NCPP: Tensor) -> Tensor:
        """Return ``(N, E, P, P)``."""
        return self.spatial(self.spectral(x_NCPP[:, None]).flatten(1, 2))


class Tokenizer(nn.Module):
    """``softmax(X W_a)^T (X W_b)`` over the pixels X ``(P P, E)``: T tokens of length E."""

    def __init__(self, embed_dim: int, tokens: int) -> None:
        super().__init__()
        self.attention = nn.Linear(embed_dim, tokens, bias=False)
        self.value = nn.Linear(embed_dim, embed_dim, bias=False)

    def forward(self, x_NEPP: Tensor) -> Tensor:
        """Return ``(N, T, E)``."""
        pixels = x_NEPP.flatten(2).transpose(1, 2)
        return self.attention(pixels).softmax(1).transpose(1, 2) @ self.value(pixels)


class CrossPatchAttention(nn.Module):
    """mCrossPA: multi-head attention with queries of the class token alone."""

    def __init__(self, embed_dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(embed_dim, embed_dim)
        self.key_value = nn.Linear(embed_dim, 2 * embed_dim)
        self.out = nn.Linear(embed_dim, embed_dim)

    def forward(self, x_NTE: Tensor) -> Tensor:
        """Return what the class token reads, ``(N, 1, E)``."""
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(x_NTE[:, :1]), *self.key_value(x_NTE).chunk(2, dim=-1))
        )
        answer = F.scaled_dot_product_attention(query, key, value, dropout_p=self.dropout * self.training)
        return self.out(answer.transpose(1, 2).flatten(2))


class MFTBlock(nn.Module):
    """``cls + mCrossPA(LN x)``, then ``x + MLP(LN x)`` on all tokens."""

    def __init__(self, embed_dim: int, heads: int, mlp_dim: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(embed_dim), nn.LayerNorm(embed_dim)
        self.attention = CrossPatchAttention(embed_dim, heads, dropout)
        self.mlp = nn.Sequential(
            nn.Linear(embed_dim, mlp_dim),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(mlp_dim, embed_dim),
            nn.Dropout(dropout),
        )

    def forward(self, x_NTE: Tensor) -> Tensor:
        """Return ``(N, T, E)``."""
        cls = x_NTE[:, :1] + self.attention(self.norm1(x_NTE))
        x = torch.cat([cls, x_NTE[:, 1:]], dim=1)
        return x + self.mlp(self.norm2(x))


@MODELS.register_module()
class MFT(PairClassifier):
    """MFT, the multimodal fusion transformer.

    Paper: S. K. Roy, A. Deria, D. Hong, B. Rasti, A. Plaza, J. Chanussot, "Multimodal Fusion Transformer for
    Remote Sensing Image Classification", IEEE TGRS 61, 2023 (arXiv 2203.16952). The spectral modality passes
    through a 3D convolution and a HetConv and is tokenised; the other modality passes through a 3 x 3
    convolution and becomes the class token. Encoder blocks with multi-head cross patch attention and a linear
    classifier of the class token follow. The authors' notebook counts 313,071 parameters for Houston 2013
    (144 and 1 bands, 15 classes); this has 403,951.

    Deviations:
        - Kernels along the spectrum are as long as the spectrum if it has fewer than 9 bands.
        - The HetConv has 4 groups for any number of bands, 16 in the authors' notebook on Houston 2013.
        - Queries, keys and values are linear maps of whole tokens (64 numbers); in the notebook they are of
          each head's eighth of a token, the same map for all heads, and have 64 numbers a head.
        - Attention is added to the class token only; the other tokens are changed by the MLP only.
        - With one modality the class token is a learned constant, as in a ViT.

    Args:
        in_channels, num_classes, patch: as for every PairClassifier.
        embed_dim: E, a multiple of ``heads`` and of 4.
        tokens: number of tokens of the spectral modality.
        depth: number of blocks.
        heads: of the attention.
        mlp_dim: hidden units of each block's MLP.
        dropout: after the position embedding, in attention and MLP.
        **base: data_preprocessor, loss and modalities, as for every PairClassifier.

    Raises:
        InputError: if ``embed_dim`` is not a multiple as above.
    """

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        patch: int = 11,
        embed_dim: int = 64,
        tokens: int = 4,
        depth: int = 2,
        heads: int = 8,
        mlp_dim: int = 512,
        dropout: float = 0.1,
        **base: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, patch, **base)
        if embed_dim % math.lcm(heads, GROUPS):
            raise InputError(
                f"MFT: embed_dim is {embed_dim}, expected a multiple of {heads} heads and of {GROUPS}"
            )
        bands, *others = self.pair_channels
        self.stem = SpectralStem(bands, embed_dim)
        self.tokenizer = Tokenizer(embed_dim, tokens)
        if not others:
            self.class_token = undecayed(nn.Parameter(torch.zeros(1, 1, embed_dim)))
        else:
            self.class_tokenizer = nn.Sequential(
                reads_bands(nn.Conv2d(others[0], embed_dim, 3, padding=1), *self.pair[1]),
                nn.BatchNorm2d(embed_dim),
                nn.GELU(),
                Tokenizer(embed_dim, 1),
            )
        self.position = undecayed(nn.Parameter(torch.empty(1, tokens + 1, embed_dim).normal_(std=0.02)))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(
            *(MFTBlock(embed_dim, heads, mlp_dim, dropout) for _ in range(depth)), nn.LayerNorm(embed_dim)
        )
        self.classifier = writes_classes(nn.Linear(embed_dim, num_classes))

    def pair_logits(self, spectral: Tensor, auxiliary: Tensor | None) -> dict[str, Tensor]:
        """Return ``fused`` logits ``(N, K)``."""
        tokens = self.tokenizer(self.stem(spectral))
        if auxiliary is None:
            cls = self.class_token.expand(tokens.shape[0], -1, -1)
        else:
            cls = self.class_tokenizer(auxiliary)
        x = self.blocks(self.dropout(torch.cat([cls, tokens], dim=1) + self.position))
        return {FUSED: self.classifier(x[:, 0])}
