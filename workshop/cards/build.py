"""A card's README.md: made new, built from the folder's files, and checked against them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from m3amba_zoo.config import read_config
from m3amba_zoo.errors import InputError
from m3amba_zoo.hub.index import CONFIG
from m3amba_zoo.hub.trained_model import README
from m3amba_zoo.reading import read_text
from m3amba_zoo.system import whole_file, whole_folder
from workshop.cards.blocks import BLOCKS, ROBUSTNESS, SPEEDS, generated_blocks
from workshop.cards.document import Document, read_document, replace_blocks
from workshop.cards.files import FRONT_MATTER_SCHEMA, CardFiles, check_name, check_schema, read_card_files
from workshop.cards.front_matter import BY_HAND_OF_INPUTS, ZOO, front_matter

OPEN = "TO BE WRITTEN"
_BODY = f"""
# {{name}}

{OPEN}: what it is, in a sentence or two.

## What it is for

{OPEN}

## What it is not for

{OPEN}

## The data

{OPEN}: where it is from, what it shows, which variant (shadow, returns, polarisations) this model has seen.
"""
_TITLES = {
    "results": "Results",
    "inputs": "Inputs",
    "use": "How to use",
    "weights": "Weights and provenance",
    "limits": "Known limits",
}
_SECTION = "\n## {title}\n\n<!-- generated: {name} -->\n<!-- end: {name} -->\n"
_OPTIONAL = {ROBUSTNESS: ("Robustness", "results"), SPEEDS: ("Speed", "use")}
"""Title of a section that cards with its file have, and the section that it stands behind."""


def new_card(folder: Path, config: Path | None = None) -> Path:
    """Write a card's README.md with ``TO BE WRITTEN`` for what only a person knows.

    That is units, the data's licence, limits and prose. ``check_card`` refuses a card that still says so.

    Args:
        folder: the card's folder, named ``<base>_<dataset>``, with the files that ``build_card`` lists.
        config: for a card without weights, the config that trains it. The folder is made, with the expanded
            config as ``config.py``.

    Returns:
        The path of README.md.

    Raises:
        InputError: if README.md (or, with ``config``, the folder) exists, the folder's name is not a card's,
            or as in ``build_card``. Nothing is written then.
    """
    path = folder / README
    check_name(folder)
    if path.exists() or (config is not None and folder.exists()):
        raise InputError(f"{path if path.exists() else folder}: exists already and is not overwritten")
    if config is None:
        _write(path, _template(read_card_files(folder), OPEN))
        return path
    content = read_config(config)
    command = f"python tools/train.py {config.as_posix()} --seed 0"
    with whole_folder(folder) as aside:
        content.dump(aside / CONFIG)
        _write(aside / README, _template(read_card_files(aside), command))
    return path


def build_card(folder: Path) -> None:
    """Rewrite the generated keys and blocks of a card's README.md; text written by hand stays.

    They come from the folder's files: ``config.py``, ``metrics.json``
    (``{"format": 1, "seed": shipped, "runs": {"0": record, ...}}``), ``golden.safetensors`` (with the
    metadata ``tolerance``, the largest allowed difference of a logit, such as ``"0.0001"``), ``map.png``
    and ``<name>-<first 8 of sha256>.safetensors``; in a card without weights only from ``config.py``. A card
    with weights may also have the ``robustness.json`` of ``m3amba robustness`` and the ``speeds.json`` of
    ``tools/card.py speeds``: a section shows each, which goes with the file. The folder may hold no other
    file.

    Args:
        folder: the card's folder, with README.md.

    Raises:
        InputError: if a file is missing, damaged or not part of a card, the records belong to another config
            or contradict each other, or the front matter would be invalid. README.md is unchanged then.
    """
    _write(folder / README, built(folder))


def check_card(folder: Path) -> list[str]:
    """Return a card's faults, one sentence each: none if it is finished and up to date."""
    faults = find_stale(folder)
    path = folder / README
    if not faults and OPEN in (text := read_text(path)):
        lines = [number for number, line in enumerate(text.splitlines(), 1) if OPEN in line]
        faults.append(f"{path}: line {lines[0]} still says '{OPEN}' ({len(lines)} lines in all)")
    return faults


def find_stale(folder: Path) -> list[str]:
    """Return why ``build_card`` would refuse or change a card, one sentence each; ``OPEN`` is no fault."""
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
        f"{path}: is stale, {where} does not match the folder's files; run tools/card.py build {folder.name}"
    ]


def built(folder: Path) -> Document:
    """Return a card's README.md as ``build_card`` writes it; InputError as there."""
    files = read_card_files(folder)
    path = folder / README
    if not path.is_file():
        raise InputError(f"{path}: does not exist; run tools/card.py new {folder.name}")
    written = read_document(path)
    front = front_matter(files, written.front)
    check_schema(front, FRONT_MATTER_SCHEMA, str(path))
    blocks = generated_blocks(files, front)
    body = _with_sections(written.body, blocks)
    return Document(front, replace_blocks(body, blocks, path))


def _with_sections(body: str, blocks: Mapping[str, str]) -> str:
    """Add the optional sections that have a block, where they are not yet, and take out the others."""
    for name, (title, before) in _OPTIONAL.items():
        begin, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->\n"
        if name not in blocks:
            old = rf"\n## {title}\n\n{re.escape(begin)}\n.*?^{re.escape(end)}"
            body = re.sub(old, "", body, flags=re.DOTALL | re.MULTILINE)
        elif begin not in body:
            behind = f"<!-- end: {before} -->\n"
            body = body.replace(behind, behind + _SECTION.format(title=title, name=name), 1)
    return body


def _write(path: Path, document: Document) -> None:
    with whole_file(path) as aside:
        aside.write_text(document.text, encoding="utf-8", newline="\n")


def _template(files: CardFiles, command: str) -> Document:
    """Return a card with ``OPEN`` for all that is written by hand; ``command`` trains it."""
    inputs = {modality: dict.fromkeys(BY_HAND_OF_INPUTS, OPEN) for modality in files.bands}
    written: dict[str, Any] = {
        "tags": ["remote-sensing", "pixel-classification"],
        ZOO: {
            "no_weights": {"reason": OPEN, "command": command},
            "inputs": inputs,
            "licence": {"data": OPEN},
            "limits": [OPEN],
        },
    }
    front = front_matter(files, written)
    check_schema(front, FRONT_MATTER_SCHEMA, str(files.folder / README))
    sections = [_SECTION.format(title=_TITLES[name], name=name) for name in BLOCKS]
    blocks = generated_blocks(files, front)
    body = _with_sections(_BODY.format(name=files.name) + "".join(sections), blocks)
    return Document(front, replace_blocks(body, blocks, files.folder / README))


def _changes(found: Any, expected: Any, key: str) -> Iterator[str]:
    """Yield the keys with different values."""
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        for inner in dict.fromkeys([*expected, *found]):
            yield from _changes(found.get(inner), expected.get(inner), f"{key}.{inner}".lstrip("."))
    elif found != expected:
        yield key
