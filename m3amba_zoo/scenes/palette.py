"""Colours for classes that have none, which readers with any colour vision tell apart."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

OKABE_ITO = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (213, 94, 0),
    (86, 180, 233),
    (204, 121, 167),
    (240, 228, 66),
)
"""The hues of Okabe and Ito, "Color Universal Design" (2008)."""
SHADES = (
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
SAFE_COLORS = (*OKABE_ITO, *SHADES)
LEVELS = np.arange(0, 256, 17)
"""Of red, green and blue, from which colours are taken."""
LIGHTNESS, LEAST_CHROMA = (0.38, 0.92), 0.07
"""In OKLab: what is darker, lighter or greyer is left to shadows, paper and marks."""
TAKEN = ((255, 255, 255), (0, 0, 0), (200, 205, 212))
"""Paper, ink and the grey of correct pixels."""
COUNT = 255
# linear RGB to cone responses, and their cube roots to OKLab (Ottosson 2020)
TO_CONES = np.array(
    [
        (0.4122214708, 0.5363325363, 0.0514459929),
        (0.2119034982, 0.6806995451, 0.1073969566),
        (0.0883024619, 0.2817188376, 0.6299787005),
    ]
)
TO_LAB = np.array(
    [
        (0.2104542553, 0.7936177850, -0.0040720468),
        (1.9779984951, -2.4285922050, 0.4505937099),
        (0.0259040371, 0.7827717662, -0.8086757660),
    ]
)
# what people without red or green cones see, in linear RGB (Machado et al., IEEE TVCG 15:1291, 2009)
WITHOUT_RED = np.array(
    [(0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)]
)
WITHOUT_GREEN = np.array(
    [(0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)]
)
COLOUR_BLIND_WEIGHT = 2.0
"""Their distances count twice: two colours that most readers tell apart easily may be close to them."""


def safe_color(index: int) -> tuple[int, int, int]:
    """Return a colour for the class at position ``index`` of a user's table, from 0.

    It is that of ``SAFE_COLORS``, which ``report.html`` draws classes in; beyond them ``distinct_color``.
    """
    return SAFE_COLORS[index] if index < len(SAFE_COLORS) else distinct_color(index)


def distinct_color(index: int) -> tuple[int, int, int]:
    """Return a colour (red, green, blue; 0 to 255) for the class at position ``index``, from 0.

    Each colour is the one that differs most from white, black and all colours before it. The difference is
    that in OKLab, seen with all cones, or without those for red or green where this is smaller.
    """
    red, green, blue = _palette()[index % COUNT].tolist()
    return red, green, blue


def differences(colors: NDArray, color: NDArray) -> NDArray[np.float64]:
    """Return how much colours ``(n, 3)`` differ from one ``(3,)``; 0 to 255; black and white differ by 1."""
    return _apart(_seen(colors), _seen(color[None]))


@lru_cache(maxsize=1)
def _palette() -> NDArray[np.uint8]:
    grid = np.stack(np.meshgrid(LEVELS, LEVELS, LEVELS, indexing="ij"), -1).reshape(-1, 3).astype(np.uint8)
    seen = _seen(grid)
    (dark, light), lab = LIGHTNESS, seen[0]
    usable = (lab[:, 0] > dark) & (lab[:, 0] < light) & (np.hypot(lab[:, 1], lab[:, 2]) > LEAST_CHROMA)
    grid, seen = grid[usable], seen[:, usable]
    nearest = np.min([_apart(seen, _seen(np.array([color]))) for color in TAKEN], axis=0)
    chosen = []
    for _ in range(COUNT):
        best = int(np.argmax(np.round(nearest, 6)))  # rounded: the same on every machine
        chosen.append(grid[best])
        nearest = np.minimum(nearest, _apart(seen, seen[:, best : best + 1]))
    return np.array(chosen)


def _apart(seen: NDArray[np.float64], one: NDArray[np.float64]) -> NDArray[np.float64]:
    apart = np.sqrt(((seen - one) ** 2).sum(-1))
    return np.minimum(apart[0], COLOUR_BLIND_WEIGHT * apart[1:].min(0))


def _seen(colors: NDArray) -> NDArray[np.float64]:
    """Return OKLab ``(3, n, 3)`` of colours ``(n, 3)``: with all cones, without red, without green."""
    share = colors / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    views = np.stack([linear, linear @ WITHOUT_RED.T, linear @ WITHOUT_GREEN.T])
    return np.cbrt(np.clip(views, 0, 1) @ TO_CONES.T) @ TO_LAB.T
