"""The base of patch-wise networks: the class of a pixel from a square of pixels around it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.window_classifier import FUSED, WindowClassifier


class PatchClassifier(WindowClassifier):
    """Base of the networks that classify the centre pixel of a patch: subclasses define ``patch_logits``.

    As a window classifier it takes the patch around each of T x T pixels out of inputs with a margin of
    ``patch // 2`` on each side. Training windows have the size of a patch (T = 1).

    Attributes:
        patches_at_once: how many patches the network sees at a time outside training, which bounds memory.

    Args:
        in_channels, num_classes, data_preprocessor, loss, modalities: as for every WindowClassifier.
        patch: P, odd; rows and columns of a patch.

    Raises:
        InputError: if ``patch`` is even or below 1.
    """

    patches_at_once = 256

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        patch: int,
        data_preprocessor: nn.Module | dict | None = None,
        loss: dict | None = None,
        modalities: Sequence[str] | None = None,
    ) -> None:
        if patch < 1 or patch % 2 == 0:
            raise InputError(f"patch is {patch}, expected an odd number of pixels: a patch has a centre")
        super().__init__(in_channels, num_classes, data_preprocessor, loss, modalities=modalities)
        self.patch, self.margin = patch, patch // 2

    @abstractmethod
    def patch_logits(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return logits ``(N, K)`` per stream of patches ``(N, C_m, P, P)``; ``fused`` is the prediction."""

    def patch_losses(self, inputs: Mapping[str, Tensor], labels_N: Tensor) -> dict[str, Tensor]:
        """Return the terms of the loss; models with more terms than the logits' override this.

        A term that reads patches whose label is 0 makes a model transductive.

        Args:
            inputs: patches ``(N, C_m, P, P)``.
            labels_N: int64, of the centre pixels, 0 unlabelled.
        """
        logits = {stream: scores[:, :, None, None] for stream, scores in self.patch_logits(inputs).items()}
        return self.loss(logits, labels_N[:, None, None])

    def logits(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return logits ``(B, K, T, T)`` per stream of inputs ``(B, C_m, T + 2 margin, T + 2 margin)``."""
        return self._logits_at(inputs, self._everywhere(inputs))

    def logits_at_once(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what ``logits`` does, from all patches at once, in operations that torch can export."""
        patches = {}
        for modality in self.in_channels:
            x = inputs[modality]
            rows, columns = (
                torch.arange(size - self.patch + 1)[:, None] + torch.arange(self.patch)
                for size in x.shape[2:]
            )  # (T, P) each
            x_BTTCPP = x[:, :, rows][..., columns].permute(0, 2, 4, 1, 3, 5)
            patches[modality] = x_BTTCPP.flatten(0, 2)
        places = (-1, *x_BTTCPP.shape[1:3])
        found = self.patch_logits(patches)
        return {stream: x.unflatten(0, places).permute(0, 3, 1, 2) for stream, x in found.items()}

    def forward(  # type: ignore[override]
        self,
        inputs: dict[str, Tensor],
        mode: str = "tensor",
        labels: Tensor | None = None,
        needed: Tensor | None = None,
        **_: Any,
    ) -> Any:
        """Run the model as ``WindowClassifier.forward`` does.

        Args:
            inputs: ``(B, C_m, T + 2 margin, T + 2 margin)`` per modality.
            mode: ``tensor``, ``predict`` or ``loss``; logits are ``(K, T, T)``.
            labels: int64, of the inputs' size; those of the margin are not read.
            needed: bool ``(B, T, T)``, for ``predict``: which pixels need logits; the others get NaN.
            **_: the rest of a batch.

        Raises:
            InputError: if a modality is missing, or the inputs are smaller than a patch.
            ValueError: if the mode is unknown, or ``loss`` has no labels.
        """
        if mode == "predict" and needed is not None:
            return list(self._logits_at(inputs, needed)[FUSED].float())
        if mode == "loss" and labels is not None:
            everywhere = self._everywhere(inputs)
            rows, columns = (slice(self.margin, self.margin + side) for side in everywhere.shape[1:])
            patches = self._patches(inputs, everywhere.nonzero())
            return self.patch_losses(patches, labels[:, rows, columns].flatten())
        return super().forward(inputs, mode, labels)

    def _everywhere(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return a mask ``(B, T, T)`` of all pixels that can get logits."""
        for modality in self.in_channels:
            if modality not in inputs:
                expected = ", ".join(self.in_channels)
                raise InputError(f"modality '{modality}' is missing: the model was built for {expected}")
        first = inputs[next(iter(self.in_channels))]
        rows, columns = first.shape[2:]
        if min(rows, columns) < self.patch:
            raise InputError(
                f"the inputs have {rows} x {columns} pixels, fewer than the model's patch of {self.patch} x "
                f"{self.patch}"
            )
        inner = (len(first), rows - 2 * self.margin, columns - 2 * self.margin)
        return torch.ones(inner, dtype=torch.bool, device=first.device)

    def _logits_at(self, inputs: Mapping[str, Tensor], needed_BTT: Tensor) -> dict[str, Tensor]:
        """Return logits ``(B, K, T, T)`` per stream, NaN for pixels that do not need them."""
        batch, rows, columns = needed_BTT.shape
        where = needed_BTT.nonzero()
        found = [self.patch_logits(self._patches(inputs, part)) for part in self._parts(where)]
        streams = found[0] if found else {FUSED: inputs[next(iter(self.in_channels))].new_empty(0)}
        maps = {}
        for stream, first in streams.items():
            logits = first.new_full((batch, rows, columns, self.num_classes), torch.nan)
            if found:
                logits[where.unbind(1)] = torch.cat([scores[stream] for scores in found])
            maps[stream] = logits.permute(0, 3, 1, 2)
        return maps

    def _parts(self, where: Tensor) -> Iterator[Tensor]:
        """Split places into parts of bounded size; in training, batch norms need all patches at once."""
        if len(where):
            yield from where.split(len(where) if self.training else self.patches_at_once)

    def _patches(self, inputs: Mapping[str, Tensor], where: Tensor) -> dict[str, Tensor]:
        """Cut the patches ``(N, C_m, P, P)`` around places ``(N, 3)``: window, row and column in T x T."""
        windows, rows, columns = where.unbind(1)
        patches = {}
        for modality in self.in_channels:
            x = inputs[modality]
            if x.shape[2:] == (self.patch, self.patch) and len(where) == len(x):
                patches[modality] = x  # training windows are patches already
                continue
            views = x.unfold(2, self.patch, 1).unfold(3, self.patch, 1)
            patches[modality] = views[windows, :, rows, columns]
        return patches


class PairClassifier(PatchClassifier):
    """Base of the networks that fuse two rasters: subclasses define ``pair_logits``.

    Papers on two sensors name a spectral and an auxiliary raster (LiDAR, SAR). The first modality is the
    spectral raster. All others, band after band in their order, are the auxiliary one, each pretreated on its
    own before. With one modality there is no auxiliary raster.

    Attributes:
        pair: the modalities of each of the one or two rasters.
        pair_channels: the bands of each, after pretreatment.

    Args: as for PatchClassifier.
    """

    def __init__(self, in_channels: Mapping[str, int], num_classes: int, patch: int, **base: Any) -> None:
        super().__init__(in_channels, num_classes, patch, **base)
        spectral, *others = self.in_channels
        self.pair = [(spectral,), tuple(others)] if others else [(spectral,)]
        self.pair_channels = [sum(self.treated_channels[m] for m in names) for names in self.pair]

    @property
    def pair_names(self) -> list[str]:
        """The rasters' names: that of the modality, or of several with ``+`` between them."""
        return ["+".join(names) for names in self.pair]

    @abstractmethod
    def pair_logits(self, spectral: Tensor, auxiliary: Tensor | None) -> dict[str, Tensor]:
        """Return logits ``(N, K)`` per stream of patches ``(N, C, P, P)``; ``fused`` is the prediction."""

    def patch_logits(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what ``pair_logits`` makes of patches ``(N, C_m, P, P)``."""
        spectral, *auxiliary = (
            inputs[names[0]] if len(names) == 1 else torch.cat([inputs[m] for m in names], dim=1)
            for names in self.pair
        )
        return self.pair_logits(spectral, auxiliary[0] if auxiliary else None)
