"""All cards together: the index of their files, and the table in model_cards/README.md."""

from __future__ import annotations

from pathlib import Path

from m3amba_zoo.hub.index import PACKAGE_INDEX


def card_folders(cards: Path) -> list[Path]:
    """Return the cards below a folder such as ``model_cards``, sorted by name."""
    raise NotImplementedError


def build_catalogue(cards: Path, package_index: Path | None = PACKAGE_INDEX) -> None:
    """Write ``index.json``, the same as the package's index, and the table in README.md.

    Args:
        cards: the folder of the cards, whose README.md has the table's markers.
        package_index: None leaves the package's alone (cards of one's own).

    Raises:
        InputError: a card is not as ``build_card`` leaves it; a file cannot be written.
    """
    raise NotImplementedError


def check_catalogue(cards: Path, package_index: Path | None = PACKAGE_INDEX) -> list[str]:
    """Return what is stale or missing in the index and the table, one sentence each."""
    raise NotImplementedError
