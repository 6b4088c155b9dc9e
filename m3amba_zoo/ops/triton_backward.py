"""The Triton kernel of the scan's backward, behind a forward that has kept a state before each chunk.

A program goes through its chunks from the last to the first. It recomputes a chunk's states from the one kept
and lays every other one in scratch memory of its own; then it steps back two at a time, with the two states
and decays between in registers. What channels share is summed over the program's channels here, and over
programs by the caller: no two programs of a launch write the same number.
"""

from __future__ import annotations

import triton
import triton.language as tl

from m3amba_zoo.ops.triton_tile import (
    decay,
    drive,
    load_B_and_C,
    load_columns,
    load_row,
    share,
    sigmoid,
    softplus,
)


@triton.jit
def inputs_of_step(
    t, u, raws, BC, order, start, part_start, channel, exist, length, channels, sets,
    SOFTPLUS: tl.constexpr, n: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    """Return what step t reads; behind the last step it is zero, so that the state stays as it is."""
    there = t < length
    row = start + tl.load(order + t, there, other=0)
    exist = exist & there
    x = load_row(u + row * channels + channel, exist)
    raw = load_row(raws + (part_start + row) * channels + channel, exist)
    step = tl.where(exist, softplus(raw) if SOFTPLUS else raw, 0.0)
    B, C = load_B_and_C(BC + row * (2 * n * sets), there, n, N)
    return row, exist, x, raw, step, B, C


@triton.jit
def step_back(
    dh, drates, dskip, kept, before, after, rates, skip, row, exist, there, x, raw, step, B, C, u_grad,
    du, raws, dBC, part_start, channel, channels, sets_now, accumulate,
    SOFTPLUS: tl.constexpr, n: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    """Carry dh back through a step, of whose state ``before`` the share ``kept`` was left.

    Writes the gradients of u, of delta before softplus, of B and of C.
    """
    state = tl.arange(0, N)
    dstate = dh + C[:, None] * u_grad[None, :]
    ddrive = tl.sum(dstate * B[:, None], axis=0)
    dB = tl.sum(dstate * (step * x)[None, :], axis=1)
    dC = tl.sum(after * u_grad[None, :], axis=1)
    dh = dstate * kept
    dexponent = dh * before
    ddelta = ddrive * x + tl.sum(dexponent * rates, axis=0) * 0.6931471805599453
    if SOFTPLUS:
        ddelta *= sigmoid(raw)
    to = (part_start + row) * channels + channel
    earlier = tl.load(du + to, exist & (accumulate > 0), other=0.0)
    tl.store(du + to, earlier + ddrive * step + u_grad * skip, exist)
    tl.store(raws + to, ddelta, exist)
    at = dBC + row * (2 * n * sets_now) + state
    tl.store(at, dB, (state < n) & there)
    tl.store(at + n, dC, (state < n) & there)
    return dh, drates + dexponent * step[None, :], dskip + u_grad * x


@triton.jit(do_not_specialize=["batches", "round", "accumulate"])
def backward(
    u, grad, raws, A, BC, D, order, states, scratch, du, dA, dBC, dD,
    batches, channels, groups, sets, sets_now, length, directions, round, rounds, accumulate,
    SOFTPLUS: tl.constexpr, n: tl.constexpr, N: tl.constexpr, BLOCK: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """Differentiate; shapes as of the forward.

    grad is y's gradient, in u's shape; raws comes with delta before softplus and leaves with its gradient;
    du ``(parts, batches, length, channels)``; dA ``(batches, k, n, channels)``, what reaches A itself; dD
    ``(batches, k, channels)``; dBC ``(blocks of a group, batches, length, sets_now, 2, n)``, of the sets of
    this round alone; scratch ``(programs, CHUNK / 2, N, BLOCK)``. All that is written is float32.
    """
    channel, exist, block, group, batch, part = share(batches, channels, groups, BLOCK)
    state = tl.arange(0, N)
    direction = round + part * rounds
    own = direction * channels
    start = batch.to(tl.int64) * length
    part_start = part.to(tl.int64) * batches * length  # in rows
    block_start = block.to(tl.int64) * batches * length
    rates = load_columns(A + own * n, state, channel, channels, state < n, exist)
    skip = load_row(D + own + channel, exist)
    BC += (direction + group) * (2 * n)
    dBC += (block_start * sets_now + part + group) * (2 * n)
    order += direction * length
    chunks = tl.cdiv(length, CHUNK)
    tile = state[:, None] * BLOCK + tl.arange(0, BLOCK)[None, :]
    scratch += tl.program_id(0).to(tl.int64) * (CHUNK // 2 * N * BLOCK)
    states += (part.to(tl.int64) * batches + batch) * chunks * n * channels

    dh = tl.zeros((N, BLOCK), tl.float32)
    drates = tl.zeros((N, BLOCK), tl.float32)
    dskip = tl.zeros((BLOCK,), tl.float32)
    for chunk in range(chunks):
        first = (chunks - 1 - chunk) * CHUNK
        h = load_columns(
            states + (chunks - 1 - chunk).to(tl.int64) * n * channels,
            state,
            channel,
            channels,
            state < n,
            exist,
        )
        tl.store(scratch + tile, h)
        for t in range(2, CHUNK, 2):
            _row, _there, x, _raw, step, B, _C = inputs_of_step(
                first + t - 2, u, raws, BC, order, start, part_start, channel, exist, length, channels, sets,
                SOFTPLUS, n, N,
            )  # fmt: skip
            h = decay(step, rates) * h + drive(step, x, B)
            _row, _there, x, _raw, step, B, _C = inputs_of_step(
                first + t - 1, u, raws, BC, order, start, part_start, channel, exist, length, channels, sets,
                SOFTPLUS, n, N,
            )  # fmt: skip
            h = decay(step, rates) * h + drive(step, x, B)
            tl.store(scratch + t // 2 * (N * BLOCK) + tile, h)
        tl.debug_barrier()
        for back in range(2, CHUNK + 2, 2):
            t = CHUNK - back
            h0 = tl.load(scratch + t // 2 * (N * BLOCK) + tile)
            row0, exist0, x0, raw0, step0, B0, C0 = inputs_of_step(
                first + t, u, raws, BC, order, start, part_start, channel, exist, length, channels, sets,
                SOFTPLUS, n, N,
            )  # fmt: skip
            row1, exist1, x1, raw1, step1, B1, C1 = inputs_of_step(
                first + t + 1, u, raws, BC, order, start, part_start, channel, exist, length, channels, sets,
                SOFTPLUS, n, N,
            )  # fmt: skip
            grad0 = load_row(grad + row0 * channels + channel, exist0)
            grad1 = load_row(grad + row1 * channels + channel, exist1)
            decay0 = decay(step0, rates)
            h1 = decay0 * h0 + drive(step0, x0, B0)
            decay1 = decay(step1, rates)
            h2 = decay1 * h1 + drive(step1, x1, B1)
            dh, drates, dskip = step_back(
                dh, drates, dskip, decay1, h1, h2, rates, skip, row1, exist1, first + t + 1 < length, x1,
                raw1, step1, B1, C1, grad1, du, raws, dBC, part_start, channel, channels, sets_now,
                accumulate, SOFTPLUS, n, N,
            )  # fmt: skip
            dh, drates, dskip = step_back(
                dh, drates, dskip, decay0, h0, h1, rates, skip, row0, exist0, first + t < length, x0,
                raw0, step0, B0, C0, grad0, du, raws, dBC, part_start, channel, channels, sets_now,
                accumulate, SOFTPLUS, n, N,
            )  # fmt: skip
        tl.debug_barrier()

    at = batch.to(tl.int64) * directions + direction
    tl.store(dD + at * channels + channel, dskip, exist)
    to = dA + at * n * channels + state[:, None] * channels + channel[None, :]
    tl.store(to, drates, (state < n)[:, None] & exist[None, :])
