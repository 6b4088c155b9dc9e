"""What commands print: lines, tables and progress by rich's console, which ``--quiet`` silences, and JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from m3amba_zoo.cli.command_parser import OVERWRITE
from m3amba_zoo.errors import InputError, printable

if TYPE_CHECKING:
    from rich.console import Console

SECONDS_BETWEEN_LINES = 30.0


def print_line(line: str) -> None:
    """Print a line as it is: without markup, colours, line breaks or codes that a terminal obeys."""
    from rich import get_console

    get_console().print(printable(line), markup=False, highlight=False, soft_wrap=True)


def print_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[str] = (), title: str = ""
) -> None:
    """Print a table: on a terminal fitted to its width, elsewhere as aligned lines in which nothing is cut.

    The first column is never wrapped.

    Args:
        header: the names of the columns.
        rows: their cells.
        numbers: the names of those columns that are aligned at the right.
        title: a line above the table.
    """
    from rich import box, get_console
    from rich.table import Table
    from rich.text import Text

    rows = [[printable(cell) for cell in row] for row in rows]
    if title:
        print_line(title)
    if get_console().is_terminal:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in header:
            table.add_column(name, justify="right" if name in numbers else "left")
        table.columns[0].no_wrap = True
        for row in rows:
            table.add_row(*map(Text, row))
        get_console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    sides = [">" if name in numbers else "<" for name in header]
    for row in (header, *rows):
        cells = (f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True))
        print_line("  ".join(cells).rstrip())


def first_line(documentation: str) -> str:
    """Return the first line of a documentation for people, without its marks of code."""
    return documentation.partition("\n")[0].replace("`", "")


def print_json(content: Any) -> None:
    """Print JSON for scripts, in ASCII, which every terminal and pipe takes; what has no JSON as its repr."""
    print(json.dumps(content, indent=2, default=repr))


def check_new_file(option: str, path: Path, overwrite: bool) -> None:
    """Raise InputError if a file would be replaced without ``--overwrite``; ``option`` is the path's."""
    if path.exists() and not overwrite:
        raise InputError(f"{option} {path}: exists; {OVERWRITE} replaces it, another name leaves it alone")


class MapProgress:
    """Shows how far a map is, as a bar on a terminal and as lines in a log.

    It has the finished pixels, pixels per second and the time left; a context, called with the pixels so far.

    Args:
        console: where to show it.
        interval: seconds between the lines of a log; one comes at once if that much time is left.
    """

    def __init__(self, console: Console, interval: float = SECONDS_BETWEEN_LINES) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

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
