"""Sharing a kernel's work items out to as many threads as torch uses.

Plain threads, not numba's: OpenMP refuses to run after a fork (a DataLoader's workers), numba's own layer may
not be entered by two threads at once (torch runs backward in a thread of its own), and each would keep a pool
beside torch's.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

CHUNKS_PER_THREAD = 4  # enough to even out threads that other processes slow down


@functools.lru_cache(maxsize=1)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="m3amba_scan")


def share(kernel: Callable[..., None], items: int, *arguments: object) -> None:
    """Call ``kernel(first, last, *arguments)`` on ranges that together cover ``items``; return when all have.

    The number of threads is ``torch.get_num_threads()``; this thread is one of them.
    """
    threads = min(torch.get_num_threads(), items)
    if threads <= 1:
        return kernel(0, items, *arguments)
    chunk = -(-items // (threads * CHUNKS_PER_THREAD))
    starts = iter(range(0, items, chunk))

    def work() -> None:
        for first in starts:  # the threads draw from one iterator
            kernel(first, min(first + chunk, items), *arguments)

    pool = _pool(os.getpid(), torch.get_num_threads())  # a forked child has none of its parent's threads
    others = [pool.submit(work) for _ in range(threads - 1)]
    work()
    for other in others:
        other.result()
