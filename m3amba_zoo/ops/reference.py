"""The selective scan in plain torch, step by step: it serves every call and checks every other backend.

h_t = exp(delta_t A) h_(t-1) + delta_t B_t u_t, y_t = C_t h_t + D u_t (Mamba, arXiv 2312.00752, eq. 2 to 4).
Shape letters: b batch, d channels, n state, g groups that share B and C, L steps, r rank of delta.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

FAST_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def refusal(tensors: Iterable[Tensor], device_type: str) -> str | None:
    """Return why a fast backend on ``cpu`` or ``cuda`` cannot take these tensors, or None if it can."""
    place = {"cpu": "on the CPU", "cuda": "on CUDA devices"}[device_type]
    first = None
    for tensor in tensors:
        first = tensor.device if first is None else first
        if tensor.device.type != device_type:
            return f"a tensor lies on {tensor.device}, this backend runs {place}"
        if tensor.device != first:
            return f"tensors lie on {first} and {tensor.device}, this backend runs on one device"
        if tensor.dtype not in FAST_DTYPES:
            dtype = str(tensor.dtype).removeprefix("torch.")
            return f"a tensor is {dtype}, this backend takes float32, bfloat16 and float16"
    return None


def state_dtype(*tensors: Tensor) -> torch.dtype:
    """Return the dtype that a scan of these tensors computes in: float64 if any is, else float32."""
    return torch.float64 if any(x.dtype == torch.float64 for x in tensors) else torch.float32


def selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor, *,
    softplus: bool,
) -> Tensor:  # fmt: skip
    """Scan u, delta ``(b, d, L)`` with A ``(d, n)``, B, C ``(b, g, n, L)`` and D, delta_bias ``(d,)``."""
    dtype = state_dtype(u, delta, A, B, C, D, delta_bias)
    x, delta, A, B, C, D, bias = (t.to(dtype) for t in (u, delta, A, B, C, D, delta_bias))
    delta = delta + bias[:, None]
    if softplus:
        delta = F.softplus(delta)
    repeats = u.shape[1] // B.shape[1]
    B, C = B.repeat_interleave(repeats, 1), C.repeat_interleave(repeats, 1)  # (b, d, n, L)
    decay = torch.exp(torch.einsum("bdl,dn->bdln", delta, A))
    drive = torch.einsum("bdl,bdnl,bdl->bdln", delta, B, x)
    h = x.new_zeros(u.shape[0], *A.shape)
    ys = []
    for decay_t, drive_t, C_t in zip(decay.unbind(2), drive.unbind(2), C.unbind(3), strict=True):
        h = decay_t * h + drive_t
        ys.append(torch.einsum("bdn,bdn->bd", h, C_t))
    y = torch.stack(ys, 2) if ys else torch.zeros_like(x)
    return (y + D[:, None] * x).to(u.dtype)


def in_order(x: Tensor, direction: int) -> Tensor:
    """Return ``(b, H, W, c)`` as ``(b, c, H W)``, its positions in the order of a direction.

    Direction 0 is row-major, 1 is column-major, 2 and 3 are these reversed.
    """
    x = x.permute(0, 3, 1, 2) if direction % 2 == 0 else x.permute(0, 3, 2, 1)
    x = x.flatten(2)
    return x.flip(2) if direction >= 2 else x


def in_place(y: Tensor, direction: int, height: int, width: int) -> Tensor:
    """Undo :func:`in_order`: ``(b, c, H W)`` to ``(b, H, W, c)``."""
    y = y.flip(2) if direction >= 2 else y
    if direction % 2 == 0:
        return y.unflatten(2, (height, width)).permute(0, 2, 3, 1)
    return y.unflatten(2, (width, height)).permute(0, 3, 2, 1)


def selective_scan_2d(
    u: Tensor, dt: Tensor, dt_weight: Tensor, dt_bias: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, *,
    scan: Callable[..., Tensor] = selective_scan,
) -> Tensor:  # fmt: skip
    """Scan ``u (b, H, W, d)`` in four directions, one after the other, each from a copy in its order.

    Shapes as in :func:`m3amba_zoo.ops.selective_scan_2d`; ``scan`` scans one direction.
    """
    dtype = state_dtype(u, dt, dt_weight, dt_bias, A, B, C, D)
    total = torch.zeros(u.shape, dtype=dtype, device=u.device)
    for k in range(4):
        x = in_order(u, k).to(dtype)
        delta = dt_weight[k].to(dtype) @ in_order(dt[..., k, :], k).to(dtype)
        B_k, C_k = in_order(B[..., k, :], k)[:, None], in_order(C[..., k, :], k)[:, None]
        total = total + in_place(
            scan(x, delta, A[k], B_k, C_k, D[k], dt_bias[k], softplus=True), k, *u.shape[1:3]
        )
    return total.to(u.dtype)


class ReferenceBackend:
    """Plain torch on any device, any floating dtype; float64 when an input is float64."""

    name = "reference"
    on_request = False

    def unavailable_reason(self, *tensors: Tensor) -> str | None:
        """Return None: it serves every call."""
        return None

    def forward(self, *inputs: Tensor, softplus: bool) -> Tensor:
        """Return y of :func:`selective_scan`."""
        return selective_scan(*inputs, softplus=softplus)

    def backward(self, grad: Tensor, *inputs: Tensor, softplus: bool) -> tuple[Tensor, ...]:
        """Return the gradient of each input, by torch's own differentiation."""
        return torch.func.vjp(lambda *x: selective_scan(*x, softplus=softplus), *inputs)[1](grad)

    def forward_2d(self, *inputs: Tensor) -> Tensor:
        """Return y of :func:`selective_scan_2d`."""
        return selective_scan_2d(*inputs)

    def backward_2d(self, grad: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the gradient of each input, by torch's own differentiation."""
        return torch.func.vjp(selective_scan_2d, *inputs)[1](grad)
