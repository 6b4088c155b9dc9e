"""Colours of a page as CSS."""

from __future__ import annotations

from collections.abc import Sequence

from m3amba_zoo.scenes.palette import SAFE_COLORS


def safe_colors(table: Sequence[Sequence[int]]) -> list[str]:
    """Return a colour ``#rrggbb`` for each class of a table; beyond 21 classes the table's own are kept."""
    chosen = SAFE_COLORS[: len(table)]
    return [hexadecimal(color) for color in [*chosen, *table[len(chosen) :]]]


def hexadecimal(color: Sequence[int]) -> str:
    """Return ``#rrggbb``."""
    return "#" + bytes(color).hex()
