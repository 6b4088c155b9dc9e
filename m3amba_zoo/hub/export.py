"""Copies of published cards: a single one into a user's folder, or all as the static tree of a mirror."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub.index import PublishedModel, index_text, verify_card
from m3amba_zoo.system.digest import sha256_of
from m3amba_zoo.system.whole_file import whole_folder

INDEX = "index.json"
SUMS = "SHA256SUMS"


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
        InputError: if the folder is not empty or cannot be written; nothing is left behind.
    """
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


def require_new_folder(target: Path) -> None:
    """Raise InputError if the path exists and is not an empty folder."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target}: exists already, expected a new or empty folder to export to")


def _copy_files(card: Path, model: PublishedModel, into: Path) -> None:
    for file in model.files:
        shutil.copyfile(card / file.path, into / file.path)
    verify_card(into, model)
