"""The scan of one tile, sixteen channels by up to sixteen steps: what both CPU scans are made of.

Channels are the lanes of a vector, so a state ``(n, 16)`` advances without sums across lanes, and any n will
do. Arrays are flat float32. Rows of u, y, B and C are visited in place, in an order: step t of a tile reads
row ``order[first + t]``, which lies in u and y at 16 times that, in B at ``base_B + stride_B`` times that.
Rows of delta and of the arrays that a tile makes are its steps. ``rates`` is A in units of log2(e), so that
exp(delta A) = 2^(delta rates).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from m3amba_zoo.ops.simd import (
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
    """Return ``size`` float32 zeros that begin on a cache line."""
    room = np.zeros(size + LANES, dtype=np.float32)
    first = (-(room.ctypes.data // 4)) % LANES
    return room[first : first + size]


# inlined by numba: a call would count references to its arrays, which costs more than the copy
@njit(inline="always")
def copy(target, to, source, start, count):
    """Copy ``count`` numbers, at most 16, and fill 16 up with zeros."""
    if count == LANES:
        store(target, to, load(source, start))
    else:
        for i in range(LANES):
            target[to + i] = source[start + i] if i < count else ZERO


@njit(inline="always")
def copy_out(target, to, source, start, count):
    """Copy ``count`` numbers, at most 16, and touch nothing behind them."""
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
    """Lay ``count`` rows of ``columns`` numbers into lanes, ``(columns, 16)``; the lanes left over are 0."""
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
    """Add the bias to a tile of delta and take its softplus."""
    for t in range(0, STEPS * LANES, LANES):
        raw = load(delta, t) + load(bias, 0)
        store(delta, t, softplus(raw) if through_softplus else raw)


@njit
def make_delta_and_slope(delta, slope, bias, through_softplus):
    """As :func:`make_delta`, and write the derivative of what it did."""
    for t in range(0, STEPS * LANES, LANES):
        raw = load(delta, t) + load(bias, 0)
        store(delta, t, softplus(raw) if through_softplus else raw)
        store(slope, t, sigmoid(raw) if through_softplus else fill(np.float32(1)))


@njit
def through_slope(steps, ddelta, slope, dbias):
    """Turn the gradient of delta into that of the number that softplus took; add it to dbias.

    Behind the last step it becomes zero.
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
    """Advance the state h ``(n, 16)``, which is all that the backward's first pass wants of a tile."""
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
    """Keep what a tile's backward needs: decays ``(steps, n, 16)`` and states ``(1 + steps, n, 16)``.

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

    ``drates`` is what reaches A. Rows of dB and dC have room for n rounded up to 16, as has each half of the
    scratch ``products (2, ., 16)``, which is zero behind n.
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
            dexponent = dstate * load(states, at)
            dexponents = dexponents + dexponent * load(rates, i * LANES)
            store(drates, i * LANES, load(drates, i * LANES) + dexponent * step)
        store(ddelta, t * LANES, ddrive * x + dexponents * fill(LN_2))
        store(du, row * LANES, load(du, row * LANES) + ddrive * step + dout * load(skip, 0))
        store(dskip, 0, load(dskip, 0) + dout * x)
        for i in range(0, wide, LANES):
            at = base_d + row * stride_d + i
            store(dB, at, load(dB, at) + sum_lanes(products, i * LANES))
            store(dC, at, load(dC, at) + sum_lanes(products, (wide + i) * LANES))
