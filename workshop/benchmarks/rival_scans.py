"""The scan of sequences as others run it: a loop in torch, mambapy's parallel scan, and torch.compile.

Arguments as in :func:`m3amba_zoo.ops.selective_scan`, all given, with B and C ``(b, g, n, L)``.
Shape letters: b batch, d channels, n state, g groups that share B and C, L steps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor

STEPS = 16  # of one compiled graph; a graph of all steps takes too long to compile
COMPILER = "inductor"


def lean_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor
) -> Tensor:
    """Scan step by step, with the exponential inside each step: no array ``(b, d, L, n)`` is built."""
    groups = B.shape[1]
    step = F.softplus(delta + delta_bias[:, None])
    by_step = [x.unflatten(1, (groups, -1)).movedim(-1, 0).contiguous() for x in (step, step * u)]
    rates = A.unflatten(0, (groups, -1))
    h = torch.zeros((), dtype=u.dtype)
    ys = []
    for step_t, drive_t, B_t, C_t in zip(*by_step, B.movedim(-1, 0), C.movedim(-1, 0), strict=True):
        h = torch.exp(step_t[..., None] * rates) * h + drive_t[..., None] * B_t[:, :, None]
        ys.append((h @ C_t[..., None]).flatten(1))
    return torch.stack(ys, -1) + D[:, None] * u


def mambapy_missing() -> str | None:
    """Return why mambapy cannot be compared with, or None."""
    return None if find_spec("mambapy") else "mambapy is not installed"


def mambapy_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor
) -> Tensor:
    """Scan by mambapy's ``pscan`` as its ``MambaBlock.selective_scan`` does, extended to g groups."""
    from mambapy.pscan import pscan

    repeats = u.shape[1] // B.shape[1]
    u, step = u.mT, F.softplus(delta.mT + delta_bias)  # (b, L, d)
    B, C = (x.repeat_interleave(repeats, 1).permute(0, 3, 1, 2) for x in (B, C))  # (b, L, d, n)
    h = pscan(torch.exp(step[..., None] * A), step[..., None] * B * u[..., None])
    return ((h * C).sum(-1) + D * u).mT


def compiled_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor
) -> Tensor:
    """Scan by the step-by-step recurrence through torch.compile; state and output have A's dtype."""
    h = A.new_zeros(u.shape[0], B.shape[1], u.shape[1] // B.shape[1], A.shape[1])
    ys = []
    for chunk in zip(*(x.split(STEPS, -1) for x in (u, delta, B, C)), strict=True):
        y, h = _compiled(COMPILER)(h, *chunk, A, D, delta_bias)
        ys.append(y)
    return torch.cat(ys, -1)


def _advance(
    h: Tensor, u: Tensor, delta: Tensor, B: Tensor, C: Tensor, A: Tensor, D: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    """Return y of some steps and the state ``(b, g, d / g, n)`` after them."""
    groups = B.shape[1]
    u, B, C = (x.to(A.dtype) for x in (u, B, C))
    step = F.softplus(delta.to(A.dtype) + bias[:, None])
    rates = A.unflatten(0, (groups, -1))
    steps, drives = (x.unflatten(1, (groups, -1)) for x in (step, step * u))
    ys = []
    for t in range(u.shape[-1]):
        h = torch.exp(steps[..., t, None] * rates) * h + drives[..., t, None] * B[:, :, None, :, t]
        ys.append((h * C[:, :, None, :, t]).sum(-1).flatten(1))
    return torch.stack(ys, -1) + D[:, None] * u, h


@functools.cache
def _compiled(compiler: str) -> Callable[..., tuple[Tensor, Tensor]]:
    return torch.compile(_advance, backend=compiler, dynamic=False)
