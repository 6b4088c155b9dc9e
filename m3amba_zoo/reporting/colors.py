"""Colours that readers with any colour vision tell apart."""

from __future__ import annotations

from collections.abc import Sequence

Rgb = tuple[int, int, int]
OKABE_ITO: tuple[Rgb, ...] = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (213, 94, 0),
    (86, 180, 233),
    (204, 121, 167),
    (240, 228, 66),
)
"""The hues of Okabe and Ito, "Color Universal Design" (2008)."""
SHADES: tuple[Rgb, ...] = (
    (75, 33, 0),
    (0, 40, 62),
    (249, 244, 179),
    (138, 61, 0),
    (240, 197, 102),
    (133, 79, 109),
    (153, 216, 199),
    (0, 79, 58),
    (153, 199, 224),
    (0, 74, 116),
    (230, 158, 102),
    (238, 191, 153),
    (246, 239, 142),
    (156, 148, 43),
)
"""Shades of the hues for more classes, each the farthest from all before it.

The distance is the smallest of those in CIELAB to readers of normal, protanopic and deuteranopic vision
(Machado, Oliveira and Fernandes, IEEE TVCG 15:1291, 2009): 41 for the first, 16 or more up to the tenth.
"""


def safe_colors(table: Sequence[Sequence[int]]) -> list[str]:
    """Return a colour ``#rrggbb`` for each class of a table; beyond 21 classes the table's own are kept."""
    chosen = [*OKABE_ITO, *SHADES][: len(table)]
    return [hexadecimal(color) for color in [*chosen, *table[len(chosen) :]]]


def hexadecimal(color: Sequence[int]) -> str:
    """Return ``#rrggbb``."""
    return "#" + bytes(color).hex()
