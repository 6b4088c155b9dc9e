"""Shows how far a download is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mmengine.logging import print_log
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


@contextmanager
def show_progress(model: PublishedModel) -> Iterator[Callable[[PublishedFile, int], None]]:
    """Yield a function to be told how many bytes of a file are there: a bar on a terminal, else one log line."""
    total = sum(file.size for file in model.files)
    console = Console(stderr=True)
    if not console.is_terminal:
        print_log(f"fetching {model.name}, {decimal(total)}", "current", logging.INFO)
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
