"""What the Triton kernels share: softplus and its slope, a program's share of the work, a step of the state.

Names: a program scans BLOCK channels of one element of the batch in one direction. Directions that run side
by side are parts, those that run one after the other rounds: direction = round + part * rounds. ``sets`` is
how many B and C a position has: one a direction in a map, one a group in a sequence.
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

    The logarithm is z times a polynomial (minimax in relative error, 6e-8), as in the CPU kernels: the GPU's
    own has an absolute error, which is large beside a small step size.
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
    """Return this program's channels, which of them exist, and its block in the group, group, batch and part.

    Blocks are the fastest, so that programs that run at the same time read the same B and C. A block never
    leaves its group.
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
    """Read B and C of one row, which lie in turns; 0 where ``there`` is false and behind n."""
    lane = tl.arange(0, 2 * N)
    return tl.split(tl.reshape(tl.load(source + lane, (lane < 2 * n) & there, other=0.0), (N, 2)))


@triton.jit
def decay(step, rates):
    """Return what a step leaves of the state, ``(N, BLOCK)``."""
    return tl.exp2(step[None, :] * rates)


@triton.jit
def drive(step, x, B):
    """Return what a step adds to the state, ``(N, BLOCK)``."""
    return (step * x)[None, :] * B[:, None]
