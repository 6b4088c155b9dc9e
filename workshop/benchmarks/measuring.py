"""How long a call takes, and how much memory at its peak."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from m3amba_zoo.evaluation.record import MEBIBYTE, peak_resident_bytes

RUNS = 7
BUDGET = 60.0  # seconds; a call that takes longer still runs once
RESET, RESET_PEAK = Path("/proc/self/clear_refs"), "5"


def median_seconds(
    function: Callable[[], object],
    runs: int = RUNS,
    warm_up: bool = True,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the median time of a call in seconds.

    Args:
        function: what to time.
        runs: the number of calls; fewer if they take more than 60 seconds together.
        warm_up: whether to call it once before, untimed.
        clock: ``time.process_time`` counts the seconds of all cores, but not those that others used.
    """
    if warm_up:
        function()
    times: list[float] = []
    while len(times) < runs and sum(times) < BUDGET:
        started = clock()
        function()
        times.append(clock() - started)
    return statistics.median(times)


def peak_mebibytes(function: Callable[[], object], device: str = "cpu") -> float:
    """Call a function and return by how many MiB its peak memory exceeds what was in use before.

    On a CPU this is the process's resident memory. On Linux its peak is reset before; elsewhere the figure is
    exact only if nothing before took more.
    """
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        return (torch.cuda.max_memory_allocated() - before) / MEBIBYTE
    gc.collect()
    with contextlib.suppress(AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(
            0
        )  # freed memory that the process still holds would hide part of the rise
    if RESET.exists():
        RESET.write_text(RESET_PEAK)
    before = peak_resident_bytes()
    function()
    return (peak_resident_bytes() - before) / MEBIBYTE
