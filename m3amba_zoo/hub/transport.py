"""Cards between machines: fetched from mirrors into the cache, copied to a folder, exported as a mirror.

A mirror serves the files of cards as ``<mirror>/<model>/<file>``. The cache holds
``<cache>/<name>-<12 digits of the card's digest>/``, each one whole or absent.

No library does the whole transfer, since none caps the size: pooch, huggingface_hub, and requests when it
follows redirects, all read an answer to its end. ``exchange`` asks a server for one file. Cards are small, so
a file is held in memory until it is compared.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from filelock import FileLock, Timeout
from rich.filesize import decimal

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub import exchange
from m3amba_zoo.hub.exchange import is_remote, shown
from m3amba_zoo.hub.index import PublishedFile, PublishedModel, index_text, verify_card
from m3amba_zoo.reading import open_plain
from m3amba_zoo.system import CACHE_VARIABLE, cache_root, sha256_of, whole_folder

DIGITS = 12
INDEX = "index.json"
SUMS = "SHA256SUMS"
MIRRORS_VARIABLE = "M3AMBA_MIRRORS"


def cached_folder(model: PublishedModel) -> Path:
    """Return the folder of a card in the cache, whether or not it is there."""
    return cache_root() / f"{model.name}-{model.digest[:DIGITS]}"


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


def copy_card(card: Path, model: PublishedModel, into: Path) -> Path:
    """Copy a card to ``<into>/<name>`` and return that folder, which appears whole.

    Raises:
        InputError: if something else has that name already, or the folder cannot be written.
    """
    target = into / model.name
    if target.exists():
        try:
            verify_card(target, model)
        except InputError as error:
            raise InputError(
                f"{target}: exists already, but not as published ({error}): remove it first"
            ) from error
        return target
    with whole_folder(target) as aside:
        _copy_files(card, model, aside)
    return target


def export_mirror(cards: Mapping[str, Path], models: Mapping[str, PublishedModel], target: Path) -> None:
    """Write a tree that any web server, USB stick or object store can serve as a mirror.

    It holds ``<name>/<file>`` of each card, ``index.json``, and ``SHA256SUMS`` for ``sha256sum -c``. The last
    two are for people: downloads are compared with the index in the package.

    Args:
        cards: the folder of each card, by name.
        models: what was published under these names.
        target: a new or empty folder.

    Raises:
        InputError: if the folder holds anything but this very mirror, or cannot be written; nothing is left
            behind.
    """
    if is_mirror(target, {name: models[name] for name in cards}):
        return
    require_new_folder(target)
    with whole_folder(target) as aside:
        for name, card in sorted(cards.items()):
            (aside / name).mkdir()
            _copy_files(card, models[name], aside / name)
        (aside / INDEX).write_text(index_text({name: models[name] for name in cards}), encoding="utf-8")
        sums = {f"{name}/{file.path}": file.sha256 for name in cards for file in models[name].files}
        sums[INDEX] = sha256_of(aside / INDEX)
        lines = "".join(f"{sha256}  {path}\n" for path, sha256 in sorted(sums.items()))
        (aside / SUMS).write_bytes(lines.encode())


def is_mirror(target: Path, models: Mapping[str, PublishedModel]) -> bool:
    """Return whether a folder is a mirror of these models and nothing else, each file as published."""
    if not (target / SUMS).is_file() or {path.name for path in target.iterdir()} != {INDEX, SUMS, *models}:
        return False
    try:
        for name, model in models.items():
            verify_card(target / name, model)
        return (target / INDEX).read_text(encoding="utf-8") == index_text(models)
    except (InputError, OSError, UnicodeDecodeError):
        return False


def require_new_folder(target: Path) -> None:
    """Raise InputError if the path exists and is not an empty folder."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target}: exists already, expected a new or empty folder to export to")


def _copy_files(card: Path, model: PublishedModel, into: Path) -> None:
    for file in model.files:
        shutil.copyfile(card / file.path, into / file.path)
    verify_card(into, model)


def mirror_names(given: Sequence[str] = ()) -> list[str]:
    """Return the given mirrors, then those of ``$M3AMBA_MIRRORS`` (separated by spaces or commas).

    Raises:
        InputError: if an address is malformed, or neither ``http(s)://``, ``file://`` nor a folder.
    """
    named = re.split(r"[\s,]+", os.environ.get(MIRRORS_VARIABLE, ""))
    names = list(dict.fromkeys(filter(None, [*given, *named])))
    for name in names:
        try:
            parts = urlsplit(name)
            malformed = parts.port == 0 or (is_remote(name) and not parts.hostname)
        except ValueError:
            malformed = True
        if malformed:  # it is not shown, as nobody can tell where in it a password is
            scheme = re.sub(r"(?s)^([\w+.-]+:)?.*", r"\1", name)
            raise InputError(
                f"mirror '{scheme}...': is malformed, expected {scheme or 'http:'}//host:port/path"
            )
        if "://" in name and parts.scheme not in ("http", "https", "file"):
            raise InputError(f"mirror '{shown(name)}': expected http://, https://, file:// or a folder")
    return names


def fetch_file(mirror: str, model: str, file: PublishedFile) -> bytes:
    """Return the content of a file from a mirror, compared with the index.

    Args:
        mirror: its address, from ``mirror_names``. ``{model}`` and ``{file}`` may stand in one of HTTP.
        model: the name of the card.
        file: what was published.

    Raises:
        InputError: if the mirror cannot be reached, is too slow, or lacks the published file. At most one
            chunk more than the published size is read.
    """
    if is_remote(mirror):
        template = mirror if "{file}" in mirror else mirror.rstrip("/") + "/{model}/{file}"
        url = template.replace("{model}", model).replace("{file}", file.path)
        place, content = shown(url), exchange.get(url, file.size)
    else:
        root = Path(url2pathname(urlsplit(mirror).path) if "://" in mirror else mirror).expanduser()
        path = root / model / file.path
        place, content = shown(str(path)), _read(path, file.size + 1)
    if len(content) > file.size:
        raise InputError(f"{place}: has more than the {file.size} bytes that were published: it is refused")
    file.compare(place, len(content), hashlib.sha256(content).hexdigest())
    return content


def _read(path: Path, most: int) -> bytes:
    try:
        with open_plain(path, shown(str(path))) as stream:
            return stream.read(most)
    except OSError as error:
        # without the cause, whose text may have a password
        raise InputError(f"{shown(str(path))}: {error.strerror}") from None
