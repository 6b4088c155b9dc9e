"""The backend ``mamba_ssm``: the CUDA kernels of the package mamba-ssm, if it is installed."""

from __future__ import annotations

import functools
import importlib
from typing import Any

import torch
from torch import Tensor

from m3amba_zoo.ops.reference import refusal, selective_scan_2d


class MambaSsmBackend:
    """mamba-ssm's selective scan of CUDA tensors; a map is copied once per direction."""

    name = "mamba_ssm"
    on_request = False

    def unavailable_reason(self, *tensors: Tensor) -> str | None:
        """Return why it cannot serve these tensors, or None."""
        failure = _import()[1]
        if failure is not None:
            return failure
        if not torch.cuda.is_available():
            return "torch finds no CUDA device"
        return refusal(tensors, "cuda")

    def forward(self, *inputs: Tensor, softplus: bool) -> Tensor:
        """Return y of the scan of sequences."""
        return _call(_Context(), *inputs, softplus=softplus).to(inputs[0].dtype)

    def backward(self, grad: Tensor, *inputs: Tensor, softplus: bool) -> tuple[Tensor, ...]:
        """Return the gradient of each input of the scan of sequences."""
        context = _Context()
        y = _call(context, *inputs, softplus=softplus)
        grad = grad.to(y.dtype).contiguous()
        du, ddelta, dA, dB, dC, dD, _, dbias, *_ = _import()[0].backward(context, grad)
        gradients = du, ddelta, dA, dB, dC, dD, dbias
        return tuple(g.to(x.dtype) for g, x in zip(gradients, inputs, strict=True))

    def forward_2d(self, *inputs: Tensor) -> Tensor:
        """Return y of the scan of maps."""
        return selective_scan_2d(*inputs, scan=self.forward)

    def backward_2d(self, grad: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the gradient of each input of the scan of maps."""

        def scan(*inputs: Tensor, softplus: bool) -> Tensor:
            return _Scan.apply(self, softplus, *inputs)

        return torch.func.vjp(functools.partial(selective_scan_2d, scan=scan), *inputs)[1](grad)


class _Context:
    """Stands for autograd's context, in which SelectiveScanFn stores tensors and attributes."""

    saved_tensors: tuple[Tensor, ...] = ()

    def save_for_backward(self, *tensors: Tensor) -> None:
        self.saved_tensors = tensors


class _Scan(torch.autograd.Function):
    """The scan of sequences in the form that torch.func.vjp needs; SelectiveScanFn has another."""

    @staticmethod
    def forward(backend: MambaSsmBackend, softplus: bool, *inputs: Tensor) -> Tensor:
        return backend.forward(*inputs, softplus=softplus)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.backend, ctx.softplus, *tensors = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        return None, None, *ctx.backend.backward(grads[0], *ctx.saved_tensors, softplus=ctx.softplus)


def _call(context: _Context, *inputs: Tensor, softplus: bool) -> Tensor:
    """Run SelectiveScanFn, which wants u, delta, B and C in one dtype and A, D and the bias in float32."""
    u, delta, A, B, C, D, bias = inputs
    dtype = functools.reduce(torch.promote_types, (x.dtype for x in (u, delta, B, C)))
    u, delta, B, C = (x.to(dtype).contiguous() for x in (u, delta, B, C))
    A, D, bias = (x.float().contiguous() for x in (A, D, bias))
    return _import()[0].forward(context, u, delta, A, B, C, D, None, bias, softplus)


@functools.cache
def _import() -> tuple[Any, str | None]:
    """Return mamba-ssm's SelectiveScanFn, or why it cannot be imported."""
    try:
        return importlib.import_module("mamba_ssm.ops.selective_scan_interface").SelectiveScanFn, None
    except ModuleNotFoundError:
        return None, "mamba-ssm is not installed (pip install m3amba_zoo[cuda])"
    except Exception as error:  # a build for another torch or CUDA fails in many ways
        return None, f"mamba-ssm cannot be imported: {type(error).__name__}: {error}"
