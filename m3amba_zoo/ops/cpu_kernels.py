"""The CPU scans of sequences and of feature maps, forward and backward, over a range of work items.

The caller shares the items out to threads. Each item owns the outputs it writes, so results do not depend on
the number of threads. Arrays are flat and float32. Sequences are ``(b, d, L)``, B and C ``(b, g, L, n)``.

Maps ``(b, H, W, d)`` are scanned in four directions without reordering them in memory: an item copies its
sixteen channels of all positions once, visits them in four orders, and writes the sum back once. The step
sizes are made from their low-rank factors one tile at a time and are never stored as a whole. dt, B and C may
have gaps: ``strides`` holds the distances between positions and between directions in dt, B and C, in this
order. ``order (4, L rounded up to 16)`` holds the positions in the order of each direction, the last one
repeated to the end of its tile.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from m3amba_zoo.ops.cpu_numba import LANES, fill, kernel, load, prefetch, spread, store, transpose
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


@njit
def rows_to_tile(tile, source, start, stride, channels, steps, next_tile):
    """Read rows of channels, ``stride`` apart, and transpose them into a tile ``(steps, 16 channels)``.

    The tile ``next_tile`` steps further on is prefetched: the processor cannot foresee accesses to so many
    rows, each in its own memory page.
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
    """Undo :func:`rows_to_tile`; overwrites the tile."""
    transpose(tile, 0)
    for i in range(channels):
        copy_out(target, start + i * stride, tile, i * LANES, steps)
        prefetch(target, start + i * stride + next_tile)


@kernel
def sequence_forward(
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
def sequence_backward(
    first, last, dy, u, delta, A, B, C, D, bias, du, ddelta, dA, dB, dC, dD, dbias,
    channels, length, n, groups, parts, through_softplus,
):  # fmt: skip
    """Gradients of items ``first`` to ``last``; item = (batch, group, part of the group's blocks).

    The caller sums dA ``(b, d, n)``, dD and dbias ``(b, d)`` over b, and dB and dC
    ``(parts, b, g, L, n rounded up to 16)``, which start at zero, over the parts. Storing every state would
    take n times the input's memory, so only the first of each tile is stored and the others are recomputed.
    """
    size = channels // groups
    blocks = (size + LANES - 1) // LANES
    sequences = len(dD) // channels * groups
    wide = (n + LANES - 1) // LANES * LANES
    order = np.arange(STEPS)
    rates, skip, shift = aligned(n * LANES), aligned(LANES), aligned(LANES)
    dh, drates, dskip, dshift = aligned(n * LANES), aligned(n * LANES), aligned(LANES), aligned(LANES)
    x, step, slope = aligned(STEPS * LANES), aligned(STEPS * LANES), aligned(STEPS * LANES)
    dout, dx, dstep = aligned(STEPS * LANES), aligned(STEPS * LANES), aligned(STEPS * LANES)
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


@njit
def project(tile, dt, base, stride, order, first, weight, rank):
    """Make a tile of delta = weight dt from its low-rank factors, weight ``(rank, 16)``.

    Four steps are made together, so that they share each read of a weight.
    """
    for t in range(0, STEPS, 4):
        at_a, at_b = base + stride * order[first + t], base + stride * order[first + t + 1]
        at_c, at_d = base + stride * order[first + t + 2], base + stride * order[first + t + 3]
        a = b = c = d = fill(ZERO)
        for r in range(rank):
            w = load(weight, r * LANES)
            a = a + w * spread(dt, at_a + r)
            b = b + w * spread(dt, at_b + r)
            c = c + w * spread(dt, at_c + r)
            d = d + w * spread(dt, at_d + r)
        store(tile, t * LANES, a)
        store(tile, (t + 1) * LANES, b)
        store(tile, (t + 2) * LANES, c)
        store(tile, (t + 3) * LANES, d)


@njit
def project_backward(
    draw, dt, base, stride, order, first, weight_rows, rank, dweight, ddt, base_d, stride_d,
):  # fmt: skip
    """Add to dweight ``(rank, 16)`` and to the rows of ddt, whose length is the rank rounded up to 16.

    ``draw``, the gradient of delta before softplus, is zero beyond the last step. ``weight_rows`` is
    ``(16, rank rounded up to 16)``: with the factors in the lanes, ddt needs no sum across lanes.
    """
    wide = (rank + LANES - 1) // LANES * LANES
    for t in range(0, STEPS, 4):
        at_a, at_b = base + stride * order[first + t], base + stride * order[first + t + 1]
        at_c, at_d = base + stride * order[first + t + 2], base + stride * order[first + t + 3]
        a, b = load(draw, t * LANES), load(draw, (t + 1) * LANES)
        c, d = load(draw, (t + 2) * LANES), load(draw, (t + 3) * LANES)
        for r in range(rank):
            total = load(dweight, r * LANES) + a * spread(dt, at_a + r) + b * spread(dt, at_b + r)
            store(dweight, r * LANES, total + c * spread(dt, at_c + r) + d * spread(dt, at_d + r))
        for r in range(0, wide, LANES):
            a = b = c = d = fill(ZERO)
            for i in range(LANES):
                w = load(weight_rows, i * wide + r)
                a = a + w * spread(draw, t * LANES + i)
                b = b + w * spread(draw, (t + 1) * LANES + i)
                c = c + w * spread(draw, (t + 2) * LANES + i)
                d = d + w * spread(draw, (t + 3) * LANES + i)
            for s, factors in ((t, a), (t + 1, b), (t + 2, c), (t + 3, d)):
                at = base_d + stride_d * order[first + s] + r
                store(ddt, at, load(ddt, at) + factors)


@njit
def take(target, source, start, positions, channels, count):
    """Copy ``count`` channels of every position to ``target (positions, 16)``."""
    for p in range(positions):
        copy(target, p * LANES, source, start + p * channels, count)


@njit
def put(target, start, source, positions, channels, count):
    """Undo :func:`take`."""
    for p in range(positions):
        copy_out(target, start + p * channels, source, p * LANES, count)


@kernel
def map_forward(
    first, last, u, dt, weight, bias, A, B, C, D, y, order, strides, channels, length, n, rank,
):  # fmt: skip
    """Scan items ``first`` to ``last``; item = (batch, block of 16 channels)."""
    blocks = (channels + LANES - 1) // LANES
    padded = (length + STEPS - 1) // STEPS * STEPS
    rates, h, weights = aligned(n * LANES), aligned(n * LANES), aligned(rank * LANES)
    skip, shift, step = aligned(LANES), aligned(LANES), aligned(STEPS * LANES)
    x, out = aligned(length * LANES), aligned(length * LANES)
    for item in range(first, last):
        start, channel = item // blocks * length, item % blocks * LANES
        count = min(LANES, channels - channel)
        take(x, u, start * channels + channel, length, channels, count)
        out[:] = 0
        for k in range(4):
            row = k * channels + channel
            pack(rates, A, row * n, n, count)
            pack(weights, weight, row * rank, rank, count)
            pack(skip, D, row, 1, count)
            pack(shift, bias, row, 1, count)
            at_dt = start * strides[0] + k * strides[1]
            at_B, at_C = start * strides[2] + k * strides[3], start * strides[4] + k * strides[5]
            h[:] = 0
            for t in range(0, length, STEPS):
                steps, at = min(STEPS, length - t), k * padded + t
                project(step, dt, at_dt, strides[0], order, at, weights, rank)
                make_delta(step, shift, True)
                scan(
                    steps, n, order, at, x, step, rates, skip,
                    B, at_B, strides[2], C, at_C, strides[4], h, out,
                )  # fmt: skip
        put(y, start * channels + channel, out, length, channels, count)


@kernel
def map_backward(
    first, last, dy, u, dt, weight, bias, A, B, C, D, du, ddt, dweight, dbias, dA, dB, dC, dD,
    order, strides, channels, length, n, rank, parts,
):  # fmt: skip
    """Gradients of items ``first`` to ``last``; item = (batch, part of the blocks of channels).

    The caller sums dweight ``(b, 4, d, r)``, dbias and dD ``(b, 4, d)`` and dA ``(b, 4, d, n)`` over b, and
    ddt ``(parts, b, 4, L, r rounded up to 16)``, dB and dC (likewise), which start at zero, over the parts.
    States are stored and recomputed as in :func:`sequence_backward`.
    """
    blocks = (channels + LANES - 1) // LANES
    padded = (length + STEPS - 1) // STEPS * STEPS
    batches = len(dD) // (4 * channels)
    wide, wide_rank = (n + LANES - 1) // LANES * LANES, (rank + LANES - 1) // LANES * LANES
    rates, weights, skip, shift = aligned(n * LANES), aligned(rank * LANES), aligned(LANES), aligned(LANES)
    drates, dweights, dskip, dshift = (
        aligned(n * LANES),
        aligned(rank * LANES),
        aligned(LANES),
        aligned(LANES),
    )
    weight_rows, dh = aligned(LANES * wide_rank), aligned(n * LANES)
    step, slope, dstep = aligned(STEPS * LANES), aligned(STEPS * LANES), aligned(STEPS * LANES)
    x, dout, dx = aligned(length * LANES), aligned(length * LANES), aligned(length * LANES)
    decays, states = aligned(STEPS * n * LANES), aligned((1 + STEPS) * n * LANES)
    kept, products = aligned(padded * n), aligned(2 * wide * LANES)
    for item in range(first, last):
        batch, part = item // parts, item % parts
        start = batch * length
        for block in range(part * blocks // parts, (part + 1) * blocks // parts):
            channel = block * LANES
            count = min(LANES, channels - channel)
            take(x, u, start * channels + channel, length, channels, count)
            take(dout, dy, start * channels + channel, length, channels, count)
            dx[:] = 0
            for k in range(4):
                row = k * channels + channel
                pack(rates, A, row * n, n, count)
                pack(weights, weight, row * rank, rank, count)
                pack(skip, D, row, 1, count)
                pack(shift, bias, row, 1, count)
                for i in range(count):
                    for r in range(rank):
                        weight_rows[i * wide_rank + r] = weights[r * LANES + i]
                at_dt = start * strides[0] + k * strides[1]
                at_B, at_C = start * strides[2] + k * strides[3], start * strides[4] + k * strides[5]
                row_d = ((part * batches + batch) * 4 + k) * length
                states[: n * LANES] = 0
                for t in range(0, length, STEPS):
                    steps, at = min(STEPS, length - t), k * padded + t
                    project(step, dt, at_dt, strides[0], order, at, weights, rank)
                    make_delta(step, shift, True)
                    move(kept, t * n, states, 0, n)
                    advance(steps, n, order, at, x, step, rates, B, at_B, strides[2], states)
                for gradient in (dh, drates, dweights, dskip, dshift):
                    gradient[:] = 0
                for t in range((length - 1) // STEPS * STEPS, -1, -STEPS):
                    steps, at = min(STEPS, length - t), k * padded + t
                    project(step, dt, at_dt, strides[0], order, at, weights, rank)
                    make_delta_and_slope(step, slope, shift, True)
                    move(states, 0, kept, t * n, n)
                    rescan(steps, n, order, at, x, step, rates, B, at_B, strides[2], decays, states)
                    scan_backward(
                        steps, n, order, at, x, step, rates, skip,
                        B, at_B, strides[2], C, at_C, strides[4], decays, states,
                        dout, dh, dx, dstep, drates, dskip, dB, dC, row_d * wide, wide, products,
                    )  # fmt: skip
                    through_slope(steps, dstep, slope, dshift)
                    project_backward(
                        dstep, dt, at_dt, strides[0], order, at, weight_rows, rank, dweights,
                        ddt, row_d * wide_rank, wide_rank,
                    )  # fmt: skip
                row = (batch * 4 + k) * channels + channel
                unpack(dA, row * n, drates, n, count)
                unpack(dweight, row * rank, dweights, rank, count)
                unpack(dD, row, dskip, 1, count)
                unpack(dbias, row, dshift, 1, count)
            put(du, start * channels + channel, dx, length, channels, count)
