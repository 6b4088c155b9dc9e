"""The index of all cards' files, and the table of all cards in model_cards/README.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.scores import SCORES
from m3amba_zoo.hub.index import PACKAGE_INDEX, PublishedModel, index_text
from m3amba_zoo.hub.trained_model import README
from m3amba_zoo.hub.transport import INDEX
from m3amba_zoo.reading import read_text
from m3amba_zoo.system import whole_file
from workshop.cards.blocks import percent
from workshop.cards.build import find_stale
from workshop.cards.document import code, escape, read_document, replace_blocks, table
from workshop.cards.files import measure
from workshop.cards.front_matter import ZOO

NOT_CARDS = ("runs", "test_parts")  # what the leaderboard keeps of its runs
TABLE = "cards"
_README = f"""# Model cards

<!-- generated: {TABLE} -->
<!-- end: {TABLE} -->
"""


def card_folders(cards: Path) -> list[Path]:
    """Return the folders of cards in a folder, by name: all but the leaderboard's and hidden ones.

    Raises:
        InputError: if the folder does not exist.
    """
    if not cards.is_dir():
        raise InputError(f"{cards}: this folder of cards does not exist")
    folders = (path for path in cards.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(path for path in folders if path.name not in NOT_CARDS)


def build_catalogue(cards: Path, package_index: Path | None = PACKAGE_INDEX) -> None:
    """Write ``index.json``, the package's index, which is equal, and the table in README.md.

    Args:
        cards: the folder of the cards. Its README.md, made if absent, has a block ``cards`` for the table.
        package_index: the path of the package's index, or None to leave it alone (the user's own cards).

    Raises:
        InputError: if a card is invalid or stale (it may be unfinished), or a file cannot be written.
    """
    for folder in card_folders(cards):
        if faults := find_stale(folder):
            raise InputError(faults[0])
    for path, text in _catalogue(cards, package_index):
        with whole_file(path) as aside:
            aside.write_text(text, encoding="utf-8", newline="\n")


def check_catalogue(cards: Path, package_index: Path | None = PACKAGE_INDEX) -> list[str]:
    """Return what is stale or missing in the index and the table, one sentence each.

    Cards must be free of the faults that ``check_card`` finds.
    """
    try:
        return [
            f"{path}: does not match the cards; run tools/card.py build"
            for path, text in _catalogue(cards, package_index)
            if not path.is_file() or read_text(path) != text
        ]
    except InputError as error:
        return [str(error)]


def _catalogue(cards: Path, package_index: Path | None) -> Iterator[tuple[Path, str]]:
    """Yield each file with the content it must have."""
    fronts = {folder.name: read_document(folder / README).front for folder in card_folders(cards)}
    index = index_text({name: _published(cards / name, front) for name, front in fronts.items()})
    yield cards / INDEX, index
    if package_index is not None:
        yield package_index, index
    path = cards / README
    body = read_text(path).replace("\r\n", "\n") if path.exists() else _README
    yield path, replace_blocks(body, {TABLE: "\n".join(_table(fronts))}, path)


def _published(folder: Path, front: Mapping[str, Any]) -> PublishedModel:
    card = front[ZOO]
    summary = {key: card[key] for key in ("dataset", "modalities", "simulated", "seeds", "results")}
    return PublishedModel(
        name=folder.name,
        files=tuple(measure(path) for path in sorted(folder.iterdir())),
        weights="" if card["weights"] is None else card["weights"]["file"],
        reason="" if card["weights"] is not None else card["no_weights"]["reason"],
        summary=summary,
    )


def _table(fronts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    head = ["model", "data", "OA %", "AA %", "kappa x 100", "seeds", "weights"]
    rows = []
    for name, front in fronts.items():
        card = front[ZOO]
        data = f"{code(card['dataset'])}: {escape(' + '.join(card['modalities']))}"
        if card["weights"] is None:
            scores, weights = ["-"] * len(SCORES), f"none ([why]({name}/{README}))"
        else:
            scores = [percent(card["results"][score]) for score in SCORES]
            weights = f"{card['weights']['size'] / 1e6:.1f} MB"
        rows.append([f"[{escape(name)}]({name}/{README})", data, *scores, str(len(card["seeds"])), weights])
    yield from table(head, rows) if rows else ["No model is published yet."]
