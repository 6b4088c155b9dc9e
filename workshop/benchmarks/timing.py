"""How long a call takes: the median of several runs, fewer of them where one takes long."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

RUNS = 7
BUDGET = 60.0  # seconds; a call that exceeds it alone still runs once


def median_seconds(function: Callable[[], object], runs: int = RUNS, warm_up: bool = True) -> float:
    """Return the median time of a call in seconds.

    Args:
        function: what to time.
        runs: how often, unless the runs together exceed 60 seconds first.
        warm_up: whether to call it once before, untimed.
    """
    if warm_up:
        function()
    times: list[float] = []
    while len(times) < runs and sum(times) < BUDGET:
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return statistics.median(times)
