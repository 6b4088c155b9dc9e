"""The Triton kernels of the scan, forward and backward, for maps in four directions and for sequences.

A program scans BLOCK channels of one element of the batch in one direction. Directions that run side by side
are parts, those that run one after the other are rounds: direction = round + part * rounds. ``sets`` is the
number of B and C at a position: one per direction in a map, one per group in a sequence. The state
``(N, BLOCK)`` lies in registers, one channel per lane, so that lanes exchange nothing. No two programs of a
launch write the same number.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def exp_of_minus_magnitude(x):
    """Return exp(-|x|)."""
    return tl.exp2(-tl.abs(x) * 1.4426950408889634)


@triton.jit
def softplus(x):
    """Return max(x, 0) + log(1 + z), z = exp(-|x|).

    The logarithm is z times a minimax polynomial of relative error 6e-8, as in the CPU kernels. The GPU's own
    logarithm has an absolute error, which is large beside a small step size.
    """
    z = exp_of_minus_magnitude(x)
    p = 0.005232525332704489 * z - 0.029504607636352955
    p = p * z + 0.07822504845166457
    p = p * z - 0.1366318726240845
    p = p * z + 0.1910599465527127
    p = p * z - 0.2484298689914037
    p = p * z + 0.3331909960916872
    p = p * z - 0.4999949357938954
    p = p * z + 0.9999999700452533
    return tl.maximum(x, 0.0) + z * p


@triton.jit
def sigmoid(x):
    """Return the derivative of softplus."""
    z = exp_of_minus_magnitude(x)
    return tl.where(x > 0, 1.0, z) / (1.0 + z)


@triton.jit
def share(batches, channels, groups, BLOCK: tl.constexpr):
    """Return this program's channels, which of them exist, its block within the group, group, batch and part.

    Blocks vary fastest, so that programs that run at the same time read the same B and C. A block lies within
    one group.
    """
    size = channels // groups
    blocks = tl.cdiv(size, BLOCK)
    program = tl.program_id(0)
    block, group = program % blocks, program // blocks % groups
    batch, part = program // (blocks * groups) % batches, program // (blocks * groups) // batches
    within = block * BLOCK + tl.arange(0, BLOCK)
    return group * size + within, within < size, block, group, batch, part


@triton.jit
def load_row(source, exist):
    """Read one row as float32, 0 where it does not exist."""
    return tl.load(source, exist, other=0.0).to(tl.float32)


@triton.jit
def load_columns(source, row, channel, channels, rows_exist, exist):
    """Read ``(rows, channels)`` at some channels, 0 where they do not exist."""
    there = rows_exist[:, None] & exist[None, :]
    return tl.load(source + row[:, None] * channels + channel[None, :], there, other=0.0)


@triton.jit
def load_B_and_C(source, there, n: tl.constexpr, N: tl.constexpr):
    """Read B and C of one row, stored as pairs; 0 where ``there`` is false and beyond n."""
    lane = tl.arange(0, 2 * N)
    return tl.split(tl.reshape(tl.load(source + lane, (lane < 2 * n) & there, other=0.0), (N, 2)))


@triton.jit
def decay(step, rates):
    """Return the factor of the state in one step, ``(N, BLOCK)``."""
    return tl.exp2(step[None, :] * rates)


@triton.jit
def drive(step, x, B):
    """Return the term that one step adds to the state, ``(N, BLOCK)``."""
    return (step * x)[None, :] * B[:, None]


@triton.jit
def forward_inputs(
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
    """Scan and add to y; with KEEP instead store what the backward needs.

    That is every delta before softplus (``raws``) and the state before each chunk (``states``). The step size
    of the next step is computed while the state advances through this one. ``channels`` is not specialised:
    Triton would then give one lane four of them.

    Shapes: u ``(batches, length, channels)``; delta likewise, or with LOW_RANK its factors
    ``(batches, length, k, rank)``; weight ``(k, rank, channels)``; bias, D ``(k, channels)``; A
    ``(k, n, channels)`` times log2(e); BC ``(batches, length, sets, n, 2)``; order ``(k, length)`` int64, the
    positions in the order of each direction; y, raws ``(parts, batches, length, channels)``; states
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
        weights = shift  # unused, but Triton wants a value
    BC += (direction + group) * (2 * n)
    order += direction * length
    chunks = tl.cdiv(length, CHUNK)
    kept = states + (part.to(tl.int64) * batches + batch) * chunks * n * channels

    h = tl.zeros((N, BLOCK), tl.float32)
    row, x, raw = forward_inputs(
        0, u, delta, delta_stride, weights, shift, order, start, channel, exist, channels, LOW_RANK, rank, R
    )
    step = softplus(raw) if SOFTPLUS else raw
    for t in range(length):
        next_row, next_x, next_raw = forward_inputs(
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


@triton.jit
def backward_inputs(
    t, u, raws, BC, order, start, part_start, channel, exist, length, channels, sets,
    SOFTPLUS: tl.constexpr, n: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    """Return the inputs of step t; beyond the last step they are zero and the state stays as it is."""
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
    """Carry dh back through a step, whose state was after = kept * before + drive.

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
    """Compute the gradients, after a forward with KEEP.

    A program walks its chunks from the last to the first. It recomputes a chunk's states from the stored one
    and writes every other one to its own scratch memory. Then it steps back two steps at a time, with the two
    states and decays between them in registers. Gradients that channels share are summed over the program's
    channels here and over programs by the caller.

    Shapes as in the forward. grad is y's gradient, in u's shape; raws holds delta before softplus, then its
    gradient; du ``(parts, batches, length, channels)``; dA ``(batches, k, n, channels)``, the gradient of A
    without log2(e); dD ``(batches, k, channels)``; dBC
    ``(blocks of a group, batches, length, sets_now, 2, n)``, for the sets of this round only; scratch
    ``(programs, CHUNK / 2, N, BLOCK)``. All outputs are float32.
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
        kept = states + (chunks - 1 - chunk).to(tl.int64) * n * channels
        h = load_columns(kept, state, channel, channels, state < n, exist)
        tl.store(scratch + tile, h)
        for t in range(2, CHUNK, 2):
            _row, _there, x, _raw, step, B, _C = backward_inputs(
                first + t - 2, u, raws, BC, order, start, part_start, channel, exist, length, channels, sets,
                SOFTPLUS, n, N,
            )  # fmt: skip
            h = decay(step, rates) * h + drive(step, x, B)
            _row, _there, x, _raw, step, B, _C = backward_inputs(
                first + t - 1, u, raws, BC, order, start, part_start, channel, exist, length, channels, sets,
                SOFTPLUS, n, N,
            )  # fmt: skip
            h = decay(step, rates) * h + drive(step, x, B)
            tl.store(scratch + t // 2 * (N * BLOCK) + tile, h)
        tl.debug_barrier()
        for back in range(2, CHUNK + 2, 2):
            t = CHUNK - back
            h0 = tl.load(scratch + t // 2 * (N * BLOCK) + tile)
            row0, exist0, x0, raw0, step0, B0, C0 = backward_inputs(
                first + t, u, raws, BC, order, start, part_start, channel, exist, length, channels, sets,
                SOFTPLUS, n, N,
            )  # fmt: skip
            row1, exist1, x1, raw1, step1, B1, C1 = backward_inputs(
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
