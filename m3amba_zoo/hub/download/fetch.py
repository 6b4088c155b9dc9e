"""Fetches one file from one mirror: resumed, limited in size, compared with its hash."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from m3amba_zoo.hub.download.mirror import Body, Interrupted, Mirror, Refused
from m3amba_zoo.hub.download.settings import Patience
from m3amba_zoo.hub.index import PublishedFile, sha256_of

Report = Callable[[PublishedFile, int], None]  # is told how many bytes of a file are there


def fetch_file(
    mirror: Mirror, model: str, file: PublishedFile, folder: Path, patience: Patience, report: Report
) -> None:
    """Fetch a file into a folder, where it has its name only once it was compared with its hash.

    Until then it lies there under its sha256, where any mirror may resume it.

    Raises:
        Refused: the mirror has it not, or another one; none of that one's bytes is kept.
        Interrupted: the transfer broke off at each attempt; what has come is kept.
        OSError: the file cannot be written.
    """
    delays = patience.delays()
    while True:
        try:
            _attempt(mirror, model, file, folder, report)
            return
        except Interrupted as error:
            delay = next(delays, None)
            if delay is None:
                raise
            if error.wait > patience.longest_delay:
                raise Interrupted(f"{error}, asks to wait {error.wait:.0f} s") from error
            time.sleep(max(delay, error.wait))


def _attempt(mirror: Mirror, model: str, file: PublishedFile, folder: Path, report: Report) -> None:
    partial = folder / file.sha256
    start = partial.stat().st_size if partial.exists() else 0
    source = str(mirror)
    if start < file.size:
        with mirror.open(model, file, start) as body:
            _append(body, file, partial, report)
        source, start = body.source, body.start
    found = sha256_of(partial)
    if found == file.sha256:
        partial.replace(folder / file.path)
        return
    partial.unlink()
    if start == 0:
        raise Refused(f"{source}: its sha256 begins with {found[:8]}, published was {file.sha256[:8]}")
    # what was there before, from another mirror or another day, need not be this one's fault
    _attempt(mirror, model, file, folder, report)


def _append(body: Body, file: PublishedFile, partial: Path, report: Report) -> None:
    """Write what comes, up to the published size."""
    there = body.start
    with partial.open("ab" if body.start else "wb") as stream:
        for chunk in body.chunks:
            there += len(chunk)
            if there > file.size:
                break
            stream.write(chunk)
            report(file, there)
    if there != file.size:
        partial.unlink()
        found = f"more than {file.size}" if there > file.size else there
        raise Refused(f"{body.source}: has {found} bytes, published were {file.size}")
