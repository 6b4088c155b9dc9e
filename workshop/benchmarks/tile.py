"""A whole Sentinel-2 tile in one run: seconds, pixels per second and memory; half an hour, 5 GB of files."""

from __future__ import annotations

from workshop.benchmarks import maps
from workshop.benchmarks.section import Section

SIDE = 10_980  # pixels of 10 m


def measure(side: int = SIDE) -> Section:
    """Measure ``Predictor.predict_map`` with probabilities at the speed ``fast``, in a process of its own."""
    return maps.measure((side,), ("fast",), dask=())
