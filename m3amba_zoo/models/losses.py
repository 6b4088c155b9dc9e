"""The training loss over the streams' logits."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.window_classifier import FUSED
from m3amba_zoo.registry import MODELS


@MODELS.register_module()
class StreamLoss(nn.Module):
    """M3amba's loss: cross-entropy on labelled pixels, and agreement of the streams on all pixels.

    ``l1 * sum over streams of CE(M_s) + l2 * sum over modalities of (1 - cos(M_m, M_fused))``
    (arXiv 2503.06446; the paper does not publish l1 and l2).

    The consistency term reads all pixels of the training windows: unlabelled ones, and those test pixels that
    the windows show. It reads their bands, never their labels.

    Args:
        cross_entropy: l1, above 0.
        consistency: l2. If above 0, the run is transductive.
        label_smoothing: of the cross-entropy.
        streams: weight of each modality's cross-entropy relative to the fused stream's (1 in the paper).

    Raises:
        InputError: if a weight is negative or ``cross_entropy`` is 0.
    """

    def __init__(
        self,
        cross_entropy: float = 1.0,
        consistency: float = 0.0,
        label_smoothing: float = 0.0,
        streams: float = 1.0,
    ) -> None:
        super().__init__()
        if cross_entropy <= 0 or consistency < 0 or streams < 0:
            raise InputError(
                f"StreamLoss: cross_entropy is {cross_entropy}, expected above 0; consistency is "
                f"{consistency} and streams is {streams}, expected 0 or above"
            )
        self.cross_entropy = cross_entropy
        self.consistency = consistency
        self.label_smoothing = label_smoothing
        self.streams = streams

    @property
    def transductive(self) -> bool:
        """Whether pixels without a training label enter the loss."""
        return self.consistency > 0

    @property
    def reads_modalities(self) -> bool:
        """Whether the loss reads the modalities' logits; else only the fused stream's."""
        return self.streams > 0 or self.consistency > 0

    def forward(self, logits: Mapping[str, Tensor], labels_BSS: Tensor) -> dict[str, Tensor]:
        """Return the terms by name; their sum is minimised.

        Args:
            logits: ``(B, K, S, S)`` per stream.
            labels_BSS: int64, 0 unlabelled, 1..K classes.

        Raises:
            InputError: if there is a consistency term, and no other stream to agree with the fused one.
        """
        target = labels_BSS - 1
        labelled = (target >= 0).sum().clamp(min=1)  # a batch without labels has loss 0, not NaN
        if get_world_size() > 1:
            # the mean over processes: their losses then average to that of one process with all windows
            labelled = labelled.float()
            all_reduce(labelled, op="mean")
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
            if not distances:
                raise InputError(
                    f"StreamLoss: consistency is {self.consistency}, but the network has the fused stream "
                    "alone"
                )
            losses["loss_consistency"] = self.consistency * torch.stack(distances).sum()
        return losses
