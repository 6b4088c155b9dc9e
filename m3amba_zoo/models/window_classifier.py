"""What MMEngine's Runner trains and evaluates: a model from windows to logits a stream."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from mmengine.model import BaseModel
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import MODELS

FUSED = "fused"
"""The stream whose logits are the prediction."""


class WindowClassifier(BaseModel):
    """Base of the networks: subclasses define ``logits``.

    Attributes:
        margin: rows and columns that inputs have on each side of the pixels that get logits.

    Args:
        in_channels: bands by modality, as the scene holds them.
        num_classes: K.
        data_preprocessor: pretreatment of the bands, or its config; None passes windows through.
        loss: config of the loss.
        posterior: config of a Posterior, what happens to the logits when it predicts; None leaves them as
            they are.

    Raises:
        InputError: a modality has no bands or is called ``fused``.
    """

    margin = 0

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        data_preprocessor: nn.Module | dict | None = None,
        loss: dict | None = None,
        posterior: dict | None = None,
    ) -> None:
        _check_channels(in_channels)
        if isinstance(data_preprocessor, dict):
            default_args = {"in_channels": dict(in_channels)}
            data_preprocessor = MODELS.build(data_preprocessor, default_args=default_args)
        super().__init__(data_preprocessor=data_preprocessor)
        self.in_channels, self.num_classes = dict(in_channels), num_classes
        # pretreatment may change the number of bands (a PCA, dropped bands)
        self.treated_channels: dict[str, int] = getattr(data_preprocessor, "out_channels", self.in_channels)
        self.loss = MODELS.build(loss or {"type": "StreamLoss"})
        shapes = {"in_channels": self.in_channels, "num_classes": num_classes}
        self.posterior = MODELS.build(posterior, default_args=shapes) if posterior else None

    @abstractmethod
    def logits(
        self, inputs: Mapping[str, Tensor], clip_features: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Return logits ``(B, K, S, S)`` by stream; the key ``fused`` is the prediction."""

    def forward(  # type: ignore[override]
        self,
        inputs: dict[str, Tensor],
        clip_features: dict[str, Tensor] | None = None,
        mode: str = "tensor",
        labels: Tensor | None = None,
        bands: dict[str, Tensor] | None = None,
        **_: Any,
    ) -> Any:
        """Run the model; ``inputs`` have been through the data preprocessor.

        Args:
            inputs: ``(B, C_m, S, S)`` by modality.
            clip_features: ``(B, 512)`` by modality; bypasses the encoder.
            mode: ``tensor`` returns logits by stream, ``predict`` the fused logits as a list of
                ``(K, S, S)`` (logarithms of posteriors, where there is a Posterior), ``loss`` the terms of
                the loss.
            labels: ``(B, S, S)`` int64, 0 unlabelled; for ``loss``.
            bands: ``inputs`` before the data preprocessor, which gives both; for ``predict``, where the
                Posterior has an expert.
            **_: what else a batch carries (where each window lies) is for the metric and for other models.

        Raises:
            ValueError: another mode, no labels for ``loss``, or no bands for an expert.
        """
        if mode == "predict" and self.posterior is not None:
            return list(self.posterior(lambda x: self.logits(x, clip_features)[FUSED], inputs, bands))
        logits = self.logits(inputs, clip_features)
        if mode == "tensor":
            return logits
        if mode == "predict":
            return list(logits[FUSED].float())
        if mode == "loss":
            if labels is None:
                raise ValueError("mode 'loss' needs labels")
            return self.loss(logits, labels)
        raise ValueError(f"mode is '{mode}', expected 'tensor', 'predict' or 'loss'")


def _check_channels(in_channels: Mapping[str, int]) -> None:
    if not in_channels:
        raise InputError("in_channels names no modality; expected for example dict(hsi=144, lidar=1)")
    for modality, count in in_channels.items():
        if modality == FUSED:
            raise InputError(f"a modality may not be called '{FUSED}': that is the name of the fused stream")
        if count < 1:
            raise InputError(f"in_channels['{modality}'] is {count}, expected at least 1 band")
