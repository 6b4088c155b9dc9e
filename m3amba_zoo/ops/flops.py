"""The floating-point operations of both scans for torch's FLOP counter; importing registers the formulas.

They are not in ``operators.py`` because ``torch.utils.flop_counter`` imports Triton. An update advances one
number of the state by one step, h = exp(delta A) h + (delta u) B, y = y + C h, in seven operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch.utils.flop_counter import register_flop_formula, sdpa_flop_count

from m3amba_zoo.ops import operators as operators  # defines the operators

PER_UPDATE = 7  # delta A, its exponential, three for h, two for y
PER_STEP = 3  # delta u, and D u added to y
Shape = Sequence[int]


@register_flop_formula(torch.ops.m3amba_zoo.selective_scan)
def selective_scan_flops(u: Shape, delta: Shape, A: Shape, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """Return the operations of u ``(b, d, L)`` with A ``(d, n)``."""
    return prod(u) * (PER_UPDATE * A[1] + PER_STEP)


@register_flop_formula(torch.ops.m3amba_zoo.selective_scan_2d)
def selective_scan_2d_flops(
    u: Shape, dt: Shape, dt_weight: Shape, dt_bias: Shape, A: Shape, *_: Any, out_shape: Any = None, **__: Any
) -> int:
    """Return the operations of u ``(b, H, W, d)`` in four directions, with delta = weight dt."""
    directions, _d, n = A
    return directions * prod(u) * (PER_UPDATE * n + PER_STEP + 2 * dt[-1])


def _attention_flops(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    """Return the operations of query, key and value ``(b, heads, tokens, length)``."""
    return sdpa_flop_count(query, key, value)


# an operator of torch's own for which it has no formula: attention in one step on a CPU
LACKING = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}
