"""What commands print: lines and tables by rich's console, which ``--quiet`` silences, and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from m3amba_zoo.errors import printable


def print_line(line: str) -> None:
    """Print a line as it is: without markup, colours, line breaks or codes that a terminal obeys."""
    from rich import get_console

    get_console().print(printable(line), markup=False, highlight=False, soft_wrap=True)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: on a terminal fitted to its width, elsewhere as aligned lines in which nothing is cut.

    The first column is never wrapped.
    """
    from rich import box, get_console
    from rich.table import Table
    from rich.text import Text

    if get_console().is_terminal:
        table = Table(*header, box=box.SIMPLE_HEAD, pad_edge=False)
        table.columns[0].no_wrap = True
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        get_console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        print_line("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def print_json(content: Any) -> None:
    """Print JSON for scripts, in ASCII, which every terminal and pipe takes; what has no JSON as its repr."""
    print(json.dumps(content, indent=2, default=repr))
