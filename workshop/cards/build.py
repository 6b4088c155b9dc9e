"""A card's README.md as its folder's files ask for it: written, or compared with what is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub.trained_model import README
from m3amba_zoo.system.whole_file import whole_file
from workshop.cards.blocks import blocks
from workshop.cards.document import Document, read_document, read_text, replace_blocks
from workshop.cards.files import read_card_files
from workshop.cards.front_matter import front_matter
from workshop.cards.new import OPEN
from workshop.cards.validate import FRONT_MATTER, validate


def build_card(folder: Path) -> None:
    """Rewrite the generated keys and blocks of a card's README.md; what is written by hand stays.

    The folder's files are the source, and no others may lie in it: ``config.py``, ``metrics.json``
    (``{"format": 1, "seed": shipped, "runs": {"0": record, ...}}``), ``golden.safetensors`` (its metadata
    hold ``tolerance``, the greatest absolute difference of a logit, such as ``"0.0001"``), ``map.png`` and
    ``<name>-<first 8 of sha256>.safetensors``; ``config.py`` alone for a card without weights.

    Args:
        folder: of the card, with README.md (``new_card``).

    Raises:
        InputError: a file is missing, damaged or foreign; the records are of another config than config.py
            or contradict each other; the front matter would not be valid. README.md is as before.
    """
    text = built(folder).text
    with whole_file(folder / README) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")


def check_card(folder: Path) -> list[str]:
    """Return what is wrong with a card, one sentence each; empty where it is finished and up to date."""
    faults = find_stale(folder)
    path = folder / README
    if not faults and OPEN in (text := read_text(path)):
        lines = [number for number, line in enumerate(text.splitlines(), 1) if OPEN in line]
        faults.append(f"{path}: line {lines[0]} still says '{OPEN}' ({len(lines)} such lines)")
    return faults


def find_stale(folder: Path) -> list[str]:
    """Return why ``build_card`` would refuse or change a card, one sentence each; it may be unfinished."""
    path = folder / README
    try:
        expected, found = built(folder), read_document(path)
        text = read_text(path)
    except InputError as error:
        return [str(error)]
    if text == expected.text:
        return []
    changed = ", ".join(_changes(found.front, expected.front, ""))
    where = f"its front matter in {changed}" if changed else "generated text"
    return [
        f"{path}: is stale, {where} is not what the folder's files say; tools/card.py build {folder.name} "
        "mends it"
    ]


def built(folder: Path) -> Document:
    """Return a card's README.md as it must be.

    Raises:
        InputError: as ``build_card``.
    """
    files = read_card_files(folder)
    path = folder / README
    if not path.is_file():
        raise InputError(f"{path}: does not exist; tools/card.py new {folder.name} makes it")
    written = read_document(path)
    front = front_matter(files, written.front)
    validate(front, FRONT_MATTER, str(path))
    return Document(front, replace_blocks(written.body, blocks(files, front), path))


def _changes(found: Any, expected: Any, key: str) -> Iterator[str]:
    """Yield the keys whose values differ."""
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        for inner in dict.fromkeys([*expected, *found]):
            yield from _changes(found.get(inner), expected.get(inner), f"{key}.{inner}".lstrip("."))
    elif found != expected:
        yield key
