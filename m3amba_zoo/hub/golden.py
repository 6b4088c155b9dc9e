"""The golden pair: a fixed input of a published model and its logits, which the model must give again.

``golden.safetensors`` holds ``input.<modality>`` ``(C, T, T)`` float32 in the raster's unit, NaN where a
pixel is missing (T is the window and the margin that the model reads around it), and ``logits``
``(K, S, S)`` float32, what mode ``predict`` makes of it. Its metadata hold ``tolerance``, the largest
difference of a logit that still counts as the same, ``seed``, from which the input was drawn, and
``spread``, the differences that the tolerance was chosen from.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub.tensor_file import tensor_file
from m3amba_zoo.hub.trained_model import GOLDEN, TrainedModel
from m3amba_zoo.models.window_classifier import WindowClassifier
from m3amba_zoo.ops import backends as known_backends
from m3amba_zoo.ops.backend import BACKENDS, ENVIRONMENT_VARIABLE

REFERENCE = "reference"
ROUNDING = "rounding"  # the spread's entry for inputs that differ by float32's last digit
INPUT, LOGITS = "input.", "logits"
# The tolerance is ten times the differences seen where it was chosen, for other processors and libraries, and
# at least one share of the largest logit; if it were above the other, something would be wrong.
SAFETY = 10.0
LEAST, GREATEST = 1e-4, 1e-2
SCAN_INPUTS = 8  # tensors of the two-dimensional scan


class Golden(NamedTuple):
    """The content of a golden file.

    Attributes:
        inputs: ``(C, T, T)`` by modality.
        logits: ``(K, S, S)``.
        tolerance: the largest difference of a logit that counts as the same.
    """

    inputs: dict[str, Tensor]
    logits: Tensor
    tolerance: float


def check_golden(folder: Path, backends: Sequence[str] | None = None) -> dict[str, float]:
    """Rebuild a model from its card and compare its logits with the golden ones.

    Args:
        folder: of the card.
        backends: of the scan, by name; None takes each one that runs on this machine.

    Returns:
        The largest difference of a logit by backend.

    Raises:
        InputError: the logits differ by more than the tolerance; a backend cannot run here; the card has no
            golden pair, or one that does not fit its model.
    """
    trained = TrainedModel.from_folder(folder)
    golden = read_golden(folder / GOLDEN)
    differences = {}
    for name in _available() if backends is None else backends:
        try:
            found = logits_with(name, trained.model, golden.inputs)
        except (RuntimeError, KeyError) as error:  # torch's word on shapes
            raise InputError(f"{folder / GOLDEN}: its input does not fit the model ({error})") from error
        if found.shape != golden.logits.shape:
            raise InputError(
                f"{folder / GOLDEN}: its logits are {tuple(golden.logits.shape)}, but the model's "
                f"{tuple(found.shape)}"
            )
        differences[name] = _difference(found, golden.logits)
        if not differences[name] <= golden.tolerance:  # NaN neither
            raise InputError(
                f"{folder}: with the scan backend '{name}' a logit differs by {differences[name]:.2g} from "
                f"the golden one, at most {golden.tolerance:.2g} is expected: this is not the model that was "
                "published"
            )
    return differences


def read_golden(path: Path) -> Golden:
    """Read a golden file.

    Raises:
        InputError: it is absent, damaged or of another form.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected the model's golden pair")
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a dict
            tolerance = float((file.metadata() or {})["tolerance"])
        inputs = {k.removeprefix(INPUT): v for k, v in tensors.items() if k.startswith(INPUT)}
        return Golden(inputs, tensors[LOGITS], tolerance)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: cut short or damaged, not a safetensors file ({error})") from error
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: lacks {error}, expected input.<modality>, logits, tolerance") from error


def golden_file(model: WindowClassifier, inputs: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Return the golden file of a model.

    Args:
        model: as published; it is left on the CPU, in evaluation mode.
        inputs: ``(C, T, T)`` by modality.
        metadata: what else the file says of itself (``seed``).

    Raises:
        InputError: the logits are not finite, or differ so much between backends that they show nothing.
    """
    logits = logits_with(REFERENCE, model, inputs)
    if not logits.isfinite().all():
        raise InputError("the model's logits of the golden input are not finite: it cannot be published")
    rounded = {name: _in_the_last_digit(x) for name, x in inputs.items()}
    spread = {ROUNDING: _difference(logits_with(REFERENCE, model, rounded), logits)}
    for name in _available():
        spread[name] = _difference(logits_with(name, model, inputs), logits)
    model.cpu()
    largest, worst = float(logits.abs().max()), max(spread, key=spread.__getitem__)
    tolerance = max(LEAST * largest, SAFETY * spread[worst])
    if tolerance > GREATEST * largest:
        raise InputError(
            f"the logits of the golden input, up to {largest:.2g}, differ by {spread[worst]:.2g} ({worst}): "
            "nothing could be told from a comparison with them"
        )
    tensors = {**{f"{INPUT}{name}": x for name, x in inputs.items()}, LOGITS: logits}
    about = {
        "tolerance": f"{1.05 * tolerance:.1e}",  # rounded up
        "spread": json.dumps({name: float(f"{value:.1e}") for name, value in sorted(spread.items())}),
    }
    return tensor_file(tensors, {**metadata, **about})


@torch.no_grad()
def logits_with(backend: str, model: WindowClassifier, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return the logits ``(K, S, S)`` of mode ``predict``, on the CPU, computed with one scan backend.

    Raises:
        InputError: no backend has that name, or it cannot run here.
    """
    reasons = known_backends()
    if backend not in reasons:
        raise InputError(f"no scan backend is called '{backend}'; known: {', '.join(reasons)}")
    if reason := BACKENDS[backend].unavailable_reason():
        raise InputError(f"the scan backend '{backend}' cannot run here: {reason}")
    device = _device(backend)
    model.to(device).eval()
    # convolutions on GPUs else keep ten bits of float32's 23
    with _forced(backend), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        batch = {"inputs": {name: x[None].to(device) for name, x in inputs.items()}}
        return model.test_step(batch)[0].float().cpu()


def _in_the_last_digit(x: Tensor) -> Tensor:
    """Return values next to these, above or below by chance: what rounding elsewhere might make of them."""
    up = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    return x * torch.where(up, 1 + torch.finfo(x.dtype).eps, 1 - torch.finfo(x.dtype).eps)


def _difference(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max())


def _available() -> list[str]:
    """Name the backends that run here; those that only tests ask for are left out."""
    return [name for name, no in known_backends().items() if no is None and not BACKENDS[name].on_request]


def _device(backend: str) -> str:
    scalars = [torch.zeros(1)] * SCAN_INPUTS
    return "cpu" if BACKENDS[backend].unavailable_reason(*scalars) is None else "cuda"


@contextmanager
def _forced(backend: str) -> Iterator[None]:
    """Let every scan run on one backend: the environment variable stands above other choices."""
    before = os.environ.get(ENVIRONMENT_VARIABLE)
    os.environ[ENVIRONMENT_VARIABLE] = backend
    try:
        yield
    finally:
        del os.environ[ENVIRONMENT_VARIABLE]
        if before is not None:
            os.environ[ENVIRONMENT_VARIABLE] = before
