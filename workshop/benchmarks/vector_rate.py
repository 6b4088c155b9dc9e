"""The machine's vector operations per second: independent fused multiply-adds in registers."""

from __future__ import annotations

import numpy as np
import torch

from m3amba_zoo.ops.cpu import share
from m3amba_zoo.ops.cpu_numba import LANES, compile_for, fill, kernel, load, store
from workshop.benchmarks.measuring import median_seconds

CHAINS = 10  # hides a latency of 4 cycles on two units, and fits AVX2's 16 registers of 8 numbers
ROUNDS = 2_000_000
ITEMS_PER_THREAD = 4


@kernel
def multiply_add(first, last, out, rounds):
    """Do ``rounds`` times ten vector multiply-adds per item; out ``(items, 10, 16)``, flat."""
    scale, shift = fill(np.float32(0.999)), fill(np.float32(0.001))
    for item in range(first, last):
        at = item * CHAINS * LANES
        a, b = load(out, at), load(out, at + LANES)
        c, d = load(out, at + 2 * LANES), load(out, at + 3 * LANES)
        e, f = load(out, at + 4 * LANES), load(out, at + 5 * LANES)
        g, h = load(out, at + 6 * LANES), load(out, at + 7 * LANES)
        i, j = load(out, at + 8 * LANES), load(out, at + 9 * LANES)
        for _ in range(rounds):
            a, b = a * scale + shift, b * scale + shift
            c, d = c * scale + shift, d * scale + shift
            e, f = e * scale + shift, f * scale + shift
            g, h = g * scale + shift, h * scale + shift
            i, j = i * scale + shift, j * scale + shift
        store(out, at, a + b + c + d + e + f + g + h + i + j)


def operations_per_second(rounds: int = ROUNDS) -> float:
    """Return the measured number of operations per second on 16 float32 numbers, with all torch threads."""
    threads = torch.get_num_threads()
    items = threads * ITEMS_PER_THREAD
    arguments = (np.ones(items * CHAINS * LANES, dtype=np.float32), rounds)
    compile_for(multiply_add, (0, items, *arguments))
    return items * rounds * CHAINS / median_seconds(lambda: share(multiply_add, items, threads, *arguments))
