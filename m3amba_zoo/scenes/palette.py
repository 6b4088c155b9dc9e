"""Colours for classes whose source has none: any number, each far from the ones before."""

from __future__ import annotations

import colorsys

GOLDEN_SECTION = 0.618033988749895
SHADES = ((0.75, 0.90), (0.90, 0.60), (0.45, 0.98))
"""Saturation and value, in turn: neighbours on the colour circle then differ in brightness."""


def distinct_color(index: int) -> tuple[int, int, int]:
    """Return the colour (red, green, blue; 0 to 255) of the class at a position of a class table, from 0.

    Hues step by the golden section of the colour circle, which spreads any number of them evenly.
    """
    saturation, value = SHADES[index % len(SHADES)]
    red, green, blue = colorsys.hsv_to_rgb(index * GOLDEN_SECTION % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)
