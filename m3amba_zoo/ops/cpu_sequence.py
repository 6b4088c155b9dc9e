"""The CPU scan of sequences ``(b, d, L)``, forward and backward, over a range of work items.

The caller shares the items out to threads. Each owns the outputs it writes, so results do not depend on the
number of threads. Arrays are flat, float32 and contiguous, B and C laid as ``(b, g, L, n)``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from m3amba_zoo.ops.compilation import kernel
from m3amba_zoo.ops.cpu_tile import (
    STEPS,
    ZERO,
    advance,
    aligned,
    copy,
    copy_out,
    make_delta,
    make_delta_and_slope,
    move,
    pack,
    rescan,
    scan,
    scan_backward,
    through_slope,
    unpack,
)
from m3amba_zoo.ops.simd import LANES, fill, prefetch, store, transpose


@njit
def rows_to_tile(tile, source, start, stride, channels, steps, next_tile):
    """Read channels that lie along their steps, ``stride`` apart, and turn them into a tile.

    The tile ``next_tile`` steps further on is asked for meanwhile: so many rows, each in a page of its own,
    are more than the processor foresees by itself.
    """
    for i in range(LANES):
        if i < channels:
            copy(tile, i * LANES, source, start + i * stride, steps)
            prefetch(source, start + i * stride + next_tile)
        else:
            store(tile, i * LANES, fill(ZERO))
    transpose(tile, 0)


@njit
def tile_to_rows(target, start, stride, tile, channels, steps, next_tile):
    """Undo :func:`rows_to_tile`; the tile is spoilt."""
    transpose(tile, 0)
    for i in range(channels):
        copy_out(target, start + i * stride, tile, i * LANES, steps)
        prefetch(target, start + i * stride + next_tile)


@kernel
def forward(
    first, last, u, delta, A, B, C, D, bias, y, channels, length, n, groups, through_softplus,
):  # fmt: skip
    """Scan items ``first`` to ``last``; item = (batch, group, block of 16 channels)."""
    size = channels // groups
    blocks = (size + LANES - 1) // LANES
    order = np.arange(STEPS)
    rates, h, skip, shift = aligned(n * LANES), aligned(n * LANES), aligned(LANES), aligned(LANES)
    x, step, out = aligned(STEPS * LANES), aligned(STEPS * LANES), aligned(STEPS * LANES)
    for item in range(first, last):
        sequence, block = item // blocks, item % blocks
        batch, channel = sequence // groups, sequence % groups * size + block * LANES
        count = min(LANES, size - block * LANES)
        pack(rates, A, channel * n, n, count)
        pack(skip, D, channel, 1, count)
        pack(shift, bias, channel, 1, count)
        h[:] = 0
        for t in range(0, length, STEPS):
            steps = min(STEPS, length - t)
            start = (batch * channels + channel) * length + t
            rows_to_tile(x, u, start, length, count, steps, STEPS)
            rows_to_tile(step, delta, start, length, count, steps, STEPS)
            make_delta(step, shift, through_softplus)
            out[:] = 0
            at = (sequence * length + t) * n
            scan(steps, n, order, 0, x, step, rates, skip, B, at, n, C, at, n, h, out)
            tile_to_rows(y, start, length, out, count, steps, STEPS)


@kernel
def backward(
    first, last, dy, u, delta, A, B, C, D, bias, du, ddelta, dA, dB, dC, dD, dbias,
    channels, length, n, groups, parts, through_softplus,
):  # fmt: skip
    """Gradients of items ``first`` to ``last``; item = (batch, group, part of the group's blocks).

    dA ``(b, d, n)``, dD and dbias ``(b, d)`` are yet to be summed over b; dB and dC
    ``(parts, b, g, L, n rounded up to 16)``, zero at first, over the parts. A state is kept at the first step
    of every tile; the others are recomputed.
    """
    size = channels // groups
    blocks = (size + LANES - 1) // LANES
    sequences = len(dD) // channels * groups
    wide = (n + LANES - 1) // LANES * LANES
    order = np.arange(STEPS)
    rates, skip, shift = aligned(n * LANES), aligned(LANES), aligned(LANES)
    dh, drates, dskip, dshift = aligned(n * LANES), aligned(n * LANES), aligned(LANES), aligned(LANES)
    x, step, slope, dout = (
        aligned(STEPS * LANES), aligned(STEPS * LANES), aligned(STEPS * LANES), aligned(STEPS * LANES),
    )  # fmt: skip
    dx, dstep = aligned(STEPS * LANES), aligned(STEPS * LANES)
    decays, states = aligned(STEPS * n * LANES), aligned((1 + STEPS) * n * LANES)
    kept = aligned((length + STEPS - 1) // STEPS * n * LANES)
    products = aligned(2 * wide * LANES)
    for item in range(first, last):
        sequence, part = item // parts, item % parts
        batch = sequence // groups
        for block in range(part * blocks // parts, (part + 1) * blocks // parts):
            channel = sequence % groups * size + block * LANES
            count = min(LANES, size - block * LANES)
            pack(rates, A, channel * n, n, count)
            pack(skip, D, channel, 1, count)
            pack(shift, bias, channel, 1, count)
            states[: n * LANES] = 0
            for t in range(0, length, STEPS):
                steps = min(STEPS, length - t)
                start = (batch * channels + channel) * length + t
                rows_to_tile(x, u, start, length, count, steps, STEPS)
                rows_to_tile(step, delta, start, length, count, steps, STEPS)
                make_delta(step, shift, through_softplus)
                at = (sequence * length + t) * n
                move(kept, t * n, states, 0, n)
                advance(steps, n, order, 0, x, step, rates, B, at, n, states)
            for state in (dh, drates, dskip, dshift):
                state[:] = 0
            for t in range((length - 1) // STEPS * STEPS, -1, -STEPS):
                steps = min(STEPS, length - t)
                start = (batch * channels + channel) * length + t
                rows_to_tile(x, u, start, length, count, steps, -STEPS)
                rows_to_tile(dout, dy, start, length, count, steps, -STEPS)
                rows_to_tile(step, delta, start, length, count, steps, -STEPS)
                make_delta_and_slope(step, slope, shift, through_softplus)
                at = (sequence * length + t) * n
                move(states, 0, kept, t * n, n)
                rescan(steps, n, order, 0, x, step, rates, B, at, n, decays, states)
                at_d = ((part * sequences + sequence) * length + t) * wide
                dx[:] = 0
                scan_backward(
                    steps, n, order, 0, x, step, rates, skip, B, at, n, C, at, n, decays, states,
                    dout, dh, dx, dstep, drates, dskip, dB, dC, at_d, wide, products,
                )  # fmt: skip
                through_slope(steps, dstep, slope, dshift)
                tile_to_rows(du, start, length, dx, count, steps, -STEPS)
                tile_to_rows(ddelta, start, length, dstep, count, steps, -STEPS)
            row = batch * channels + channel
            unpack(dA, row * n, drates, n, count)
            unpack(dD, row, dskip, 1, count)
            unpack(dbias, row, dshift, 1, count)
