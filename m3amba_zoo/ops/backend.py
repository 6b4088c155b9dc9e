"""Chooses the engine of a scan: named by the call, the environment or the program; else the best at hand."""

from __future__ import annotations

import os
from typing import Protocol

from torch import Tensor

from m3amba_zoo.errors import InputError
from m3amba_zoo.ops.cpu import CpuBackend
from m3amba_zoo.ops.gpu import MambaSsmBackend, TritonBackend
from m3amba_zoo.ops.reference import ReferenceBackend

ENVIRONMENT_VARIABLE = "M3AMBA_SCAN_BACKEND"
PROGRAM = "set_default_backend"
ON_REQUEST = "runs on request only"  # a remark of backends()


class Backend(Protocol):
    """One engine of both scans; the inputs are those of the public functions, all given, u not empty."""

    name: str
    on_request: bool  # whether it serves only calls that name it

    def unavailable_reason(self, *tensors: Tensor) -> str | None:
        """Return why it cannot serve these inputs (without inputs: cannot run here at all), or None."""

    def forward(self, *inputs: Tensor, softplus: bool) -> Tensor:
        """Return y ``(b, d, L)`` in u's dtype, contiguous."""

    def backward(self, grad: Tensor, *inputs: Tensor, softplus: bool) -> tuple[Tensor, ...]:
        """Return the gradient of each input, in its shape; the dtype may be another."""

    def forward_2d(self, *inputs: Tensor) -> Tensor:
        """Return y ``(b, H, W, d)`` in u's dtype, contiguous."""

    def backward_2d(self, grad: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the gradient of each input, in its shape; the dtype may be another."""


_BEST_FIRST: tuple[Backend, ...] = (TritonBackend(), MambaSsmBackend(), CpuBackend(), ReferenceBackend())
BACKENDS = {backend.name: backend for backend in _BEST_FIRST}

_default: str | None = None
_asked_by = PROGRAM


def set_default_backend(name: str | None, asked_by: str = PROGRAM) -> None:
    """Choose the backend of calls that name none; None leaves the choice to each call's tensors.

    The environment variable ``M3AMBA_SCAN_BACKEND`` takes precedence over this choice.

    Args:
        name: of a backend.
        asked_by: what messages call this request, such as the key of a config.

    Raises:
        InputError: if no backend has that name.
    """
    global _default, _asked_by
    if name is not None:
        _named(name, asked_by)
    _default, _asked_by = name, asked_by


def backends() -> dict[str, str | None]:
    """Return the backends by name, best first: None if calls that name none may use it here, else why not.

    A backend that "runs on request only" serves calls that name it, unless a further reason follows.
    """
    remarks = {b.name: [ON_REQUEST if b.on_request else None, b.unavailable_reason()] for b in _BEST_FIRST}
    return {name: "; ".join(filter(None, said)) or None for name, said in remarks.items()}


def choose(name: str | None, *tensors: Tensor) -> Backend:
    """Return the backend that runs a scan of these tensors.

    Raises:
        InputError: if the requested backend does not exist or cannot serve these tensors.
    """
    requests = {
        "backend": name,
        ENVIRONMENT_VARIABLE: os.environ.get(ENVIRONMENT_VARIABLE),
        _asked_by: _default,
    }
    for source, requested in requests.items():
        if requested:
            backend = _named(requested, source)
            reason = backend.unavailable_reason(*tensors)
            if reason is not None:
                raise InputError(
                    f"the scan backend '{requested}' ({source}) cannot serve this call: {reason}"
                )
            return backend
    unrequested = (backend for backend in BACKENDS.values() if not backend.on_request)
    return next(backend for backend in unrequested if backend.unavailable_reason(*tensors) is None)


def _named(name: str, source: str) -> Backend:
    if name not in BACKENDS:
        raise InputError(f"{source}: no scan backend is called '{name}'; known: {', '.join(BACKENDS)}")
    return BACKENDS[name]
