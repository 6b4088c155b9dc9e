"""The data preprocessor: turns raw windows into the bands that the network reads."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseDataPreprocessor
from numpy.typing import NDArray
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.pretreatment import Pretreatment, SelectBands
from m3amba_zoo.registry import MODELS

FAR = 1e4  # times the range of a band's values, or of their deviation: no measurement lies so far away
SAMPLE = 10_000  # values tell the range of a band
SHOWN = 3  # bands in a message
FEW = 0.01  # of a class's training pixels: fewer with data in a modality tell next to nothing of the class


@MODELS.register_module()
class RasterPreprocessor(BaseDataPreprocessor):
    """Applies each modality's pretreatment on the model's device; missing values (NaN) become 0, the mean.

    The steps are fitted once on training pixels (``FitPreprocessorHook``); their state is part of the
    model's state dict, so that it stays with the weights.

    Args:
        in_channels: bands per modality, as the scene holds them.
        pretreatment: configs of the steps per modality; a modality that is left out is standardised.

    Raises:
        InputError: if ``pretreatment`` names a modality that ``in_channels`` does not have.
    """

    def __init__(
        self, in_channels: dict[str, int], pretreatment: Mapping[str, Sequence[dict]] | None = None
    ) -> None:
        super().__init__()
        self.in_channels = dict(in_channels)
        self.steps = nn.ModuleDict()
        pretreatment = pretreatment or {}
        for unknown in set(pretreatment) - set(in_channels):
            raise InputError(f"pretreatment names '{unknown}', but in_channels has {sorted(in_channels)}")
        for modality, channels in in_channels.items():
            steps = nn.ModuleList()
            for config in pretreatment.get(modality, [{"type": "Standardize"}]):
                step: Pretreatment = MODELS.build(config, default_args={"in_channels": channels})
                channels = step.out_channels
                steps.append(step)
            self.steps[modality] = steps
        self.register_buffer("fitted", torch.tensor(False))

    def _steps(self) -> Iterator[tuple[str, list[Pretreatment]]]:
        for modality, steps in self.steps.items():
            yield modality, [*steps]  # type: ignore[misc]  # torch.compile of torch 2.6 knows no cast

    def steps_of(self, modality: str) -> list[Pretreatment]:
        """Return a modality's steps in order."""
        return dict(self._steps())[modality]

    @property
    def out_channels(self) -> dict[str, int]:
        """Bands per modality that the network reads."""
        return {
            modality: steps[-1].out_channels if steps else self.in_channels[modality]
            for modality, steps in self._steps()
        }

    def fit(
        self,
        pixels: Mapping[str, NDArray[np.float32]],
        labels: NDArray[np.int64],
        names: Mapping[str, Sequence[str]] | None = None,
        features: Collection[str] = (),
    ) -> dict[str, NDArray[np.float32]]:
        """Fit the steps in order, those of each modality on the training pixels and bands that it has.

        Args:
            pixels: ``(n, C)`` per modality, NaN where a value is missing.
            labels: classes, ``(n,)``.
            names: of the bands per modality, for messages; None numbers them from 0.
            features: the modalities whose bands are an encoder's features, of which some may be constant.

        Returns:
            The pixels pretreated, ``(n, out_channels)`` per modality, as ``transform`` gives them.

        Raises:
            InputError: if there are other numbers of bands than ``in_channels``, a band that no pixel has, a
                constant band, or too few pixels.
        """
        if len(labels) == 0:
            raise InputError("there are no training pixels to fit the pretreatment on")
        training = self.training
        self.eval()  # each step is fitted on what it gets at inference, without augmentation
        treated = {}
        for modality, steps in self._steps():
            x = pixels[modality]
            self.check_channels(modality, x.shape[1])
            of_bands = np.array(names[modality]) if names else np.arange(x.shape[1]).astype(str)
            _check_bands_exist(x, steps, modality, of_bands)
            for step in steps:
                step.of_features = modality in features
                if not step.carried:
                    step.fit(x, labels, modality, of_bands)
                given = torch.from_numpy(x).to(self.fitted.device)
                x = step(given.T[None, :, :, None])[0, :, :, 0].T.cpu().numpy()
                kept = step.of_treated(of_bands)
                of_bands = np.arange(x.shape[1]).astype(str) if kept is None else kept
            treated[modality] = np.nan_to_num(x, nan=0.0)
        self.train(training)
        self.fitted.fill_(True)
        return treated

    def check_channels(self, modality: str, found: int) -> None:
        """Check a raster's number of bands.

        Raises:
            InputError: if the model was built for another number.
        """
        expected = self.in_channels[modality]
        if found != expected:
            raise InputError(
                f"modality '{modality}' has {found} bands, but the model is built for {expected} "
                f"(in_channels in the config)"
            )

    def transform(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the pretreated windows ``(B, out_channels, S, S)`` per modality.

        Raises:
            InputError: if a modality is missing or has another number of bands.
        """
        treated = {}
        for modality, steps in self._steps():
            if modality not in inputs:
                raise InputError(f"modality '{modality}' is missing; found {', '.join(inputs) or 'none'}")
            x = inputs[modality]
            self.check_channels(modality, x.shape[1])
            for step in steps:
                x = step(x)
            treated[modality] = torch.nan_to_num(x, nan=0.0)
        return treated

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:  # type: ignore[override]
        """Move a batch to the device and pretreat its ``inputs``.

        Outside training the batch also has the windows without pretreatment, as ``bands``, for a Posterior's
        expert.
        """
        batch = self.cast_data(data)
        with (
            torch.no_grad(),
            torch.autocast(self.device.type, enabled=False),
        ):  # a PCA in bfloat16 would be too coarse
            given = batch["inputs"]  # type: ignore[call-overload, index]
            bands = {} if training else {"bands": given}
            return {**batch, **bands, "inputs": self.transform(given)}  # type: ignore[dict-item, index, call-overload]


def data_warning(
    pixels: Mapping[str, NDArray[np.float32]],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    names: Mapping[str, Sequence[str]],
) -> str:
    """Return a sentence on what makes training pixels worth little.

    It names the classes of which next to no pixel has data in some modality: all that a model can learn of
    such a class there is that data is missing. And it names the values that lie so far from all others of
    their band that the band's deviation is theirs, as those of missing pixels that are not marked do.

    Args:
        pixels: ``(n, C)`` per modality, NaN where a value is missing.
        labels: classes, ``(n,)``, 1..K.
        classes: the K names.
        names: of the bands per modality.

    Returns:
        The sentence, with classes, bands, values and counts; empty if there is nothing to say.
    """
    found = []
    for modality, bands in pixels.items():
        shown = ~np.logical_and.reduce(np.isnan(bands), axis=1)
        for label, name in enumerate(classes, start=1):
            of_class = labels == label
            have, count = int(shown[of_class].sum()), int(of_class.sum())
            if have < FEW * count:
                found.append(f"'{modality}' at {have} of {count} training pixels of '{name}'")
    sentences = [f"next to no data of a class in a modality: {'; '.join(found)}"] if found else []
    far = [
        f"{count} of {len(labels)} training pixels have {value:g} in band {name} of '{modality}', whose "
        f"other values range about from {low:g} to {high:g}: if it means missing, mark it as nodata"
        for modality, bands in pixels.items()
        for name, band in zip(names[modality], bands.T, strict=True)
        for value, count, low, high in _far_value(band)
    ]
    more = [f"and so in {len(far) - SHOWN} more bands"] if len(far) > SHOWN else []
    return "; ".join([*sentences, *far[:SHOWN], *more])


def _far_value(band: NDArray[np.float32]) -> Iterator[tuple[float, int, float, float]]:
    """Yield the farthest value of those that lie apart from all others of a band, how many, and the range."""
    values = band[~np.isnan(band)]
    if not len(values):
        return
    some = values[:: 1 + len(values) // SAMPLE].astype(np.float64)
    low, middle, high = np.percentile(some, (2.5, 50, 97.5)).tolist()
    away = np.abs(values - middle)
    if high > low and (count := int((away > FAR * (high - low)).sum())):
        yield float(values[away.argmax()]), count, low, high


def _check_bands_exist(
    x: NDArray[np.float32], steps: Sequence[Pretreatment], modality: str, names: NDArray
) -> None:
    """Raise InputError if all training pixels ``(n, C)`` lack a band that the first step does not drop."""
    missing: NDArray[np.bool_] = np.logical_and.reduce(np.isnan(x))
    dropped = np.zeros_like(missing)
    if steps and isinstance(steps[0], SelectBands):
        dropped = ~np.isin(np.arange(len(missing)), steps[0].kept.cpu())
    lacking = missing & ~dropped
    if not lacking.any():
        return
    if missing.all():
        raise InputError(
            f"'{modality}' has no value at any of the {len(x)} training pixels; expected other training "
            f"pixels, or modalities without '{modality}'"
        )
    bands = ", ".join(names[a] if a == b else f"{names[a]} to {names[b]}" for a, b in _runs(lacking))
    raise InputError(
        f"band {bands} of '{modality}' is missing at all {len(x)} training pixels; to leave it out, begin "
        f"pretreatment['{modality}'] with dict(type='SelectBands', drop={_runs(missing | dropped)})"
    )


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return first and last index of each run of True."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return [(int(first), int(after) - 1) for first, after in edges.reshape(-1, 2)]
