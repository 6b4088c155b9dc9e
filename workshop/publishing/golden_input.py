"""A random input in the value range that a model was trained on, without any pixel of its data."""

from __future__ import annotations

from functools import singledispatch
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

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

Pixels = NDArray[np.float64]


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
