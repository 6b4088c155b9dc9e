"""Both scans as plain operators of torch, for files that must run where this package is not installed.

The recurrence is torch's loop over a sequence, ``scan``, which ``torch.onnx`` translates to ONNX's ``Scan``.
It keeps one state and multiplies it only by decays between 0 and 1, as ``reference.py`` does, so that nothing
overflows on long sequences. Shape letters: L steps, b batch, g groups that share B and C, e channels of a
group, d channels, n state, r rank of delta.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from m3amba_zoo.ops import operators as operators  # defines the operators


def decompositions() -> dict[Any, Callable[..., Tensor]]:
    """Return what replaces each operator, as ``ExportedProgram.run_decompositions`` takes it."""
    scans = torch.ops.m3amba_zoo
    return {scans.selective_scan.default: selective_scan, scans.selective_scan_2d.default: selective_scan_2d}


def selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor, softplus: bool,
    backend: str = "",
) -> Tensor:  # fmt: skip
    """Scan as the operator does: u, delta ``(b, d, L)``, A ``(d, n)``, B, C ``(b, g, n, L)``; no backend."""
    groups = B.shape[1]
    delta = delta + delta_bias[:, None]
    delta = _softplus(delta) if softplus else delta
    u_Lbge, delta_Lbge = (x.permute(2, 0, 1).unflatten(2, (groups, -1)).contiguous() for x in (u, delta))
    B_Lbgn, C_Lbgn = (x.permute(3, 0, 1, 2).contiguous() for x in (B, C))
    y_Lbge = _along(u_Lbge, delta_Lbge, A.unflatten(0, (groups, -1)), B_Lbgn, C_Lbgn)
    return y_Lbge.flatten(2).permute(1, 2, 0) + D[:, None] * u


def selective_scan_2d(
    u: Tensor, dt: Tensor, dt_weight: Tensor, dt_bias: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor,
    backend: str = "",
) -> Tensor:  # fmt: skip
    """Scan a map as the operator does: u ``(b, H, W, d)``, dt, B, C ``(b, H, W, 4, r or n)``; no backend."""
    height, width = u.shape[1:3]
    given = (u[:, :, :, None].expand(-1, -1, -1, 4, -1), dt, B, C)
    ordered = _in_orders(torch.cat(given, dim=-1)).split([x.shape[-1] for x in given], dim=-1)
    x, dt, B, C = (part.contiguous() for part in ordered)
    delta = _softplus(torch.einsum("lbkr,kdr->lbkd", dt, dt_weight) + dt_bias)
    y = _along(x, delta, A, B, C) + D * x
    ahead, back = y.chunk(2, dim=2)
    rows, columns = (ahead + back.flip(0)).unbind(2)
    by_rows = rows.unflatten(0, (height, width)).permute(2, 0, 1, 3)
    return by_rows + columns.unflatten(0, (width, height)).permute(2, 1, 0, 3)


def _in_orders(x: Tensor) -> Tensor:
    """Return ``(b, H, W, 4, c)`` as ``(H W, b, 4, c)``, each direction's positions in its order."""
    rows, columns = x.permute(1, 2, 0, 3, 4).flatten(0, 1), x.permute(2, 1, 0, 3, 4).flatten(0, 1)
    ahead = torch.stack((rows[:, :, 0], columns[:, :, 1]), dim=2)
    back = torch.stack((rows[:, :, 2], columns[:, :, 3]), dim=2)
    return torch.cat((ahead, back.flip(0)), dim=2)


def _softplus(x: Tensor) -> Tensor:
    """Return log(1 + exp(x)), as exact as onnxruntime's Softplus and in less than half its time.

    The logarithm of a rounded 1 + t, t / ((1 + t) - 1) times as large, is log(1 + t) (W. Kahan).
    """
    t = torch.exp(-x.abs())
    rounded = 1 + t
    return x.relu() + torch.where(rounded == 1, t, torch.log(rounded) * t / (rounded - 1))


def _along(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """Return y without D u, of u and delta ``(L, b, g, e)``, A ``(g, e, n)``, B and C ``(L, b, g, n)``.

    The state is ``(b, g, n, e)``, because runtimes broadcast fastest along a long last axis. What is scanned
    must be contiguous: torch cannot trace a loop over views whose sizes are symbols.
    """
    from torch._higher_order_ops.scan import scan  # documented since torch 2.8, without a public name

    A_gne = A.transpose(1, 2).contiguous()

    def step(h: Tensor, given: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        delta_t, driven_t, B_t, C_t = given
        h = torch.exp(delta_t[:, :, None] * A_gne) * h + B_t[..., None] * driven_t[:, :, None]
        return h, (C_t[..., None] * h).sum(2)

    start = u.new_zeros(u.shape[1], *A_gne.shape)
    return scan(step, start, (delta, delta * u, B, C))[1]
