"""What is said while a map grows."""

import io
import re
from types import SimpleNamespace

import pytest
from rich.console import Console

from m3amba_zoo.cli import output
from m3amba_zoo.cli.output import MapProgress

PIXELS = 300_000
"""So many that, at one pixel in a thousand million seconds, the time left is no ``timedelta``."""


def shown(states, terminal=False):
    file = io.StringIO()
    with MapProgress(Console(file=file, force_terminal=terminal, width=200), interval=0) as progress:
        for done in states:
            progress(done, PIXELS)
    return file.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_a_state_that_is_told_twice_divides_by_no_zero(terminal):
    """``test --scene`` tells the beginning of all scenes, and then that of the first."""
    assert "100.0 % of 300,000 pixels" in shown([0, 0, 100_000, 100_000, PIXELS], terminal) or terminal


def test_a_log_has_pixels_per_second_and_the_time_left():
    found = shown([0, 0, 150_000]).splitlines()
    assert len(found) == 1
    assert re.fullmatch(r"50\.0 % of 300,000 pixels, [\d,]+ pixels/s, 0:00:00 left", found[0])


def test_a_log_estimates_a_long_map_after_the_first_rows(monkeypatch):
    clock = iter([0, 0, 1, 2, 40])
    monkeypatch.setattr(output, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    file = io.StringIO()
    with MapProgress(Console(file=file, width=200)) as progress:
        for done in (0, 3_000, 6_000, 120_000):
            progress(done, PIXELS)
    assert [line.rpartition(", ")[2] for line in file.getvalue().splitlines()] == [
        "0:01:39 left",
        "0:01:00 left",
    ]


def test_a_map_that_goes_on_says_where():
    assert shown([75_000]) == "goes on where it was stopped, at 25.0 %\n"
