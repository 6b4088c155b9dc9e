"""A head that starts from the names of the classes, by the text side of a CLIP model."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.axes import writes_classes
from m3amba_zoo.models.encoders.clip import PROMPT, text_features
from m3amba_zoo.models.encoders.clip_loading import OPENAI
from m3amba_zoo.models.map_linear import MapLinear
from m3amba_zoo.registry import HEADS

TEMPERATURE = 0.07  # of the cosines at the start, as in CLIP's training


@HEADS.register_module()
class TextHead(nn.Module):
    """``scale * cos(Conv1x1(E -> F)(LayerNorm(x)), w_k)``, where w_k starts from the class's name.

    Args:
        embed_dim: E.
        num_classes: K.
        classes: K names, in the order of the labels.
        prompts: see ``text_features``.
        regularise: weight of ``mean over k of 1 - cos(w_k, text_k)`` in the loss, which holds the classes
            near their names; 0 lets them go.
        name, weights, seed, cache_dir: of the CLIP model, as for ``ClipImageEncoder``.

    Raises:
        InputError: if there are not K names, ``regularise`` is negative, or as ``text_features``.
    """

    texts: Tensor

    def __init__(
        self,
        embed_dim: int,
        num_classes: int,
        classes: Sequence[str],
        prompts: Sequence[str] | str = PROMPT,
        regularise: float = 0.0,
        name: str = "ViT-B-32-quickgelu",
        weights: str = OPENAI,
        seed: int = 0,
        cache_dir: str | None = None,
    ) -> None:
        super().__init__()
        if len(classes) != num_classes:
            raise InputError(
                f"TextHead: classes has {len(classes)} names, expected {num_classes}, one a class"
            )
        if regularise < 0:
            raise InputError(f"TextHead: regularise is {regularise}, expected 0 or more")
        texts = text_features(classes, prompts, name, weights, seed, cache_dir)
        self.register_buffer("texts", texts, persistent=False)
        self.regularise = regularise
        self.norm = nn.LayerNorm(embed_dim)
        self.embed = MapLinear(embed_dim, texts.shape[1])
        self.classify = writes_classes(nn.Linear(texts.shape[1], num_classes, bias=False))
        self.classify.weight.data.copy_(texts)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(TEMPERATURE)))

    def forward(self, x_BHWE: Tensor) -> Tensor:
        """Return logits ``(B, K, H, W)``."""
        embedded = F.normalize(self.embed(self.norm(x_BHWE)), dim=-1)
        cosines = F.linear(embedded, F.normalize(self.classify.weight, dim=-1))
        return (self.log_scale.exp() * cosines).permute(0, 3, 1, 2)

    def penalty(self) -> Tensor | None:
        """Return the term of the loss; None if it has no weight."""
        if not self.regularise:
            return None
        return self.regularise * (1 - F.cosine_similarity(self.classify.weight, self.texts)).mean()
