"""What a run costs: threads, memory at its peak, floating-point operations."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

import m3amba_zoo.ops.flops as flops  # registers the scans' formulas  # noqa: F401

STATUS = Path("/proc/self/status")
MEBIBYTE = 2**20


def peak_resident_bytes() -> int:
    """Return the peak of the process's resident memory: Python, libraries and scenes count."""
    if STATUS.is_file():  # what getrusage says on Linux includes the process that started this one
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def memory_mib() -> dict[str, float]:
    """Return the peaks so far in MiB: ``process``, and ``cuda`` where a GPU was used."""
    found = {"process": round(peak_resident_bytes() / MEBIBYTE, 1)}
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        found["cuda"] = round(torch.cuda.max_memory_allocated() / MEBIBYTE, 1)
    return found


def count_flops(call: Callable[[], object]) -> int:
    """Count a call's floating-point operations; a multiply-add is two.

    Products of matrices, convolutions, attention and the selective scan count (torch's formulas and those
    of ``ops.flops``); what goes number by number (activations, norms) does not, as usual.
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()
