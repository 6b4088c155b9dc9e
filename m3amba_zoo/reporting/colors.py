"""Colours that readers with any colour vision tell apart.

The hues are those of Okabe and Ito, "Color Universal Design" (2008). Where a map has more classes, darker and
lighter shades of them follow.
"""

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
DARK, LIGHT = 0.45, 0.6
"""How far a shade lies on the way from its hue to black, or to white."""
CIVIDIS: tuple[Rgb, ...] = ((0, 34, 78), (66, 78, 108), (124, 123, 120), (187, 173, 108), (254, 232, 56))
"""From dark blue to yellow: Nuñez, Anderton and Renslow, PLOS ONE 13(7):e0199239, 2018, at five points."""


def safe_colors(table: Sequence[Sequence[int]]) -> list[str]:
    """Return a colour ``#rrggbb`` for each class of a table; beyond 21 classes the table's own are kept."""
    shades = [_mixed(hue, 0, DARK) for hue in OKABE_ITO] + [_mixed(hue, 255, LIGHT) for hue in OKABE_ITO]
    chosen = [*OKABE_ITO, *shades][: len(table)]
    return [hexadecimal(color) for color in [*chosen, *table[len(chosen) :]]]


def hexadecimal(color: Sequence[int]) -> str:
    """Return ``#rrggbb``."""
    return "#" + bytes(color).hex()


def _mixed(color: Rgb, end: int, share: float) -> Rgb:
    red, green, blue = (round(part + (end - part) * share) for part in color)
    return red, green, blue
