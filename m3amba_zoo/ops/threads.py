"""Sharing a kernel's work items out to as many threads as torch uses.

On Linux these are torch's own: between two of its operators they wait for work by spinning, and threads of
another pool would have to share the cores with them. numba's parallel loops will not do: on OpenMP they abort
a forked process (a DataLoader's worker), and numba's own layer may not be entered by two threads at once.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

CHUNKS_PER_THREAD = 4  # enough to even out threads that other processes slow down
_OPENMP_TASK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_IMPORTED_BY = os.getpid()


def share(kernel: Callable[..., None], items: int, threads: int, *arguments: object) -> None:
    """Call ``kernel(first, last, *arguments)`` on ranges that together cover ``items``; return when all have.

    At most ``threads`` threads take part, this one among them.
    """
    if threads <= 1:
        return kernel(0, items, *arguments)
    chunk = -(-items // (threads * CHUNKS_PER_THREAD))
    starts = iter(range(0, items, chunk))
    failures: list[BaseException] = []

    def work(*_: object) -> None:
        try:
            for first in starts:  # the threads draw from one iterator
                kernel(first, min(first + chunk, items), *arguments)
        except BaseException as error:  # must not be lost in OpenMP's thread
            failures.append(error)

    openmp = _torch_openmp()
    # a forked process has none of its parent's threads, and OpenMP does not know
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
