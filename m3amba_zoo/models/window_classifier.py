"""The base of every network: what MMEngine's Runner trains and evaluates, from windows to logits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmengine.dist import all_reduce, get_world_size
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.axes import Axis, declared_axes
from m3amba_zoo.registry import MODELS

FUSED = "fused"
"""The stream whose logits are the prediction."""


class WindowClassifier(BaseModel):
    """Base of the networks: subclasses define ``logits``, and mark their layers as ``axes.py`` says.

    Attributes:
        margin: rows and columns that inputs have on each side of the pixels that get logits.
        in_channels: bands per modality as the scene holds them, in the network's order of modalities.
        treated_channels: bands per modality that the network reads, after pretreatment.

    Args:
        in_channels: bands per modality, as the scene holds them.
        num_classes: K.
        data_preprocessor: pretreatment of the bands, or its config; None passes windows through.
        loss: config of the loss, called as ``loss(logits, labels)`` like ``StreamLoss``. Its attribute
            ``transductive`` says whether it reads pixels without a label.
        posterior: config of a Posterior, which turns logits into posteriors at prediction; None leaves logits
            as they are.
        modalities: names in order, the spectral one first; None takes the order of ``in_channels``. A config
            needs it because MMEngine sorts the keys of the configs that it writes.

    Raises:
        InputError: if a modality has no bands or is called ``fused``, ``modalities`` has other names than
            ``in_channels``, or the loss does not say whether it is transductive.
    """

    margin = 0

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        data_preprocessor: nn.Module | dict | None = None,
        loss: dict | None = None,
        posterior: dict | None = None,
        modalities: Sequence[str] | None = None,
    ) -> None:
        in_channels = _in_order(in_channels, modalities)
        if isinstance(data_preprocessor, dict):
            default_args = {"in_channels": dict(in_channels)}
            data_preprocessor = MODELS.build(data_preprocessor, default_args=default_args)
        super().__init__(data_preprocessor=data_preprocessor)
        self.in_channels, self.num_classes = in_channels, num_classes
        # pretreatment may change the number of bands (a PCA, dropped bands)
        self.treated_channels: dict[str, int] = getattr(data_preprocessor, "out_channels", self.in_channels)
        self.loss = MODELS.build(loss or {"type": "StreamLoss"})
        if not isinstance(getattr(self.loss, "transductive", None), bool):
            raise InputError(
                f"loss {type(self.loss).__name__} does not say whether it reads pixels without a label; "
                "expected an attribute transductive, True or False"
            )
        shapes = {"in_channels": self.in_channels, "num_classes": num_classes}
        self.posterior = MODELS.build(posterior, default_args=shapes) if posterior else None

    @abstractmethod
    def logits(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return logits ``(B, K, S, S)`` per stream; the key ``fused`` is the prediction."""

    @property
    def transductive(self) -> bool:
        """Whether pixels without a training label enter the loss; a model with a term that does says True."""
        return self.loss.transductive

    def axes(self) -> dict[str, tuple[Axis, ...]]:
        """Return the axes along which bands or classes lie, by name of parameter or buffer."""
        return declared_axes(self, self.in_channels)

    def forward(  # type: ignore[override]
        self,
        inputs: dict[str, Tensor],
        mode: str = "tensor",
        labels: Tensor | None = None,
        bands: dict[str, Tensor] | None = None,
        logits_of: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] | None = None,
        **_: Any,
    ) -> Any:
        """Run the model on ``inputs`` that have been through the data preprocessor.

        Args:
            inputs: ``(B, C_m, S, S)`` per modality.
            mode: ``tensor`` returns logits per stream, ``predict`` the fused logits as a list of
                ``(K, S, S)`` (logarithms of posteriors if there is a Posterior), ``loss`` the terms of the
                loss.
            labels: ``(B, S, S)`` int64, 0 unlabelled; for ``loss``.
            bands: ``inputs`` before the data preprocessor, which gives both; for ``predict`` if the Posterior
                has an expert.
            logits_of: for subclasses, takes the place of ``logits``.
            **_: the rest of a batch (where each window lies), for the metric and for other models.

        Raises:
            ValueError: if the mode is unknown, ``loss`` has no labels, or an expert has no bands.
        """
        if logits_of is None:  # torch.compile of torch 2.6 knows no truth of a method
            logits_of = self.logits
        if mode == "predict" and self.posterior is not None:
            return list(self.posterior(lambda x: logits_of(x)[FUSED], inputs, bands))
        logits = logits_of(inputs)
        if mode == "tensor":
            return logits
        if mode == "predict":
            return list(logits[FUSED].float())
        if mode == "loss":
            if labels is None:
                raise ValueError("mode 'loss' needs labels")
            return self.loss(logits, labels)
        raise ValueError(f"mode is '{mode}', expected 'tensor', 'predict' or 'loss'")

    def _dump_init_info(self) -> None:
        """Log which parameters an ``init_cfg`` has set; MMEngine lists all, in three lines each."""
        for name, parameter in self.named_parameters():
            found = self._params_init_info[parameter]["init_info"].strip()
            if not found.startswith("The value is the same before and after"):
                MMLogger.get_current_instance().info(f"{name}: {found}")

    def parse_losses(self, losses: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the sum of the losses, and each for the log; the log's are means over processes."""
        loss, logged = super().parse_losses(losses)
        if get_world_size() > 1:
            logged = {name: value.detach().clone() for name, value in logged.items()}
            for value in logged.values():
                all_reduce(value, op="mean")
        return loss, logged


def _in_order(in_channels: Mapping[str, int], modalities: Sequence[str] | None) -> dict[str, int]:
    """Return the bands per modality in the order of ``modalities``, checked."""
    if not in_channels:
        raise InputError("in_channels names no modality; expected for example dict(hsi=144, lidar=1)")
    for modality, count in in_channels.items():
        if modality == FUSED:
            raise InputError(f"a modality may not be called '{FUSED}': that is the name of the fused stream")
        if count < 1:
            raise InputError(f"in_channels['{modality}'] is {count}, expected at least 1 band")
    if modalities is None:
        return dict(in_channels)
    if sorted(modalities) != sorted(in_channels):
        raise InputError(
            f"modalities is {list(modalities)}, expected the names in in_channels: {', '.join(in_channels)}"
        )
    return {modality: in_channels[modality] for modality in modalities}
