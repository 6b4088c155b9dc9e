"""The cache of cards: ``<cache>/<name>-<12 digits of the card's digest>/``, each there in full or not at all.

A card is assembled in a folder beside its own, named ``.part``, which a later download resumes.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout
from rich.filesize import decimal

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub.download.check import check_file, verify_card
from m3amba_zoo.hub.download.fetch import Report, fetch_file
from m3amba_zoo.hub.download.mirror import Interrupted, Mirror, Refused
from m3amba_zoo.hub.download.progress import say, show_progress
from m3amba_zoo.hub.download.settings import CACHE_VARIABLE, Patience, cache_folder
from m3amba_zoo.hub.index import PublishedModel

DIGITS = 12


def cached_folder(model: PublishedModel) -> Path:
    """Return where the cache has a card, or would have it."""
    return cache_folder() / f"{model.name}-{model.digest[:DIGITS]}"


def fetch_card(model: PublishedModel, mirrors: Sequence[Mirror], patience: Patience) -> Path:
    """Fetch a card into the cache, once for all processes that want it at the same time.

    Args:
        model: what the package's index lists.
        mirrors: asked in turn; each goes on where the one before broke off.
        patience: with each mirror.

    Returns:
        The card's folder, all of its files compared with the index.

    Raises:
        InputError: no mirror serves the card, which leaves behind only what can be resumed; or the cache
            cannot be written, which leaves nothing behind.
    """
    folder = cached_folder(model)
    aside = folder.with_name(f"{folder.name}.part")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder), _removed_if_unwritable(aside):
            if not _is_whole(folder, model):
                _assemble(aside, model, mirrors, patience)
                shutil.rmtree(folder, ignore_errors=True)  # a damaged one
                aside.rename(folder)
    except OSError as error:
        size = decimal(sum(file.size for file in model.files))
        raise InputError(
            f"{folder.parent}: the cache cannot be written ({error.strerror or error}; the card has {size}); "
            f"${CACHE_VARIABLE} can name another folder"
        ) from error
    return folder


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    try:
        lock.acquire(timeout=1)
    except Timeout:
        say(f"waiting for another process that fetches {folder.name}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _removed_if_unwritable(aside: Path) -> Iterator[None]:
    try:
        yield
    except OSError:  # a full disk is not helped by what was begun
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _is_whole(folder: Path, model: PublishedModel) -> bool:
    try:
        verify_card(folder, model)
    except InputError:
        return False
    return True


def _assemble(aside: Path, model: PublishedModel, mirrors: Sequence[Mirror], patience: Patience) -> None:
    """Fetch what a folder lacks of a card, and leave it with the published files alone."""
    aside.mkdir(exist_ok=True)
    _sweep(aside, model)
    failures: list[Refused | Interrupted] = []
    with show_progress(model) as report:
        for mirror in mirrors:
            try:
                _take(mirror, aside, model, patience, report)
                verify_card(aside, model)
                return
            except (Refused, Interrupted) as error:
                failures.append(error)
    resumable = any(isinstance(failure, Interrupted) for failure in failures)
    if not resumable or not any(path.stat().st_size for path in aside.iterdir()):
        shutil.rmtree(aside)
    raise InputError(f"model '{model.name}' could not be fetched: {'; '.join(map(str, failures))}")


def _sweep(aside: Path, model: PublishedModel) -> None:
    """Remove what is neither a whole file of the card nor the beginning of one."""
    files = {file.path: file for file in model.files}
    beginnings = {file.sha256 for file in model.files}
    for path in aside.iterdir():
        if path.name in files:
            with contextlib.suppress(InputError):
                check_file(path, files[path.name])
                continue
        elif path.name in beginnings:
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _take(mirror: Mirror, aside: Path, model: PublishedModel, patience: Patience, report: Report) -> None:
    """Fetch the files that are not there yet, the smallest first: a bad mirror is soon done with."""
    for file in sorted(model.files, key=lambda file: file.size):
        if not (aside / file.path).exists():
            fetch_file(mirror, model.name, file, aside, patience, report)
        report(file, file.size)
