"""The backend ``cpu``: passes torch tensors to the numba kernels and runs these on torch's threads."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from m3amba_zoo.ops.reference import refusal

LANES = STEPS = 16
LOG2_E = np.float32(1.4426950408889634)
LARGEST_RATE = np.finfo(np.float32).max / np.float32(2)  # its product with log2(e) does not overflow
# Gradients that channels share are summed in at least this many separate parts, so that threads find work in
# a small batch. The shapes alone decide the number: the order of a sum decides its last bits.
SHARED_GRADIENT_ITEMS = 8
UPDATES_PER_THREAD = 250_000  # fewer updates of the state do not pay for waking a thread
CHUNKS_PER_THREAD = 4  # evens out threads that other processes slow down
_OPENMP_TASK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_IMPORTED_BY = os.getpid()


class CpuBackend:
    """Vectorised numba kernels on CPU tensors of float32, bfloat16 or float16; the state is float32."""

    name = "cpu"
    on_request = False

    def unavailable_reason(self, *tensors: Tensor) -> str | None:
        """Return why it cannot serve these tensors, or None."""
        return _import_failure() or refusal(tensors, "cpu")

    def forward(self, *inputs: Tensor, softplus: bool) -> Tensor:
        """Return y of the scan of sequences."""
        u, delta, A, B, C, D, bias = inputs
        (b, d, length), (groups, n) = u.shape, B.shape[1:3]
        from m3amba_zoo.ops import cpu_kernels

        y = torch.empty(u.shape, dtype=torch.float32)
        _run(
            cpu_kernels.sequence_forward, b * groups * _blocks(d // groups), u.numel() * n,
            _flat(u), _flat(delta), _rates(A), _steps_first(B), _steps_first(C),
            _flat(D), _flat(bias), _flat(y), d, length, n, groups, softplus,
        )  # fmt: skip
        return y.to(u.dtype)

    def backward(self, grad: Tensor, *inputs: Tensor, softplus: bool) -> tuple[Tensor, ...]:
        """Return the gradient of each input of the scan of sequences."""
        u, delta, A, B, C, D, bias = inputs
        (b, d, length), (groups, n) = u.shape, B.shape[1:3]
        from m3amba_zoo.ops import cpu_kernels

        parts = _parts(_blocks(d // groups), b * groups)
        du, ddelta = torch.empty(u.shape, dtype=torch.float32), torch.empty(u.shape, dtype=torch.float32)
        dA, dD, dbias = torch.empty(b, d, n), torch.empty(b, d), torch.empty(b, d)
        dB, dC = (torch.zeros(parts, b, groups, length, _blocks(n) * LANES) for _ in "BC")
        _run(
            cpu_kernels.sequence_backward, b * groups * parts, u.numel() * n,
            _flat(grad), _flat(u), _flat(delta), _rates(A), _steps_first(B), _steps_first(C),
            _flat(D), _flat(bias), *map(_flat, (du, ddelta, dA, dB, dC, dD, dbias)),
            d, length, n, groups, parts, softplus,
        )  # fmt: skip
        dB, dC = (_summed(part.transpose(3, 4)[..., :n, :], x.shape) for part, x in ((dB, B), (dC, C)))
        return du, ddelta, dA.sum(0), dB, dC, dD.sum(0), dbias.sum(0)

    def forward_2d(self, *inputs: Tensor) -> Tensor:
        """Return y of the scan of maps."""
        u, dt, weight, bias, A, B, C, D = inputs
        (b, height, width, d), n, rank = u.shape, A.shape[2], dt.shape[4]
        from m3amba_zoo.ops import cpu_kernels

        y = torch.empty(u.shape, dtype=torch.float32)
        (dt_rows, B_rows, C_rows), strides = _rows(dt, B, C)
        _run(
            cpu_kernels.map_forward, b * _blocks(d), 4 * u.numel() * n,
            _flat(u), dt_rows, _flat(weight), _flat(bias), _rates(A), B_rows, C_rows, _flat(D),
            _flat(y), _orders(height, width), strides, d, height * width, n, rank,
        )  # fmt: skip
        return y.to(u.dtype)

    def backward_2d(self, grad: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the gradient of each input of the scan of maps."""
        u, dt, weight, bias, A, B, C, D = inputs
        (b, height, width, d), n, rank = u.shape, A.shape[2], dt.shape[4]
        from m3amba_zoo.ops import cpu_kernels

        parts = _parts(_blocks(d), b)
        du = torch.empty(u.shape, dtype=torch.float32)
        dweight, dA, dbias, dD = (torch.empty(b, *x.shape) for x in (weight, A, bias, D))
        ddt, dB, dC = (
            torch.zeros(parts, b, 4, height * width, _blocks(x.shape[4]) * LANES) for x in (dt, B, C)
        )
        (dt_rows, B_rows, C_rows), strides = _rows(dt, B, C)
        _run(
            cpu_kernels.map_backward, b * parts, 4 * u.numel() * n,
            _flat(grad), _flat(u), dt_rows, _flat(weight), _flat(bias), _rates(A), B_rows, C_rows,
            _flat(D), *map(_flat, (du, ddt, dweight, dbias, dA, dB, dC, dD)),
            _orders(height, width), strides, d, height * width, n, rank, parts,
        )  # fmt: skip
        ddt, dB, dC = (
            _summed(part.transpose(2, 3)[..., : x.shape[4]], x.shape)
            for part, x in ((ddt, dt), (dB, B), (dC, C))
        )
        return du, ddt, dweight.sum(0), dbias.sum(0), dA.sum(0), dB, dC, dD.sum(0)


def share(kernel: Callable[..., None], items: int, threads: int, *arguments: object) -> None:
    """Call ``kernel(first, last, *arguments)`` on ranges that cover ``items``, and wait for all of them.

    At most ``threads`` threads take part, this one included. On Linux they are torch's own: these wait for
    work by spinning, so threads of another pool would have to share the cores with them. numba's parallel
    loops would not do: on OpenMP they abort a forked process (a DataLoader's worker), and numba's own layer
    may not be entered by two threads at once.
    """
    if threads <= 1:
        return kernel(0, items, *arguments)
    chunk = -(-items // (threads * CHUNKS_PER_THREAD))
    starts = iter(range(0, items, chunk))
    failures: list[BaseException] = []

    def work(*_: object) -> None:
        try:
            for first in starts:  # all threads draw from one iterator
                kernel(first, min(first + chunk, items), *arguments)
        except BaseException as error:  # must not be lost in OpenMP's thread
            failures.append(error)

    openmp = _torch_openmp()
    # OpenMP does not notice that a forked process has none of its parent's threads, and would wait for them
    if openmp is not None and os.getpid() == _IMPORTED_BY:
        openmp(_OPENMP_TASK(work), None, threads, 0)
    else:
        others = [_pool(os.getpid()).submit(work) for _ in range(threads - 1)]
        work()
        for other in others:
            other.result()
    if failures:
        raise failures[0]


@functools.cache
def _torch_openmp() -> Any:
    """Return ``GOMP_parallel(task, data, threads, flags)`` of the OpenMP that torch runs on, or None."""
    try:
        parallel = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so")).GOMP_parallel
    except (OSError, AttributeError):
        return None
    parallel.argtypes = [_OPENMP_TASK, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    parallel.restype = None
    return parallel


@functools.lru_cache(maxsize=1)
def _pool(process: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="m3amba_scan")


@functools.cache
def _import_failure() -> str | None:
    try:
        import numba

        from m3amba_zoo.ops import numba_settings  # noqa: F401 - before anything is compiled
    except ImportError as error:  # numba raises it too for a NumPy that it does not support
        return f"numba cannot be imported: {error}"
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        return "numba's compiler is switched off by NUMBA_DISABLE_JIT"
    return None


def _run(kernel: Any, items: int, updates: int, *arguments: object) -> None:
    """Run a kernel over its items, on as many threads as its ``updates`` of the state keep busy."""
    from m3amba_zoo.ops.cpu_numba import compile_for

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


def _rates(A: Tensor) -> NDArray[np.float32]:
    """Return A times log2(e), flat; finite where A is."""
    return np.clip(_flat(A), -LARGEST_RATE, LARGEST_RATE) * LOG2_E


def _steps_first(tensor: Tensor) -> NDArray[np.float32]:
    """Return ``(b, g, n, L)`` as ``(b, g, L, n)``, flat."""
    swapped = tensor.detach().to(torch.float32).numpy().swapaxes(2, 3)
    return np.ascontiguousarray(swapped).reshape(-1)


def _rows(*tensors: Tensor) -> tuple[list[NDArray[np.float32]], NDArray[np.int64]]:
    """Return tensors ``(b, H, W, 4, n)`` as flat memory, and their strides of positions and directions.

    Slices of one projection, the usual case, are not copied.
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
    """Return the positions in the order of each direction, each padded with its last to whole tiles, flat."""
    positions = np.arange(height * width, dtype=np.int64).reshape(height, width)
    rows, columns = positions.ravel(), positions.T.ravel()
    orders = np.stack([rows, columns, rows[::-1], columns[::-1]])
    return np.pad(orders, ((0, 0), (0, -positions.size % STEPS)), mode="edge").ravel()
