"""The scan of one tile, sixteen channels by up to sixteen steps, shared by both CPU scans.

Channels are the lanes of a vector, so a state ``(n, 16)`` advances without sums across lanes, for any n.
Arrays are flat float32. u, y, B and C are read in place, in a given order: step t of a tile uses row
``order[first + t]``, which starts at 16 * row in u and y and at ``base_B + stride_B * row`` in B. Row t of
delta and of the arrays that a tile makes is step t. ``rates`` is A times log2(e), so that
exp(delta A) = 2^(delta rates).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from m3amba_zoo.ops.cpu_numba import (
    LANES,
    exp2_product,
    fill,
    load,
    sigmoid,
    softplus,
    spread,
    store,
    sum_lanes,
)

STEPS = 16
ZERO = np.float32(0)
LN_2 = np.float32(0.6931471805599453)


@njit
def aligned(size):
    """Return ``size`` float32 zeros that start on a cache line."""
    room = np.zeros(size + LANES, dtype=np.float32)
    first = (-(room.ctypes.data // 4)) % LANES
    return room[first : first + size]


# inlined by numba: a call would count references to its arrays, which costs more than the copy itself
@njit(inline="always")
def copy(target, to, source, start, count):
    """Copy ``count`` numbers, at most 16, and fill up to 16 with zeros."""
    if count == LANES:
        store(target, to, load(source, start))
    else:
        for i in range(LANES):
            target[to + i] = source[start + i] if i < count else ZERO


@njit(inline="always")
def copy_out(target, to, source, start, count):
    """Copy ``count`` numbers, at most 16, and write nothing beyond them."""
    if count == LANES:
        store(target, to, load(source, start))
    else:
        for i in range(count):
            target[to + i] = source[start + i]


@njit
def move(target, to, source, start, vectors):
    """Copy ``vectors`` times 16 numbers."""
    for i in range(0, vectors * LANES, LANES):
        store(target, to + i, load(source, start + i))


@njit
def pack(target, source, start, columns, count):
    """Transpose ``count`` rows of ``columns`` numbers to ``(columns, 16)``; unused lanes are 0."""
    for j in range(columns):
        for i in range(LANES):
            target[j * LANES + i] = source[start + i * columns + j] if i < count else ZERO


@njit
def unpack(target, to, source, columns, count):
    """Undo :func:`pack`."""
    for j in range(columns):
        for i in range(count):
            target[to + i * columns + j] = source[j * LANES + i]


@njit
def make_delta(delta, bias, through_softplus):
    """Add the bias to a tile of delta and, if asked, take its softplus."""
    for t in range(0, STEPS * LANES, LANES):
        raw = load(delta, t) + load(bias, 0)
        store(delta, t, softplus(raw) if through_softplus else raw)


@njit
def make_delta_and_slope(delta, slope, bias, through_softplus):
    """As :func:`make_delta`, and write the derivative of softplus to ``slope`` (1 without softplus)."""
    for t in range(0, STEPS * LANES, LANES):
        raw = load(delta, t) + load(bias, 0)
        store(delta, t, softplus(raw) if through_softplus else raw)
        store(slope, t, sigmoid(raw) if through_softplus else fill(np.float32(1)))


@njit
def through_slope(steps, ddelta, slope, dbias):
    """Turn the gradient of delta into that of softplus's argument and add it to dbias.

    Rows beyond the last step become zero.
    """
    for t in range(0, steps * LANES, LANES):
        draw = load(ddelta, t) * load(slope, t)
        store(ddelta, t, draw)
        store(dbias, 0, load(dbias, 0) + draw)
    for t in range(steps * LANES, STEPS * LANES, LANES):
        store(ddelta, t, fill(ZERO))


@njit
def scan(
    steps, n, order, first, u, delta, rates, skip, B, base_B, stride_B, C, base_C, stride_C, h, y,
):  # fmt: skip
    """Advance the state h ``(n, 16)`` through a tile and add its output to y."""
    for t in range(steps):
        row = order[first + t]
        step, x = load(delta, t * LANES), load(u, row * LANES)
        drive = step * x
        out = load(y, row * LANES) + load(skip, 0) * x
        at_B, at_C = base_B + row * stride_B, base_C + row * stride_C
        for i in range(n):
            decay = exp2_product(step, load(rates, i * LANES))
            state = decay * load(h, i * LANES) + drive * spread(B, at_B + i)
            store(h, i * LANES, state)
            out = out + state * spread(C, at_C + i)
        store(y, row * LANES, out)


@njit
def advance(steps, n, order, first, u, delta, rates, B, base_B, stride_B, h):
    """Advance the state h ``(n, 16)`` only: the backward's first pass needs no output."""
    for t in range(steps):
        row = order[first + t]
        step = load(delta, t * LANES)
        drive = step * load(u, row * LANES)
        at_B = base_B + row * stride_B
        for i in range(n):
            decay = exp2_product(step, load(rates, i * LANES))
            store(h, i * LANES, decay * load(h, i * LANES) + drive * spread(B, at_B + i))


@njit
def rescan(steps, n, order, first, u, delta, rates, B, base_B, stride_B, decays, states):
    """Fill what a tile's backward needs: decays ``(steps, n, 16)`` and states ``(1 + steps, n, 16)``.

    The first state is given.
    """
    for t in range(steps):
        row = order[first + t]
        step = load(delta, t * LANES)
        drive = step * load(u, row * LANES)
        at_B = base_B + row * stride_B
        for i in range(n):
            at = (t * n + i) * LANES
            decay = exp2_product(step, load(rates, i * LANES))
            store(decays, at, decay)
            state = decay * load(states, at) + drive * spread(B, at_B + i)
            store(states, at + n * LANES, state)


@njit
def scan_backward(
    steps, n, order, first, u, delta, rates, skip, B, base_B, stride_B, C, base_C, stride_C, decays, states,
    dy, dh, du, ddelta, drates, dskip, dB, dC, base_d, stride_d, products,
):  # fmt: skip
    """Carry dh ``(n, 16)`` back through a tile; write ddelta; add to du, drates, dskip, dB and dC.

    ``drates`` is the gradient of A itself, without log2(e). dB and dC, with rows of n rounded up to 16, are
    sums over channels, the lanes: ``products (2, n rounded up to 16, 16)``, zero beyond n, collects their
    terms, so that sixteen sums across lanes are taken at once.
    """
    wide = (n + LANES - 1) // LANES * LANES
    for t in range(steps - 1, -1, -1):
        row = order[first + t]
        step, x, dout = load(delta, t * LANES), load(u, row * LANES), load(dy, row * LANES)
        drive = step * x
        ddrive = dexponents = fill(ZERO)
        at_B, at_C = base_B + row * stride_B, base_C + row * stride_C
        for i in range(n):
            at = (t * n + i) * LANES
            dstate = load(dh, i * LANES) + dout * spread(C, at_C + i)
            ddrive = ddrive + dstate * spread(B, at_B + i)
            store(products, i * LANES, dstate * drive)
            store(products, (wide + i) * LANES, dout * load(states, at + n * LANES))
            dstate = dstate * load(decays, at)
            store(dh, i * LANES, dstate)
            dexponent = dstate * load(states, at)  # dstate holds the decay, which is its own derivative
            dexponents = dexponents + dexponent * load(rates, i * LANES)
            store(drates, i * LANES, load(drates, i * LANES) + dexponent * step)
        store(ddelta, t * LANES, ddrive * x + dexponents * fill(LN_2))  # takes log2(e) out of rates again
        store(du, row * LANES, load(du, row * LANES) + ddrive * step + dout * load(skip, 0))
        store(dskip, 0, load(dskip, 0) + dout * x)
        for i in range(0, wide, LANES):
            at = base_d + row * stride_d + i
            store(dB, at, load(dB, at) + sum_lanes(products, i * LANES))
            store(dC, at, load(dC, at) + sum_lanes(products, (wide + i) * LANES))
