"""The Triton kernel of the scan's forward, for maps in four directions and for sequences.

A program adds its direction to y where it lies; no two programs of a launch write the same number. The state
``(N, BLOCK)`` lies in registers, a channel a lane, so that lanes exchange nothing (``channels`` is not
specialised, for then Triton would give a lane four of them). The step size of the next step is made while the
state advances through this one.
"""

from __future__ import annotations

import triton
import triton.language as tl

from m3amba_zoo.ops.triton_tile import decay, drive, load_B_and_C, load_columns, load_row, share, softplus


@triton.jit
def inputs_of_step(
    t, u, delta, delta_stride, weights, shift, order, start, channel, exist, channels,
    LOW_RANK: tl.constexpr, rank: tl.constexpr, R: tl.constexpr,
):  # fmt: skip
    """Return the row of step t, its u and its delta before softplus."""
    row = start + tl.load(order + t)
    x = load_row(u + row * channels + channel, exist)
    if LOW_RANK:
        factor = tl.arange(0, R)
        factors = load_row(delta + row * delta_stride + factor, factor < rank)
        return row, x, tl.sum(weights * factors[:, None], axis=0) + shift
    else:
        return row, x, load_row(delta + row * delta_stride + channel, exist) + shift


@triton.jit(do_not_specialize=["batches", "channels", "round", "accumulate"])
def forward(
    u, delta, weight, bias, A, BC, D, order, y, raws, states,
    batches, channels, groups, sets, length, round, rounds, accumulate, delta_stride,
    LOW_RANK: tl.constexpr, SOFTPLUS: tl.constexpr, KEEP: tl.constexpr, n: tl.constexpr, rank: tl.constexpr,
    N: tl.constexpr, R: tl.constexpr, BLOCK: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """Scan; or, for the backward (KEEP), keep every delta before softplus and the state before each chunk.

    u ``(batches, length, channels)``; delta likewise, or its factors ``(batches, length, k, rank)`` where
    LOW_RANK; weight ``(k, rank, channels)``; bias, D ``(k, channels)``; A ``(k, n, channels)`` in units of
    log2(e); BC ``(batches, length, sets, n, 2)``; order ``(k, length)`` int64, the positions in each
    direction's order; y, raws ``(parts, batches, length, channels)``; states
    ``(parts, batches, chunks, n, channels)``.
    """
    channel, exist, _block, group, batch, part = share(batches, channels, groups, BLOCK)
    state, factor = tl.arange(0, N), tl.arange(0, R)
    direction = round + part * rounds
    own = direction * channels
    start = batch.to(tl.int64) * length
    part_start = part.to(tl.int64) * batches * length  # in rows
    rates = load_columns(A + own * n, state, channel, channels, state < n, exist)
    shift, skip = load_row(bias + own + channel, exist), load_row(D + own + channel, exist)
    if LOW_RANK:
        weights = load_columns(weight + own * rank, factor, channel, channels, factor < rank, exist)
        delta += direction * rank
    else:
        weights = shift  # not used
    BC += (direction + group) * (2 * n)
    order += direction * length
    chunks = tl.cdiv(length, CHUNK)
    kept = states + (part.to(tl.int64) * batches + batch) * chunks * n * channels

    h = tl.zeros((N, BLOCK), tl.float32)
    row, x, raw = inputs_of_step(
        0, u, delta, delta_stride, weights, shift, order, start, channel, exist, channels, LOW_RANK, rank, R
    )
    step = softplus(raw) if SOFTPLUS else raw
    for t in range(length):
        next_row, next_x, next_raw = inputs_of_step(
            tl.minimum(t + 1, length - 1), u, delta, delta_stride, weights, shift, order, start, channel,
            exist, channels, LOW_RANK, rank, R,
        )  # fmt: skip
        next_step = softplus(next_raw) if SOFTPLUS else next_raw
        B_t, C_t = load_B_and_C(BC + row * (2 * n * sets), True, n, N)
        to = (part_start + row) * channels + channel
        if KEEP:
            if t % CHUNK == 0:
                at = kept + state[:, None] * channels + channel[None, :]
                tl.store(at, h, (state < n)[:, None] & exist[None, :])
                kept += n * channels
            tl.store(raws + to, raw, exist)
            h = decay(step, rates) * h + drive(step, x, B_t)
        else:
            earlier = tl.load(y + to, exist & (accumulate > 0), other=0.0)
            h = decay(step, rates) * h + drive(step, x, B_t)
            tl.store(y + to, earlier + skip * x + tl.sum(h * C_t[:, None], axis=0), exist)
        row, x, raw, step = next_row, next_x, next_raw, next_step
