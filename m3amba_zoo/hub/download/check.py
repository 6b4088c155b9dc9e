"""Compares the files of a card with the package's index, in full."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub.index import PublishedFile, PublishedModel, sha256_of


def lacks(folder: Path, names: Iterable[str]) -> list[str]:
    """Return which of some files a folder does not have."""
    return [name for name in names if not (folder / name).is_file()]


def verify_card(folder: Path, model: PublishedModel, needed: Iterable[str] | None = None) -> None:
    """Compare each file in a card's folder with the index: its size, then its sha256.

    A file that was not published must not lie there either, as the loader might take it. Hidden files, which
    desktops and editors leave, are passed over.

    Args:
        folder: the card.
        model: what was published.
        needed: the files that must be there; None for all that were published.

    Raises:
        InputError: a file is missing, of another size or content, unknown, or cannot be read.
    """
    listed = {file.path for file in model.files}
    if missing := lacks(folder, listed if needed is None else needed):
        raise InputError(
            f"{folder}: lacks {', '.join(sorted(missing))} of the published model '{model.name}'"
        )
    for path in sorted(folder.iterdir()):
        if path.name in listed:
            check_file(path, model.file(path.name))
        elif path.name != "__pycache__" and not path.name.startswith("."):
            raise InputError(f"{path}: is no part of the published model '{model.name}': the card is refused")


def check_file(path: Path, file: PublishedFile) -> None:
    """Compare a file with the index.

    Raises:
        InputError: it is of another size or content, or cannot be read.
    """
    try:
        size = path.stat().st_size
        found = sha256_of(path) if size == file.size else ""
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if size != file.size:
        raise InputError(f"{path}: has {size} bytes, published were {file.size}: it is refused")
    if found != file.sha256:
        raise InputError(
            f"{path}: its sha256 begins with {found[:8]}, published was {file.sha256[:8]}: it is refused"
        )
