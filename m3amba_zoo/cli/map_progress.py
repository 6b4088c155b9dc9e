"""How far a map is: a bar on a terminal, lines in a log."""

from __future__ import annotations

import time
from datetime import timedelta
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

SECONDS_BETWEEN_LINES = 30.0


class MapProgress:
    """Shows finished pixels, pixels per second and the time left; a context, called with the pixels so far.

    Args:
        console: where to show it.
        interval: seconds between the lines of a log; one comes at once if that much time is left.
    """

    def __init__(self, console: Console, interval: float = SECONDS_BETWEEN_LINES) -> None:
        self._console, self._interval = console, interval
        self._first: tuple[int, float] | None = None
        self._shown = time.monotonic()
        self._estimated = False
        columns = (TextColumn("pixels"), BarColumn(bar_width=None), TextColumn("{task.fields[state]}"))
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("pixels", total=None, state="")

    def __enter__(self) -> MapProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """Show that so many pixels of all are finished."""
        now = time.monotonic()
        if self._first is None:
            self._first = done, now
            if done:
                self._print(f"goes on where it was stopped, at {100 * done / total:.1f} %")
            return
        if done == self._first[0]:
            return
        rate = (done - self._first[0]) / max(now - self._first[1], 1e-9)
        seconds = (total - done) / rate
        left = timedelta(seconds=round(seconds))
        state = f"{100 * done / total:.1f} % of {total:,} pixels, {rate:,.0f} pixels/s, {left} left"
        if self._console.is_terminal:
            self._bar.update(self._task, total=total, completed=done, state=state)
        elif now - self._shown >= self._interval or (not self._estimated and seconds > self._interval):
            self._shown = now
            self._estimated = True
            self._print(state)

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
