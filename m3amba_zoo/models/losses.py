"""The training loss over the streams' logits."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m3amba_zoo.models.window_classifier import FUSED
from m3amba_zoo.registry import MODELS


@MODELS.register_module()
class StreamLoss(nn.Module):
    """M3amba's loss: cross-entropy on labelled pixels, and agreement of the streams on all pixels.

    ``l1 * sum over streams of CE(M_s) + l2 * sum over modalities of (1 - cos(M_m, M_fused))``
    (arXiv 2503.06446; the paper does not publish l1 and l2).

    Args:
        cross_entropy: l1.
        consistency: l2. If above 0, the loss reads unlabelled pixels: the run is transductive.
        label_smoothing: of the cross-entropy.
        streams: weight of each modality's cross-entropy relative to the fused stream's (1 in the paper).
    """

    def __init__(
        self,
        cross_entropy: float = 1.0,
        consistency: float = 0.0,
        label_smoothing: float = 0.0,
        streams: float = 1.0,
    ) -> None:
        super().__init__()
        self.cross_entropy = cross_entropy
        self.consistency = consistency
        self.label_smoothing = label_smoothing
        self.streams = streams

    @property
    def transductive(self) -> bool:
        """Whether pixels without a training label enter the loss."""
        return self.consistency > 0

    def forward(self, logits: Mapping[str, Tensor], labels_BSS: Tensor) -> dict[str, Tensor]:
        """Return the terms by name; their sum is minimised.

        Args:
            logits: ``(B, K, S, S)`` per stream.
            labels_BSS: int64, 0 unlabelled, 1..K classes.
        """
        target = labels_BSS - 1
        labelled = (target >= 0).sum().clamp(min=1)  # a batch without labels has loss 0, not NaN
        losses = {}
        for stream, scores in logits.items():
            weight = self.cross_entropy * (1.0 if stream == FUSED else self.streams)
            entropy = F.cross_entropy(
                scores.float(),
                target,
                ignore_index=-1,
                reduction="sum",
                label_smoothing=self.label_smoothing,
            )
            losses[f"loss_{stream}"] = weight * entropy / labelled
        if self.consistency:
            fused = logits[FUSED].float()
            distances = [
                1 - F.cosine_similarity(scores.float(), fused, dim=1).mean()
                for stream, scores in logits.items()
                if stream != FUSED
            ]
            if distances:
                losses["loss_consistency"] = self.consistency * torch.stack(distances).sum()
        return losses
