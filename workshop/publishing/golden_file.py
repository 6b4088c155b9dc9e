"""Writes a model's golden pair and chooses its tolerance."""

from __future__ import annotations

import json
from collections.abc import Mapping

import torch
from torch import Tensor

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub.golden import INPUT, LOGITS, available_backends, largest_difference, logits_with
from m3amba_zoo.models.window_classifier import WindowClassifier
from workshop.publishing.tensor_file import tensor_file

REFERENCE = "reference"
ROUNDING = "rounding"  # the spread's entry for inputs that differ by float32's last digit
# The tolerance is ten times the differences seen here, to allow for other processors and libraries, and at
# least a share of the largest logit. Above another share of it, something is wrong.
SAFETY = 10.0
LEAST, GREATEST = 1e-4, 1e-2


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
