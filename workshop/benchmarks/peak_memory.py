"""How much memory a call takes at its peak, above what the process held before it, and how much is free."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Callable
from pathlib import Path

from m3amba_zoo.evaluation.record import MEBIBYTE, peak_resident_bytes

RESET = Path("/proc/self/clear_refs")
RESET_PEAK = "5"
MEMORY_INFO = Path("/proc/meminfo")


def peak_mebibytes(function: Callable[[], object]) -> float:
    """Call a function and return the rise of the resident memory's peak in MiB.

    On Linux the peak is reset before; elsewhere it is exact only if nothing before took more.
    """
    gc.collect()
    with contextlib.suppress(AttributeError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)  # freed, but not given back: it would hide part of the rise
    if RESET.exists():
        RESET.write_text(RESET_PEAK)
    before = peak_resident_bytes()
    function()
    return (peak_resident_bytes() - before) / MEBIBYTE


def available_bytes() -> int | None:
    """Return how much memory can be had without swapping; None where the system does not say."""
    lines = MEMORY_INFO.read_text().splitlines() if MEMORY_INFO.is_file() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)
