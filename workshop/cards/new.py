"""A new card: README.md with what is to be written by hand still open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from m3amba_zoo.config import read_config
from m3amba_zoo.errors import InputError
from m3amba_zoo.hub.trained_model import CONFIG, README
from m3amba_zoo.system.whole_file import whole_file, whole_folder
from workshop.cards.blocks import BLOCKS, blocks
from workshop.cards.document import Document, replace_blocks
from workshop.cards.files import CardFiles, check_name, read_card_files
from workshop.cards.front_matter import BY_HAND_OF_INPUTS, ZOO, front_matter
from workshop.cards.validate import FRONT_MATTER, validate

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


def new_card(folder: Path, config: Path | None = None) -> Path:
    """Write a card's README.md, built, with ``TO BE WRITTEN`` for what only a person knows.

    Units, the data's licence, limits and prose are such; the card can be built with them open, and
    ``check_card`` refuses it.

    Args:
        folder: of the card, named ``<base>_<dataset>``. It holds the files that ``build_card`` lists.
        config: for a card without weights: the config that trains it. The folder is made, and ``config.py``
            in it is that config, expanded.

    Returns:
        The path of README.md.

    Raises:
        InputError: README.md (or, with ``config``, the folder) exists already; the folder's name is no
            model's; or as ``build_card``. Nothing is left behind then.
    """
    path = folder / README
    check_name(folder)
    if path.exists() or (config is not None and folder.exists()):
        raise InputError(f"{path if path.exists() else folder}: exists already, it is not overwritten")
    if config is None:
        _write(path, _template(read_card_files(folder), OPEN))
        return path
    content = read_config(config)
    command = f"python tools/train.py {config.as_posix()} --seed 0"
    with whole_folder(folder) as aside:
        content.dump(aside / CONFIG)
        _write(aside / README, _template(read_card_files(aside), command))
    return path


def _write(path: Path, document: Document) -> None:
    with whole_file(path) as aside:
        aside.write_text(document.text, encoding="utf-8", newline="\n")


def _template(files: CardFiles, command: str) -> Document:
    """Return a card with everything written by hand open.

    Args:
        files: of the card.
        command: that trains it.
    """
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
    validate(front, FRONT_MATTER, str(files.folder / README))
    sections = [
        f"\n## {_TITLES[name]}\n\n<!-- generated: {name} -->\n<!-- end: {name} -->\n" for name in BLOCKS
    ]
    body = _BODY.format(name=files.name) + "".join(sections)
    return Document(front, replace_blocks(body, blocks(files, front), files.folder / README))
