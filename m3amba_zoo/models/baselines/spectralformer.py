"""SpectralFormer (arXiv 2107.02988): a transformer along the bands of one modality.

Shape suffixes: N patches, T tokens, E embed_dim, C bands, P rows and columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.axes import undecayed, writes_classes
from m3amba_zoo.models.baselines.sequences import EncoderLayer
from m3amba_zoo.models.patch_classifier import PatchClassifier
from m3amba_zoo.models.window_classifier import FUSED
from m3amba_zoo.registry import MODELS


class GroupwiseEmbedding(nn.Module):
    """GSE: one token per band, a linear map of the band and its neighbours in all pixels of the patch.

    Args:
        neighbours: n, odd; bands per group. The bands at both ends are repeated to fill their groups.
        pixels: P P.
        embed_dim: E.
    """

    def __init__(self, neighbours: int, pixels: int, embed_dim: int) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.proj = nn.Linear(neighbours * pixels, embed_dim)

    def forward(self, x_NCPP: Tensor) -> Tensor:
        """Return ``(N, C, E)``."""
        half = self.neighbours // 2
        bands = F.pad(x_NCPP.flatten(2).transpose(1, 2), (half, half), mode="replicate")
        groups = bands.unfold(2, self.neighbours, 1)  # (N, P P, C, n)
        return self.proj(groups.transpose(1, 2).flatten(2))


@MODELS.register_module()
class SpectralFormer(PatchClassifier):
    """SpectralFormer, its patch-wise form.

    Paper: D. Hong, Z. Han, J. Yao, L. Gao, B. Zhang, A. Plaza, J. Chanussot, "SpectralFormer: Rethinking
    Hyperspectral Image Classification with Transformers", IEEE TGRS 60, 2022 (arXiv 2107.02988). Group-wise
    spectral embedding (GSE), a class token, learned positions, ``depth`` encoder layers; from the third layer
    on, cross-layer adaptive fusion (CAF) lets each read ``w_1 z^(l) + w_2 z^(l-2)`` with two learned numbers
    per layer, z^(l) being what l layers give. It reads only the first modality. We found no count of
    parameters; this has 108,925 for Houston 2013 (144 bands, 15 classes).

    Deviations:
        - The bands at both ends are repeated to fill their groups.
        - CAF's two numbers are the same for all tokens and start as 1/2 each.
        - Other modalities are ignored: the paper's network is for one.

    Args:
        in_channels, num_classes, patch: as for every PatchClassifier.
        neighbours: n, odd; bands per group.
        embed_dim: E.
        depth: number of layers.
        heads: of the attention.
        head_dim: length of each head's queries.
        mlp_dim: hidden units of a layer's MLP.
        dropout: after the position embedding, in attention and MLP.
        **base: data_preprocessor, loss and modalities, as for every PatchClassifier.

    Raises:
        InputError: if ``neighbours`` is even or below 1.
    """

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        patch: int = 7,
        neighbours: int = 3,
        embed_dim: int = 64,
        depth: int = 5,
        heads: int = 4,
        head_dim: int = 16,
        mlp_dim: int = 8,
        dropout: float = 0.1,
        **base: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, patch, **base)
        if neighbours < 1 or neighbours % 2 == 0:
            raise InputError(f"SpectralFormer: neighbours is {neighbours}, expected an odd number of bands")
        spectral = next(iter(self.in_channels))
        self.read = [spectral]
        bands = self.treated_channels[spectral]
        self.embed = GroupwiseEmbedding(neighbours, patch**2, embed_dim)
        self.class_token = undecayed(nn.Parameter(torch.zeros(1, 1, embed_dim)))
        self.position = undecayed(nn.Parameter(torch.empty(1, bands + 1, embed_dim).normal_(std=0.02)))
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(embed_dim, heads, head_dim, mlp_dim, dropout) for _ in range(depth)
        )
        self.fusion = undecayed(nn.Parameter(torch.full((max(depth - 2, 0), 2), 0.5)))
        self.classifier = writes_classes(
            nn.Sequential(nn.LayerNorm(embed_dim), nn.Linear(embed_dim, num_classes))
        )

    def patch_logits(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``fused`` logits ``(N, K)``."""
        tokens = self.embed(inputs[self.read[0]])
        cls = self.class_token.expand(tokens.shape[0], -1, -1)
        x = self.dropout(torch.cat([cls, tokens], dim=1) + self.position)
        levels = [x]  # z^(0), z^(1), ...
        for index, layer in enumerate(self.layers):
            if index >= 2:
                own, earlier = self.fusion[index - 2]
                x = own * x + earlier * levels[index - 2]
            x = layer(x)
            levels.append(x)
        return {FUSED: self.classifier(x[:, 0])}
