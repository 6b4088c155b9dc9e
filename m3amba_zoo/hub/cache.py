"""The cache of cards: ``<cache>/<name>-<12 digits of the card's digest>/``, each one whole or absent."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout
from rich.filesize import decimal

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub.index import PublishedModel, verify_card
from m3amba_zoo.hub.mirrors import fetch_file

CACHE_VARIABLE = "M3AMBA_CACHE"
DIGITS = 12


def cached_folder(model: PublishedModel) -> Path:
    """Return the folder of a card in the cache, whether or not it is there.

    The cache is ``$M3AMBA_CACHE``, else ``m3amba_zoo`` in the user's cache folder, such as ``~/.cache``.
    """
    named = os.environ.get(CACHE_VARIABLE)
    cache = Path(named).expanduser() if named else Path(platformdirs.user_cache_dir("m3amba_zoo", False))
    return cache / f"{model.name}-{model.digest[:DIGITS]}"


def fetch_card(model: PublishedModel, mirrors: Sequence[str]) -> Path:
    """Fetch a card into the cache, once for all processes that want it at the same time.

    Args:
        model: what the package's index lists.
        mirrors: their addresses, asked in turn; each is asked only for the files that are still missing.

    Returns:
        The card's folder, all of its files compared with the index.

    Raises:
        InputError: if no mirror serves the card or the cache cannot be written; nothing is left behind.
    """
    folder = cached_folder(model)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            with suppress(InputError):
                verify_card(folder, model)  # another process may have fetched it meanwhile
                return folder
            _assemble(folder, model, mirrors)
    except OSError as error:
        raise InputError(
            f"{folder.parent}: the cache cannot be written ({error.strerror or error}); "
            f"${CACHE_VARIABLE} can name another folder"
        ) from error
    return folder


def _locked(folder: Path) -> AbstractContextManager[object]:
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    try:
        return lock.acquire(timeout=1)
    except Timeout:
        print(f"waiting for another process that fetches {folder.name}", file=sys.stderr)
        return lock.acquire()


def _assemble(folder: Path, model: PublishedModel, mirrors: Sequence[str]) -> None:
    size = decimal(sum(file.size for file in model.files))
    print(f"fetching {model.name}, {size}", file=sys.stderr)
    aside = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)  # left by a process that was killed
    aside.mkdir()
    try:
        _fetch_files(aside, model, mirrors)
        shutil.rmtree(folder, ignore_errors=True)  # a damaged one
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _fetch_files(aside: Path, model: PublishedModel, mirrors: Sequence[str]) -> None:
    failures = []
    for mirror in mirrors:
        try:
            for file in sorted(model.files, key=lambda file: file.size):  # a bad mirror fails early
                if not (aside / file.path).exists():
                    (aside / file.path).write_bytes(fetch_file(mirror, model.name, file))
            verify_card(aside, model)
            return
        except InputError as error:
            failures.append(str(error))
    raise InputError(f"model '{model.name}' could not be fetched: {'; '.join(failures)}")
