"""How much memory a call takes at its peak, above what the process held before it."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import sys
from collections.abc import Callable
from pathlib import Path

RESET = Path("/proc/self/clear_refs")
RESET_PEAK = "5"
MEBIBYTE = 2**20


def peak_mebibytes(function: Callable[[], object]) -> float:
    """Call a function and return the rise of the resident memory's peak in MiB.

    On Linux the peak is reset before; elsewhere it is exact only if nothing before took more.
    """
    gc.collect()
    with contextlib.suppress(AttributeError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)  # freed, but not given back: it would hide part of the rise
    if RESET.exists():
        RESET.write_text(RESET_PEAK)
    before = _peak_bytes()
    function()
    return (_peak_bytes() - before) / MEBIBYTE


def _peak_bytes() -> int:
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
