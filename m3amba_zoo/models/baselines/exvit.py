"""ExViT (IEEE TGRS 2023): one ViT per modality, with shared positions and attention across modalities.

Shape suffixes: N patches, T = P P + 1 tokens, E embed_dim, C bands, P rows and columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from m3amba_zoo.models.axes import reads_bands, undecayed, writes_bands, writes_classes
from m3amba_zoo.models.baselines.sequences import Attention, EncoderLayer
from m3amba_zoo.models.patch_classifier import PairClassifier
from m3amba_zoo.models.window_classifier import FUSED
from m3amba_zoo.registry import MODELS


def _separable(in_channels: int, out_channels: int) -> nn.Sequential:
    """A depthwise 3 x 3 and a pointwise convolution, each with BatchNorm and GELU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
        nn.BatchNorm2d(in_channels),
        nn.GELU(),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.GELU(),
    )


@MODELS.register_module()
class ExViT(PairClassifier):
    """ExViT, the extended vision transformer.

    Paper: J. Yao, B. Zhang, C. Li, D. Hong, J. Chanussot, "Extended Vision Transformer (ExViT) for Land Use
    and Land Cover Classification: A Multimodal Deep Learning Framework", IEEE TGRS 61, 2023. One branch per
    modality: separable convolutions, one token per pixel, a class token, positions that the branches share,
    encoder layers. Cross-modality attention (CMA) then lets each branch's tokens read the other's, and the
    scores of both branches' tokens are summed (decision-level fusion). We know of no count of parameters;
    this has 310,425 for Houston 2013 (144 and 1 bands, 15 classes).

    Deviations:
        - Written from the paper's abstract and outline; details that these leave open are ours: two separable
          convolutions per branch, one layer of CMA with a residual after all encoder layers, scores from the
          class token plus the mean of the pixels' tokens.
        - Each branch has encoder layers of its own; only the positions are shared.
        - With one modality there is no CMA.

    Args:
        in_channels, num_classes, patch: as for every PairClassifier.
        embed_dim: E.
        depth: encoder layers of each branch.
        heads: of the attention.
        head_dim: length of each head's queries.
        mlp_dim: hidden units of a layer's MLP.
        dropout: after the position embedding, in attention and MLP.
        **base: data_preprocessor, loss and modalities, as for every PairClassifier.
    """

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        patch: int = 7,
        embed_dim: int = 64,
        depth: int = 6,
        heads: int = 4,
        head_dim: int = 16,
        mlp_dim: int = 32,
        dropout: float = 0.1,
        **base: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, patch, **base)
        names = self.pair_names
        self.stems = nn.ModuleDict()
        for name, modalities, bands in zip(names, self.pair, self.pair_channels, strict=True):
            first = _separable(bands, embed_dim)
            depthwise, norm, _, pointwise, *_ = first
            # the depthwise convolution and its norm have one value per band
            writes_bands(depthwise, *modalities)
            writes_bands(norm, *modalities)
            reads_bands(pointwise, *modalities)
            self.stems[name] = nn.Sequential(first, _separable(embed_dim, embed_dim))
        self.class_tokens = nn.ParameterDict(
            {name: undecayed(nn.Parameter(torch.zeros(1, 1, embed_dim))) for name in names}
        )
        self.position = undecayed(nn.Parameter(torch.empty(1, patch**2 + 1, embed_dim).normal_(std=0.02)))
        self.dropout = nn.Dropout(dropout)
        layer = (embed_dim, heads, head_dim, mlp_dim, dropout)
        self.encoders = nn.ModuleDict(
            {name: nn.Sequential(*(EncoderLayer(*layer) for _ in range(depth))) for name in names}
        )
        self.crossing = nn.ModuleDict(
            {name: Attention(embed_dim, heads, head_dim, dropout) for name in names if len(names) == 2}
        )
        self.classifiers = nn.ModuleDict(
            {
                name: writes_classes(
                    nn.Sequential(nn.LayerNorm(embed_dim), nn.Linear(embed_dim, num_classes))
                )
                for name in names
            }
        )

    def pair_logits(self, spectral: Tensor, auxiliary: Tensor | None) -> dict[str, Tensor]:
        """Return ``fused`` logits ``(N, K)``."""
        given = [spectral] if auxiliary is None else [spectral, auxiliary]
        tokens = {}
        for (name, stem), bands in zip(self.stems.items(), given, strict=True):
            pixels = stem(bands).flatten(2).transpose(1, 2)
            cls = self.class_tokens[name].expand(pixels.shape[0], -1, -1)
            x = self.dropout(torch.cat([cls, pixels], dim=1) + self.position)
            tokens[name] = self.encoders[name](x)
        if self.crossing:
            first, second = tokens
            tokens = {
                first: tokens[first] + self.crossing[first](tokens[first], tokens[second]),
                second: tokens[second] + self.crossing[second](tokens[second], tokens[first]),
            }
        scores = [self.classifiers[name](x[:, 0] + x[:, 1:].mean(1)) for name, x in tokens.items()]
        return {FUSED: torch.stack(scores).sum(0)}
