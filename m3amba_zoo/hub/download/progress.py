"""Says on stderr what goes on during a download."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from m3amba_zoo.hub.index import PublishedFile, PublishedModel


def say(message: str) -> None:
    """Print one line to stderr."""
    Console(stderr=True).print(message, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def show_progress(model: PublishedModel) -> Iterator[Callable[[PublishedFile, int], None]]:
    """Yield a function to be told how much of a file is there: a bar on a terminal, else one line."""
    total = sum(file.size for file in model.files)
    console = Console(stderr=True)
    if not console.is_terminal:
        say(f"fetching {model.name}, {decimal(total)}")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(model.name, total=total)
        there: dict[str, int] = {}

        def report(file: PublishedFile, count: int) -> None:
            there[file.path] = count
            bar.update(task, completed=sum(there.values()))

        yield report
