"""Which engine runs a scan: the one a call, the environment or the configuration names, or the best."""

from __future__ import annotations

import os
from typing import Protocol

from torch import Tensor

from m3amba_zoo.errors import InputError
from m3amba_zoo.ops.cpu import CpuBackend
from m3amba_zoo.ops.mamba_ssm import MambaSsmBackend
from m3amba_zoo.ops.reference import ReferenceBackend
from m3amba_zoo.ops.triton import TritonBackend

ENVIRONMENT_VARIABLE = "M3AMBA_SCAN_BACKEND"


class Backend(Protocol):
    """One engine of both scans. Inputs are those of the public functions, in their order, none left out."""

    name: str

    @property
    def on_request(self) -> bool:
        """Whether it serves only calls that name it."""

    def unavailable_reason(self, *tensors: Tensor) -> str | None:
        """Say why it cannot serve these inputs (none given: cannot run here at all), or None if it can."""

    def forward(self, *inputs: Tensor, softplus: bool) -> Tensor:
        """Return y ``(b, d, L)`` in u's dtype, contiguous."""

    def backward(self, grad: Tensor, *inputs: Tensor, softplus: bool) -> tuple[Tensor, ...]:
        """Return the gradient of each input, in its shape and dtype."""

    def forward_2d(self, *inputs: Tensor) -> Tensor:
        """Return y ``(b, H, W, d)`` in u's dtype, contiguous."""

    def backward_2d(self, grad: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the gradient of each input, in its shape and dtype."""


_BEST_FIRST: tuple[Backend, ...] = (TritonBackend(), MambaSsmBackend(), CpuBackend(), ReferenceBackend())
BACKENDS = {backend.name: backend for backend in _BEST_FIRST}

_default: str | None = None


def set_default_backend(name: str | None) -> None:
    """Choose the backend of calls that name none; None leaves the choice to each call's tensors.

    The environment variable ``M3AMBA_SCAN_BACKEND`` stands above this choice.

    Raises:
        InputError: no backend has that name.
    """
    global _default
    if name is not None:
        _named(name, "set_default_backend")
    _default = name


def backends() -> dict[str, str | None]:
    """Return each backend's name, best first, with None if it can run on this machine, else why it cannot."""
    return {name: backend.unavailable_reason() for name, backend in BACKENDS.items()}


def choose(name: str | None, *tensors: Tensor) -> Backend:
    """Return the backend that runs a scan of these tensors.

    Raises:
        InputError: the backend asked for does not exist, or cannot serve these tensors.
    """
    environment = os.environ.get(ENVIRONMENT_VARIABLE)
    asked = (
        (name, "backend"),
        (environment, ENVIRONMENT_VARIABLE),
        (_default, "set_default_backend"),
    )
    for wish, source in asked:
        if wish:
            backend = _named(wish, source)
            reason = backend.unavailable_reason(*tensors)
            if reason is not None:
                raise InputError(f"the scan backend '{wish}' ({source}) cannot serve this call: {reason}")
            return backend
    return next(
        backend
        for backend in BACKENDS.values()
        if not backend.on_request and backend.unavailable_reason(*tensors) is None
    )


def _named(name: str, source: str) -> Backend:
    if name not in BACKENDS:
        raise InputError(f"{source}: no scan backend is called '{name}'; known: {', '.join(BACKENDS)}")
    return BACKENDS[name]
