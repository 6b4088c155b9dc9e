"""The schedule of a training that is no longer than its warm-up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.logging import print_log


def without_long_warm_up(schedule: Any, epochs: int) -> Any:
    """Return a schedule for a training of so many epochs.

    Where a warm-up would fill them all, what follows it would never begin, which MMEngine refuses, and the
    rate would be at its highest at the end. Such a training has no warm-up: the second part fills it.

    Args:
        schedule: of a config: a part, a list of parts, or these by optimiser.
        epochs: of the training.
    """
    if isinstance(schedule, Mapping) and "type" not in schedule:
        return {name: without_long_warm_up(parts, epochs) for name, parts in schedule.items()}
    if not (isinstance(schedule, Sequence) and len(schedule) == 2):
        return schedule
    first, second = schedule
    if not all(isinstance(part, Mapping) and part.get("by_epoch", True) for part in schedule):
        return schedule
    if min(first.get("end", math.inf), second.get("begin", 0)) < epochs:
        return schedule
    print_log(f"no warm-up: the training has {epochs} epoch{'s' * (epochs != 1)}", "current")
    return [{**second, "begin": 0}]
