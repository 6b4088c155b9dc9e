"""The reference's recurrence through torch.compile, sixteen steps a graph: one of all steps takes too long.

Shape letters: b batch, d channels, n state, g groups that share B and C, L steps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

STEPS = 16
COMPILER = "inductor"


def compiled_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    delta_bias: Tensor,
    *,
    softplus: bool,
) -> Tensor:
    """Scan u, delta ``(b, d, L)`` with A ``(d, n)``, B, C ``(b, g, n, L)`` and D, delta_bias ``(d,)``.

    State and output are float32, or float64 where A is.
    """
    h = A.new_zeros(u.shape[0], B.shape[1], u.shape[1] // B.shape[1], A.shape[1])
    ys = []
    for chunk in zip(*(x.split(STEPS, -1) for x in (u, delta, B, C)), strict=True):
        y, h = _compiled(COMPILER)(h, *chunk, A, D, delta_bias, softplus)
        ys.append(y)
    return torch.cat(ys, -1)


def _advance(
    h: Tensor,
    u: Tensor,
    delta: Tensor,
    B: Tensor,
    C: Tensor,
    A: Tensor,
    D: Tensor,
    bias: Tensor,
    softplus: bool,
) -> tuple[Tensor, Tensor]:
    """Return y of some steps and the state ``(b, g, d / g, n)`` behind them."""
    groups = B.shape[1]
    u, B, C = (x.to(A.dtype) for x in (u, B, C))
    step = delta.to(A.dtype) + bias[:, None]
    step = F.softplus(step) if softplus else step
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
