"""Reflectance spectra of materials, 350 to 2500 nm, each in a fresh and an altered state."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

# fmt: off
NODES_NM = (350, 450, 500, 550, 600, 650, 680, 700, 720, 750, 800, 900,
            970, 1050, 1200, 1300, 1450, 1650, 1800, 1940, 2100, 2200, 2350, 2500)

# Reflectance in per cent at NODES_NM: (fresh, altered). Drawn by hand after the features that spectral
# libraries (USGS, ECOSTRESS) show: the chlorophyll wells and red edge of plants, their water bands at 970,
# 1200, 1450 and 1940 nm, iron oxide in soil, brick and rust, clay near 2200 nm, hydrocarbons near 1730 and
# 2310 nm in paints and plastics.
MATERIALS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "grass": (  # green; dry
        (3, 4, 5, 10, 6, 4.5, 4, 9, 23, 40, 45, 47, 45, 48, 44, 45, 20, 28, 22, 7, 14, 17, 11, 7),
        (5, 8, 10, 15, 17, 19, 19, 23, 28, 34, 38, 42, 42, 45, 45, 46, 33, 42, 38, 22, 28, 30, 24, 18)),
    "canopy": (  # full leaf; autumn
        (2.4, 3.3, 4.2, 8.2, 5, 3.8, 3.4, 7.8, 20.4, 36, 41, 43,
         41, 43, 39, 40, 17, 24, 19, 5.7, 11, 14, 9, 5.7),
        (3.6, 5.8, 7.3, 12, 12.5, 12.8, 12.5, 16.7, 24.4, 32.7, 36.2, 39,
         38.6, 41.5, 40, 41, 26.4, 34, 30, 15.6, 21, 23, 17.2, 12.7)),
    "turf": (  # polyethylene fibre; worn
        (4, 4.5, 6, 11, 7, 5.5, 5.5, 6, 7, 9, 14, 22, 25, 28, 30, 31, 31, 33, 28, 30, 28, 26, 18, 16),
        (5, 6, 8, 12, 9, 8, 8, 8.5, 9.5, 12, 16, 23, 26, 28, 29, 30, 30, 31, 28, 29, 27, 25, 19, 17)),
    "soil": (  # dry; wet
        (6, 9, 12, 16, 20, 23, 24, 25, 26, 27, 29, 32, 33, 35, 38, 40, 38, 44, 44, 38, 43, 41, 38, 35),
        (3, 4.5, 6, 8, 10, 12, 12.5, 13, 13.5, 14.5, 16, 18, 18, 20, 21, 22, 14, 22, 20, 8, 17, 17, 13, 10)),
    "sand": (  # dry; wet
        (10, 16, 20, 25, 30, 34, 35, 36, 37, 38, 40, 42, 43, 45, 47, 48, 46, 51, 51, 47, 50, 48, 45, 42),
        (6, 9, 11, 14, 17, 19, 20, 20.5, 21, 22, 23, 25, 25, 26, 27, 28, 20, 29, 28, 14, 24, 24, 20, 17)),
    "water": (  # clear; turbid
        (2.5, 3.5, 3.6, 3, 1.8, 1.3, 1.1, .9, .7, .5, .4, .3, .2, .2, .1, .1, .1, .1, .1, .1, .1, .1, .1, .1),
        (4, 6, 7.5, 9, 8, 6.5, 6, 5.5, 4, 3, 3, 2.2, 1, 1, .4, .3, .2, .2, .1, .1, .1, .1, .1, .1)),
    "asphalt": (  # new; aged
        (4, 5, 5.5, 6, 6.3, 6.6, 6.8, 6.9, 7, 7.2, 7.5, 8,
         8.2, 8.6, 9, 9.3, 9.6, 10.3, 10.5, 10.6, 11, 11, 10.6, 10.5),
        (7, 10, 11.5, 13, 14, 15, 15.3, 15.5, 15.8, 16, 16.5, 17.5,
         18, 18.5, 19.5, 20, 20.3, 21.5, 21.5, 21.3, 21.8, 21.5, 20.5, 20)),
    "concrete": (  # new; stained
        (14, 21, 24, 27, 29.5, 31, 31.5, 32, 32.2, 32.6, 33, 34,
         34.3, 35, 36, 36.5, 34.5, 38, 37.5, 34, 37, 36, 33, 31),
        (9, 13, 15, 17, 18.5, 19.5, 20, 20.3, 20.5, 21, 21.5, 22.5,
         23, 23.5, 24.5, 25, 24, 26.5, 26, 24, 26, 25.5, 24, 23)),
    "shingle": (  # bitumen, grey; weathered brown
        (5, 7, 7.7, 8.4, 9, 9.5, 9.7, 9.9, 10, 10.2, 10.7, 11.5,
         12, 12.4, 13, 13.4, 13.7, 14.7, 15, 14.8, 15.2, 15, 14.4, 14),
        (7, 9, 10.5, 12.5, 15, 17, 17.6, 18, 18.3, 18.8, 19.5, 21,
         22, 22.7, 23.5, 24, 24.5, 25.5, 25.5, 25.2, 25.7, 25.2, 24.2, 23.5)),
    "tile": (  # red clay; dark with lichen
        (5, 6, 7, 10, 18, 23, 24.5, 25, 25.5, 26, 26, 24.5,
         25.5, 28, 33, 35, 36, 39, 39, 37, 38.5, 37, 35, 33),
        (4, 5, 5.7, 7.5, 11.5, 14, 15, 15.3, 15.6, 16, 16.3, 16,
         16.8, 18.5, 21, 22, 22.5, 24.5, 24.5, 23.5, 24.5, 23.5, 22.5, 21)),
    "membrane": (  # white roofing; grimy
        (22, 45, 50, 52, 53, 54, 54, 54, 54, 54, 54, 53.5, 53, 53, 50, 50, 46, 45, 40, 41, 39, 36, 28, 25),
        (12, 22, 25, 27, 28, 29, 29.5, 30, 30, 30.3, 31, 32,
         32, 32.5, 32, 32, 30, 31, 29, 28.5, 28.5, 27, 23, 21)),
    "metal": (  # galvanised; rusted
        (18, 25, 27, 29, 30, 30, 30.5, 30.5, 30, 29.5, 29, 30,
         32, 34, 37, 38, 40, 43, 44, 44.5, 46, 46.5, 47, 47),
        (5, 7, 8, 11, 18, 23, 25, 26, 27, 28, 27, 27, 29, 32, 36, 38, 40, 43, 44, 44, 45, 45, 44, 43)),
    "ballast": (  # crushed stone; stained by rust
        (7, 10, 11.5, 13, 14.5, 15.5, 16, 16.2, 16.4, 16.7, 17, 18,
         18.3, 19, 20, 20.5, 20.5, 22, 22, 21, 22, 21.5, 20, 19.5),
        (4, 6, 7, 9, 12.5, 14.5, 15.3, 15.7, 16, 16.3, 16.2, 16.2,
         17, 18.2, 20, 21, 21.5, 23.3, 23.3, 22.8, 23.5, 23, 22, 21)),
    "court": (  # green acrylic; blue acrylic
        (5, 8.5, 12, 14.5, 9, 6.5, 6, 6.5, 8, 12, 19, 24, 26, 28, 30, 31, 31, 33, 31, 31, 31, 29, 24, 22),
        (8, 16, 17, 13, 8, 6.5, 6.5, 7.5, 9.5, 13.5, 19.5, 24,
         26, 28, 30, 31, 31, 33, 31, 31, 31, 29, 24, 22)),
    "track": (  # red polyurethane; worn
        (4, 5, 5.5, 7, 16, 25, 28, 29, 30, 31, 32, 33, 34, 35.5, 36, 36.5, 35.5, 37, 34, 35, 34, 32, 26, 24),
        (5, 7, 8, 10, 16, 21, 23, 24, 24.5, 25.5, 26.5, 27.5,
         28.5, 29.5, 30, 30.5, 30, 31, 29, 30, 29, 28, 23, 22)),
    "vehicle": (  # light paint; dark paint
        (15, 24, 26, 27, 27.5, 28, 28, 28, 28, 28, 28, 28, 28, 28, 27, 27, 26, 26, 24, 25, 24, 22, 18, 17),
        (3, 4.5, 4.5, 4.5, 5.5, 6, 6, 6.2, 6.4, 7, 8, 9,
         9.5, 10, 11, 11, 11, 12, 11, 11.5, 11, 10.5, 9, 8.5)),
    "yellow paint": (  # new; worn
        (6, 9, 16, 38, 48, 51, 52, 52.5, 53, 53.5, 54, 54, 54, 54, 52, 52, 50, 51, 47, 48, 47, 44, 36, 34),
        (7, 10, 14, 24, 30, 32, 33, 33, 33.5, 34, 34, 34.5, 35, 35, 35, 35, 34, 35, 33, 33, 33, 31, 27, 25)),
    "cloth": (  # red; blue
        (10, 14, 13, 15, 28, 40, 45, 50, 55, 60, 62, 63, 62, 62, 58, 60, 45, 52, 48, 40, 45, 44, 36, 32),
        (9, 22, 23, 15, 11, 11, 14, 20, 30, 45, 57, 61, 61, 61, 57, 59, 45, 51, 47, 40, 44, 43, 36, 32)),
}
# fmt: on


def _own_spectrum(name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw the two states of a material that ``MATERIALS`` lacks, from its name."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    nodes = np.asarray(NODES_NM, dtype=np.float64)
    centres, widths = rng.uniform(400, 2400, 4), rng.uniform(80, 400, 4)
    bumps = np.exp(-0.5 * ((nodes[:, None] - centres) / widths) ** 2) @ rng.uniform(-12, 18, 4)
    fresh = np.clip(rng.uniform(8, 30) + rng.uniform(-2, 8) * (nodes - 350) / 1000 + bumps, 1, 70)
    return fresh, fresh * rng.uniform(0.6, 0.85) + rng.uniform(0, 4)


def endmembers(materials: Sequence[str], wavelengths: NDArray[np.float64]) -> NDArray[np.float32]:
    """Interpolate the spectra of materials, monotone between nodes so that no feature overshoots.

    Args:
        materials: names in ``MATERIALS``, or any other name for a spectrum of its own.
        wavelengths: ``(C,)`` in nm; outside 350 to 2500 the end values hold.

    Returns:
        Reflectance ``(C, 2, len(materials))`` float32 as a fraction; axis 1 is fresh, altered.
    """
    nodes = np.asarray(NODES_NM, dtype=np.float64)
    at = np.clip(wavelengths, nodes[0], nodes[-1])
    states = [MATERIALS[name] if name in MATERIALS else _own_spectrum(name) for name in materials]
    percent = np.asarray(states, dtype=np.float64).transpose(2, 1, 0)
    return (PchipInterpolator(nodes, percent, axis=0)(at) / 100).astype(np.float32)
