"""The backend ``cpu``: torch tensors to the numba kernels and back."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from m3amba_zoo.ops.served import refusal
from m3amba_zoo.ops.threads import share

LANES = STEPS = 16
LOG2_E = np.float32(1.4426950408889634)
# gradients that channels share are summed over so many parts apart, at least, so that threads find work in a
# small batch; fixed by the shapes alone, because the order of a sum decides its last bits
SHARED_GRADIENT_ITEMS = 8
UPDATES_PER_THREAD = 250_000  # less does not pay for waking a thread


class CpuBackend:
    """Vectorised numba kernels on CPU tensors of float32, bfloat16 or float16; the state is float32."""

    name = "cpu"
    on_request = False

    def unavailable_reason(self, *tensors: Tensor) -> str | None:
        """Say why it cannot serve these tensors, or None."""
        return _import_failure() or refusal(tensors, "cpu")

    def forward(self, *inputs: Tensor, softplus: bool) -> Tensor:
        """Return y of the sequences' scan."""
        u, delta, A, B, C, D, bias = inputs
        (b, d, length), (groups, n) = u.shape, B.shape[1:3]
        y = torch.empty(u.shape, dtype=torch.float32)
        if y.numel():
            from m3amba_zoo.ops import cpu_sequence

            _run(
                cpu_sequence.forward, b * groups * _blocks(d // groups), u.numel() * n,
                _flat(u), _flat(delta), _flat(A) * LOG2_E, _steps_first(B), _steps_first(C),
                _flat(D), _flat(bias), _flat(y), d, length, n, groups, softplus,
            )  # fmt: skip
        return y.to(u.dtype)

    def backward(self, grad: Tensor, *inputs: Tensor, softplus: bool) -> tuple[Tensor, ...]:
        """Return the gradient of each input of the sequences' scan."""
        u, delta, A, B, C, D, bias = inputs
        (b, d, length), (groups, n) = u.shape, B.shape[1:3]
        if not u.numel():
            return tuple(torch.zeros_like(x) for x in inputs)
        from m3amba_zoo.ops import cpu_sequence

        parts = _parts(_blocks(d // groups), b * groups)
        du, ddelta = torch.empty(u.shape, dtype=torch.float32), torch.empty(u.shape, dtype=torch.float32)
        dA, dD, dbias = torch.empty(b, d, n), torch.empty(b, d), torch.empty(b, d)
        dB, dC = (torch.zeros(parts, b, groups, length, _blocks(n) * LANES) for _ in "BC")
        _run(
            cpu_sequence.backward, b * groups * parts, u.numel() * n,
            _flat(grad), _flat(u), _flat(delta), _flat(A) * LOG2_E, _steps_first(B), _steps_first(C),
            _flat(D), _flat(bias), *map(_flat, (du, ddelta, dA, dB, dC, dD, dbias)),
            d, length, n, groups, parts, softplus,
        )  # fmt: skip
        dB, dC = (_summed(part.transpose(3, 4)[..., :n, :], x.shape) for part, x in ((dB, B), (dC, C)))
        gradients = du, ddelta, dA.sum(0), dB, dC, dD.sum(0), dbias.sum(0)
        return tuple(g.to(x.dtype) for g, x in zip(gradients, inputs, strict=True))

    def forward_2d(self, *inputs: Tensor) -> Tensor:
        """Return y of the map's scan."""
        u, dt, weight, bias, A, B, C, D = inputs
        (b, height, width, d), n, rank = u.shape, A.shape[2], dt.shape[4]
        y = torch.empty(u.shape, dtype=torch.float32)
        if y.numel():
            from m3amba_zoo.ops import cpu_map

            (dt_rows, B_rows, C_rows), strides = _rows(dt, B, C)
            _run(
                cpu_map.forward, b * _blocks(d), 4 * u.numel() * n,
                _flat(u), dt_rows, _flat(weight), _flat(bias), _flat(A) * LOG2_E, B_rows, C_rows, _flat(D),
                _flat(y), _orders(height, width), strides, d, height * width, n, rank,
            )  # fmt: skip
        return y.to(u.dtype)

    def backward_2d(self, grad: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the gradient of each input of the map's scan."""
        u, dt, weight, bias, A, B, C, D = inputs
        (b, height, width, d), n, rank = u.shape, A.shape[2], dt.shape[4]
        if not u.numel():
            return tuple(torch.zeros_like(x) for x in inputs)
        from m3amba_zoo.ops import cpu_map

        parts = _parts(_blocks(d), b)
        du = torch.empty(u.shape, dtype=torch.float32)
        dweight, dA, dbias, dD = (torch.empty(b, *x.shape) for x in (weight, A, bias, D))
        ddt, dB, dC = (
            torch.zeros(parts, b, 4, height * width, _blocks(x.shape[4]) * LANES) for x in (dt, B, C)
        )
        (dt_rows, B_rows, C_rows), strides = _rows(dt, B, C)
        _run(
            cpu_map.backward, b * parts, 4 * u.numel() * n,
            _flat(grad), _flat(u), dt_rows, _flat(weight), _flat(bias), _flat(A) * LOG2_E, B_rows, C_rows,
            _flat(D), *map(_flat, (du, ddt, dweight, dbias, dA, dB, dC, dD)),
            _orders(height, width), strides, d, height * width, n, rank, parts,
        )  # fmt: skip
        ddt, dB, dC = (
            _summed(part.transpose(2, 3)[..., : x.shape[4]], x.shape)
            for part, x in ((ddt, dt), (dB, B), (dC, C))
        )
        gradients = du, ddt, dweight.sum(0), dbias.sum(0), dA.sum(0), dB, dC, dD.sum(0)
        return tuple(g.to(x.dtype) for g, x in zip(gradients, inputs, strict=True))


@functools.cache
def _import_failure() -> str | None:
    try:
        import numba
    except ImportError as error:  # numba also refuses a NumPy that it does not know
        return f"numba cannot be imported: {error}"
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        return "numba's compiler is switched off by NUMBA_DISABLE_JIT"
    return None


def _run(kernel: Any, items: int, updates: int, *arguments: object) -> None:
    """Run a kernel over its items on as many of torch's threads as ``updates`` of the state occupy."""
    from m3amba_zoo.ops.compilation import compile_for

    compile_for(kernel, (0, items, *arguments))
    share(kernel, items, min(torch.get_num_threads(), items, 1 + updates // UPDATES_PER_THREAD), *arguments)


def _summed(parts: Tensor, shape: torch.Size) -> Tensor:
    """Sum over the first axis into a new contiguous tensor."""
    total = torch.empty(parts.shape[1:], dtype=torch.float32)
    torch.sum(parts, 0, out=total)
    return total.view(shape)


def _blocks(channels: int) -> int:
    return -(-channels // LANES)


def _parts(blocks: int, sequences: int) -> int:
    return min(blocks, max(1, SHARED_GRADIENT_ITEMS // sequences))


def _flat(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.detach().to(torch.float32).contiguous().view(-1).numpy()


def _steps_first(tensor: Tensor) -> NDArray[np.float32]:
    """Lay ``(b, g, n, L)`` as ``(b, g, L, n)``, flat."""
    swapped = tensor.detach().to(torch.float32).numpy().swapaxes(2, 3)
    return np.ascontiguousarray(swapped).reshape(-1)


def _rows(*tensors: Tensor) -> tuple[list[NDArray[np.float32]], NDArray[np.int64]]:
    """View tensors ``(b, H, W, 4, n)`` as flat memory and the strides of positions and of directions.

    They come as parts of one projection; only what is laid otherwise is copied.
    """
    memory, strides = [], []
    for tensor in tensors:
        rows = tensor.detach().to(torch.float32).flatten(0, 2)
        if rows.stride(2) != 1:
            rows = rows.contiguous()
        position, direction, _ = rows.stride()
        extent = (rows.shape[0] - 1) * position + 3 * direction + rows.shape[2]
        memory.append(rows.as_strided((extent,), (1,)).numpy())
        strides += [position, direction]
    return memory, np.array(strides, dtype=np.int64)


@functools.lru_cache(maxsize=16)
def _orders(height: int, width: int) -> NDArray[np.int64]:
    """Return each direction's positions, the last repeated to the end of its tile of steps, flat."""
    positions = np.arange(height * width, dtype=np.int64).reshape(height, width)
    rows, columns = positions.ravel(), positions.T.ravel()
    orders = np.stack([rows, columns, rows[::-1], columns[::-1]])
    return np.pad(orders, ((0, 0), (0, -positions.size % STEPS)), mode="edge").ravel()
