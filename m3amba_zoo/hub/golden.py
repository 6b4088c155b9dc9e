"""The golden pair: a fixed input of a published model and its logits, which the model must reproduce.

``golden.safetensors`` holds ``input.<modality>`` ``(C, T, T)`` float32 in the raster's unit, NaN where a
pixel is missing (T is the window plus the margin that the model reads around it), and ``logits``
``(K, S, S)`` float32, the result of mode ``predict``. Its metadata hold ``tolerance``, the largest difference
of a logit that still counts as the same, ``seed``, from which the input was drawn, and ``spread``, the
differences that the tolerance was chosen from.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import safe_open
from torch import Tensor

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub.index import PublishedModel
from m3amba_zoo.hub.trained_model import GOLDEN, TrainedModel
from m3amba_zoo.models.window_classifier import WindowClassifier
from m3amba_zoo.ops import backends as known_backends
from m3amba_zoo.ops.backend import BACKENDS, ENVIRONMENT_VARIABLE
from m3amba_zoo.reading import library_errors

INPUT, LOGITS = "input.", "logits"
SCAN_INPUTS = 8  # tensors of the two-dimensional scan


class Golden(NamedTuple):
    """The content of a golden file; the module's docstring has shapes and meanings."""

    inputs: dict[str, Tensor]
    logits: Tensor
    tolerance: float


def check_golden(
    folder: Path, backends: Sequence[str] | None = None, published: PublishedModel | None = None
) -> dict[str, float]:
    """Rebuild a model from its card and compare its logits with the golden ones.

    Args:
        folder: of the card.
        backends: scan backends by name; None takes all that run on this machine.
        published: what the index says of the card; see ``TrainedModel.from_folder``.

    Returns:
        The largest difference of a logit by backend.

    Raises:
        InputError: if the logits differ by more than the tolerance, a backend cannot run here, or the golden
            pair is absent or does not fit the model.
    """
    trained = TrainedModel.from_folder(folder, published=published)
    golden = read_golden(folder / GOLDEN)
    differences = {}
    for name in available_backends() if backends is None else backends:
        try:
            found = logits_with(name, trained.model, golden.inputs)
        except (RuntimeError, KeyError) as error:  # torch's, about shapes
            raise InputError(f"{folder / GOLDEN}: its input does not fit the model ({error})") from error
        if found.shape != golden.logits.shape:
            raise InputError(
                f"{folder / GOLDEN}: its logits are {tuple(golden.logits.shape)}, but the model's "
                f"{tuple(found.shape)}"
            )
        differences[name] = largest_difference(found, golden.logits)
        if not differences[name] <= golden.tolerance:  # also true for NaN
            raise InputError(
                f"{folder}: with the scan backend '{name}' a logit differs by {differences[name]:.2g} from "
                f"the golden one, at most {golden.tolerance:.2g} is expected: this is not the model that was "
                "published"
            )
    return differences


def read_golden(path: Path) -> Golden:
    """Read a golden file.

    Raises:
        InputError: if it is absent, damaged, or lacks a tensor or the tolerance.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected the model's golden pair")
    with library_errors(path, "cut short or damaged, not a safetensors file"), safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a dict
        tolerance = (file.metadata() or {}).get("tolerance", "none")
    inputs = {k.removeprefix(INPUT): v for k, v in tensors.items() if k.startswith(INPUT)}
    expected = "expected input.<modality>, logits, and the tolerance as a number"
    with library_errors(path, "lacks 'tolerance'", expected):
        largest = float(tolerance)
    if not inputs or LOGITS not in tensors:
        raise InputError(f"{path}: lacks '{LOGITS if inputs else INPUT}', {expected}")
    return Golden(inputs, tensors[LOGITS], largest)


@torch.no_grad()
def logits_with(backend: str, model: WindowClassifier, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return the logits ``(K, S, S)`` of mode ``predict``, on the CPU, computed with one scan backend.

    Raises:
        InputError: if there is no backend of that name, or it cannot run here.
    """
    reasons = known_backends()
    if backend not in reasons:
        raise InputError(f"no scan backend is called '{backend}'; known: {', '.join(reasons)}")
    if reason := BACKENDS[backend].unavailable_reason():
        raise InputError(f"the scan backend '{backend}' cannot run here: {reason}")
    device = _device(backend)
    model.to(device).eval()
    # with TF32, convolutions on GPUs would keep only ten of the 23 bits of float32's mantissa
    with _forced(backend), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        batch = {"inputs": {name: x[None].to(device) for name, x in inputs.items()}}
        return model.test_step(batch)[0].float().cpu()


def largest_difference(found: Tensor, expected: Tensor) -> float:
    """Return the largest absolute difference of two tensors."""
    return float((found - expected).abs().max())


def available_backends() -> list[str]:
    """Return the scan backends that run here, without those that only tests ask for."""
    return [name for name, no in known_backends().items() if no is None and not BACKENDS[name].on_request]


def _device(backend: str) -> str:
    scalars = [torch.zeros(1)] * SCAN_INPUTS
    return "cpu" if BACKENDS[backend].unavailable_reason(*scalars) is None else "cuda"


@contextmanager
def _forced(backend: str) -> Iterator[None]:
    """Run every scan on one backend, through the environment variable, which overrides other choices."""
    before = os.environ.get(ENVIRONMENT_VARIABLE)
    os.environ[ENVIRONMENT_VARIABLE] = backend
    try:
        yield
    finally:
        del os.environ[ENVIRONMENT_VARIABLE]
        if before is not None:
            os.environ[ENVIRONMENT_VARIABLE] = before
