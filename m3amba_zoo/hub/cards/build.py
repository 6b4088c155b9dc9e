"""What a card's README.md must say: made from its folder's files, compared or written."""

from __future__ import annotations

from pathlib import Path


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
    raise NotImplementedError


def check_card(folder: Path) -> list[str]:
    """Return what is wrong with a card, one sentence each; empty where it is valid and up to date."""
    raise NotImplementedError
