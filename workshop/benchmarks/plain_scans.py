"""The selective scan as others run it on a CPU: a loop in torch, and mambapy's parallel scan.

Shape letters: b batch, d channels, n state, g groups that share B and C, L steps.
"""

from __future__ import annotations

from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor


def lean_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor
) -> Tensor:
    """Scan step by step, with the exponential inside each step: nothing of shape ``(b, d, L, n)`` is built.

    Arguments as of :func:`m3amba_zoo.ops.selective_scan`, B and C ``(b, g, n, L)``.
    """
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
    """Say why mambapy cannot be compared with, or None."""
    return None if find_spec("mambapy") else "mambapy is not installed"


def mambapy_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor
) -> Tensor:
    """Scan by mambapy's ``pscan`` around it what its ``MambaBlock.selective_scan`` does, for g groups.

    Arguments as of :func:`lean_scan`.
    """
    from mambapy.pscan import pscan

    repeats = u.shape[1] // B.shape[1]
    u, step = u.mT, F.softplus(delta.mT + delta_bias)  # (b, L, d)
    B, C = (x.repeat_interleave(repeats, 1).permute(0, 3, 1, 2) for x in (B, C))  # (b, L, d, n)
    h = pscan(torch.exp(step[..., None] * A), step[..., None] * B * u[..., None])
    return ((h * C).sum(-1) + D * u).mT
