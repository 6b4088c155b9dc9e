"""Writes a model's golden pair, a random input and its logits, and chooses its tolerance.

The input has the value range that the model was trained on, without any pixel of its data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import singledispatch
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub.golden import INPUT, LOGITS, available_backends, largest_difference, logits_with
from m3amba_zoo.models.preprocessor import RasterPreprocessor
from m3amba_zoo.models.pretreatment import (
    PCA,
    CenteredLog,
    Derivative,
    Discriminants,
    Pretreatment,
    SelectBands,
    Standardize,
)
from m3amba_zoo.models.window_classifier import WindowClassifier

REFERENCE = "reference"
ROUNDING = "rounding"  # the spread's entry for inputs that differ by float32's last digit
# The tolerance is ten times the differences seen here, to allow for other processors and libraries, and at
# least a share of the largest logit. Above another share of it, something is wrong.
SAFETY = 10.0
LEAST, GREATEST = 1e-4, 1e-2
Pixels = NDArray[np.float64]


def golden_file(model: WindowClassifier, inputs: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Return the golden file of a model.

    Args:
        model: as published; it is left on the CPU, in evaluation mode.
        inputs: ``(C, T, T)`` float32 by modality, in the raster's unit.
        metadata: other texts to store in the file (``name``, ``seed``).

    Raises:
        InputError: if the logits are not finite, or differ so much between backends that they prove nothing.
    """
    logits = logits_with(REFERENCE, model, inputs)
    if not logits.isfinite().all():
        raise InputError("the model's logits of the golden input are not finite: it cannot be published")
    rounded = {name: _in_the_last_digit(x) for name, x in inputs.items()}
    spread = {ROUNDING: largest_difference(logits_with(REFERENCE, model, rounded), logits)}
    for name in available_backends():
        spread[name] = largest_difference(logits_with(name, model, inputs), logits)
    model.cpu()
    largest, worst = float(logits.abs().max()), max(spread, key=spread.__getitem__)
    tolerance = max(LEAST * largest, SAFETY * spread[worst])
    if tolerance > GREATEST * largest:
        raise InputError(
            f"the logits of the golden input, up to {largest:.2g}, differ by {spread[worst]:.2g} ({worst}): "
            "a comparison with them would prove nothing"
        )
    tensors = {**{f"{INPUT}{name}": x for name, x in inputs.items()}, LOGITS: logits}
    about = {
        "tolerance": f"{1.05 * tolerance:.1e}",  # rounded up
        "spread": json.dumps({name: float(f"{value:.1e}") for name, value in sorted(spread.items())}),
    }
    return tensor_file(tensors, {**metadata, **about})


def _in_the_last_digit(x: Tensor) -> Tensor:
    """Return values next to these, above or below by chance, as rounding elsewhere might give."""
    up = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    return x * torch.where(up, 1 + torch.finfo(x.dtype).eps, 1 - torch.finfo(x.dtype).eps)


def draw_input(model: WindowClassifier, window: int, seed: int) -> dict[str, Tensor]:
    """Draw normal values for the network and undo the pretreatment, to get an input in the rasters' units.

    What cannot be undone (a PCA's dropped components, a spectrum's norm) gets a value that the pretreatment
    removes again. Two pixels are missing (NaN): the last one in all modalities, and another in each.

    Args:
        model: the model with its fitted pretreatment, on the CPU.
        window: the window's side S, without the margin that the model reads around it.
        seed: of the normal values.

    Returns:
        ``(C, S + 2 margin, S + 2 margin)`` float32 by modality.
    """
    generator = np.random.default_rng(seed)
    side = window + 2 * model.margin
    inputs = {}
    for position, (modality, bands) in enumerate(model.in_channels.items()):
        x = generator.normal(size=(side * side, model.treated_channels[modality]))
        for step in reversed(_steps(model, modality)):
            x = undo(step, x)
        x[[position % len(x), -1]] = np.nan
        inputs[modality] = torch.from_numpy(x.T.reshape(bands, side, side).astype(np.float32))
    return inputs


def _steps(model: WindowClassifier, modality: str) -> list[nn.Module]:
    preprocessor = model.data_preprocessor
    if not isinstance(preprocessor, RasterPreprocessor):
        return []
    return list(cast(nn.ModuleList, preprocessor.steps[modality]))


@singledispatch
def undo(step: nn.Module, x: Pixels) -> Pixels:
    """Return pixels ``(n, in_channels)`` that a step turns into about ``x (n, out_channels)``.

    For unknown steps, and those that may leave a pixel unchanged, that is the resampled pixel itself.
    """
    return _resampled(x, cast(Pretreatment, step).in_channels)


@undo.register
def _(step: Standardize, x: Pixels) -> Pixels:
    return x * _array(step.std) + _array(step.mean)


@undo.register(PCA)
@undo.register(Discriminants)
def _(step: PCA | Discriminants, x: Pixels) -> Pixels:
    return (x - _array(step.bias)) @ np.linalg.pinv(_array(step.weight)).T


@undo.register
def _(step: SelectBands, x: Pixels) -> Pixels:
    kept = step.kept.numpy()
    return np.stack([np.interp(range(step.in_channels), kept, pixel) for pixel in x])


@undo.register
def _(step: CenteredLog, x: Pixels) -> Pixels:
    return step.floor * np.exp(x - x.min(1, keepdims=True))  # the step removes any gain of a pixel


@undo.register
def _(step: Derivative, x: Pixels) -> Pixels:
    return _resampled(x, step.in_channels).cumsum(1)


def _resampled(x: Pixels, bands: int) -> Pixels:
    places = np.linspace(0, x.shape[1] - 1, bands)
    return np.stack([np.interp(places, range(x.shape[1]), pixel) for pixel in x])


def _array(tensor: Tensor) -> Pixels:
    return tensor.detach().cpu().double().numpy()


def tensor_file(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Return the file that holds these tensors and texts.

    The same content gives the same bytes. safetensors itself orders the tensors, but writes the texts in an
    order that changes from process to process.
    """
    alone = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    written = save(alone, dict(metadata))
    start = 8 + int.from_bytes(written[:8], "little")  # the header's length, the header, the values
    header = json.loads(written[8:start])
    header["__metadata__"] = dict(sorted(metadata.items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the format aligns the values to 8 bytes
    return len(text).to_bytes(8, "little") + text + written[start:]
