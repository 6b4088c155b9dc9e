"""What the classes are made of: the form and materials of each class, and the materials' spectra."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

Form = Literal["parcel", "district", "line", "houses", "hall", "crowns"]


@dataclass(frozen=True)
class Cover:
    """The physical description of a land-cover class.

    Attributes:
        materials: mean share of each material of ``MATERIALS``; any other name gets a spectrum drawn from it.
        likeness: concentration of the Dirichlet distribution of these shares between objects. Below 1 an
            object (a roof, a field) is mostly one material; above 10 all objects are alike.
        state: mean and standard deviation, between objects, of the state of the materials: 0 fresh
            (green, dry, new), 1 altered (dry, wet, weathered).
        form: how it lies on the ground: an even parcel, a district of things smaller than a pixel, a line
            between parcels, houses or one hall on a parcel, tree crowns.
        size: area of a parcel, or width of a line, in pixels.
        height: mean and standard deviation between objects, and roughness within one, in metres.
        backscatter: VV and VH in dB.
        clutter: shape of the gamma-distributed radar texture within an object; small is heavy-tailed.
        prevalence: relative share of the area that the requested pixel counts leave free.
        shaded: whether it lies in shadow by definition.
    """

    materials: Mapping[str, float]
    likeness: float = 60.0
    state: tuple[float, float] = (0.3, 0.1)
    form: Form = "parcel"
    size: int = 700
    height: tuple[float, float, float] = (0.1, 0.1, 0.05)
    backscatter: tuple[float, float] = (-11.0, -18.0)
    clutter: float = 12.0
    prevalence: float = 1.0
    shaded: bool = False


# the unlabelled ground around houses and under tree crowns
SURROUNDINGS = Cover(
    {"grass": 0.55, "canopy": 0.15, "asphalt": 0.15, "concrete": 0.15}, likeness=5, state=(0.35, 0.09)
)

# fmt: off
# the first pattern found in a class name decides, so specific patterns come first
COVERS: dict[str, Cover] = {
    r"synthetic|artificial|turf": Cover({"turf": 1.0}, size=500, prevalence=0.3),
    r"stressed|dry grass": Cover(
        {"grass": 0.86, "soil": 0.14}, likeness=60, state=(0.43, 0.06), prevalence=2.0),
    r"tennis": Cover({"court": 0.97, "concrete": 0.03}, state=(0.4, 0.18), size=350, prevalence=0.2),
    r"running|track": Cover({"track": 0.97, "grass": 0.03}, state=(0.4, 0.12), size=350, prevalence=0.2),
    r"apple|orchard": Cover(
        {"canopy": 0.55, "grass": 0.35, "soil": 0.1}, state=(0.25, 0.06), size=900, height=(2.2, 0.6, 0.8)),
    r"vine": Cover(
        {"canopy": 0.42, "grass": 0.33, "soil": 0.25}, state=(0.33, 0.07), size=900,
        height=(1.2, 0.4, 0.5)),
    r"forest|wood": Cover(
        {"canopy": 0.62, "grass": 0.34, "soil": 0.04}, state=(0.27, 0.08), size=1500,
        height=(9.0, 2.0, 2.0), backscatter=(-8.5, -13.5), prevalence=2.5),
    r"tree": Cover(
        {"canopy": 0.82, "grass": 0.16, "soil": 0.02}, state=(0.25, 0.08), form="crowns", size=900,
        height=(7.0, 2.0, 1.8), backscatter=(-8.5, -13.5), prevalence=2.5),
    r"allotment": Cover(
        {"grass": 0.4, "canopy": 0.25, "soil": 0.15, "tile": 0.1, "concrete": 0.1}, likeness=90,
        form="district", height=(1.5, 0.5, 1.2), backscatter=(-8.8, -14.8), clutter=5),
    r"low plant|crop|field": Cover(
        {"canopy": 0.5, "grass": 0.42, "soil": 0.08}, likeness=30, state=(0.3, 0.08), size=1200,
        backscatter=(-12.0, -19.0), prevalence=2.0),
    r"grass|lawn|meadow|vegetation": Cover(
        {"grass": 0.93, "soil": 0.07}, likeness=72, state=(0.16, 0.05), prevalence=2.0),
    r"shadow": Cover({"grass": 0.4, "asphalt": 0.4, "concrete": 0.2}, likeness=6, size=150, shaded=True),
    r"residential area|urban": Cover(
        {"tile": 0.17, "shingle": 0.15, "grass": 0.21, "canopy": 0.1, "asphalt": 0.22, "concrete": 0.15},
        likeness=90, size=1400, form="district", height=(6.0, 1.5, 3.0), backscatter=(-7.0, -14.0),
        clutter=5, prevalence=2.5),
    r"industrial area": Cover(
        {"tile": 0.14, "metal": 0.06, "shingle": 0.17, "asphalt": 0.25, "concrete": 0.17, "grass": 0.21},
        likeness=42, size=1200, form="district", height=(6.5, 2.5, 3.0), backscatter=(-3.5, -12.5),
        clutter=4),
    r"commercial area": Cover(
        {"membrane": 0.14, "tile": 0.1, "shingle": 0.22, "asphalt": 0.3, "concrete": 0.18, "grass": 0.06},
        likeness=48, form="district", height=(9.0, 3.0, 4.0), backscatter=(-4.0, -10.5), clutter=4,
        prevalence=0.7),
    r"residential|house": Cover(
        {"shingle": 0.42, "asphalt": 0.4, "tile": 0.06, "concrete": 0.12}, likeness=18, state=(0.55, 0.12),
        form="houses", size=1100, height=(5.0, 1.0, 0.6), backscatter=(-6.0, -13.0), clutter=2.5,
        prevalence=2.0),
    r"commercial|industrial|building|roof": Cover(
        {"concrete": 0.5, "asphalt": 0.25, "shingle": 0.1, "membrane": 0.08, "metal": 0.07}, likeness=10,
        state=(0.45, 0.12), form="hall", size=600, height=(9.0, 3.5, 0.4), backscatter=(-4.0, -12.0),
        clutter=1.8),
    r"highway": Cover(
        {"concrete": 0.6, "asphalt": 0.32, "vehicle": 0.08}, likeness=42, state=(0.4, 0.09), form="line",
        size=8, height=(0.8, 1.0, 0.1), backscatter=(-14.0, -22.0), clutter=5, prevalence=0.7),
    r"rail": Cover(
        {"ballast": 0.82, "asphalt": 0.08, "soil": 0.1}, likeness=48, state=(0.55, 0.09), form="line",
        size=5, backscatter=(-10.0, -18.0), clutter=4, prevalence=0.5),
    r"parking lot 2|car park": Cover(
        {"asphalt": 0.42, "concrete": 0.18, "vehicle": 0.4}, likeness=42, state=(0.5, 0.09), size=450,
        height=(0.6, 0.2, 0.5), backscatter=(-8.0, -17.0), clutter=3, prevalence=0.5),
    r"parking": Cover(
        {"asphalt": 0.78, "concrete": 0.16, "vehicle": 0.06}, likeness=24, state=(0.3, 0.09), size=450,
        backscatter=(-13.0, -21.0), clutter=5),
    r"road|street": Cover(
        {"asphalt": 0.82, "concrete": 0.1, "vehicle": 0.04, "canopy": 0.04}, likeness=36,
        state=(0.72, 0.09), form="line", size=5, backscatter=(-14.0, -21.5), clutter=5, prevalence=1.5),
    r"sidewalk|pavement|concrete": Cover(
        {"concrete": 0.85, "grass": 0.15}, likeness=30, form="line", size=3, backscatter=(-14.0, -22.0)),
    r"curb": Cover(
        {"yellow paint": 0.5, "concrete": 0.3, "asphalt": 0.2}, form="line", size=2, prevalence=0.1),
    r"cloth|panel|target": Cover({"cloth": 1.0}, state=(0.5, 0.21), size=60, prevalence=0.1),
    r"mixed ground": Cover({"grass": 0.35, "soil": 0.4, "sand": 0.25}, likeness=15, state=(0.4, 0.12)),
    r"sand|dirt|beach": Cover({"sand": 0.8, "soil": 0.2}, likeness=18, backscatter=(-13.0, -21.0)),
    r"soil|ground|bare": Cover(
        {"soil": 0.87, "grass": 0.06, "ballast": 0.07}, likeness=54, state=(0.35, 0.08),
        backscatter=(-12.0, -20.0)),
    r"water|river|lake|sea": Cover(
        {"water": 1.0}, state=(0.45, 0.15), height=(-0.8, 0.1, 0.02), backscatter=(-19.0, -26.0),
        prevalence=0.5),
}

NODES_NM = (350, 450, 500, 550, 600, 650, 680, 700, 720, 750, 800, 900,
            970, 1050, 1200, 1300, 1450, 1650, 1800, 1940, 2100, 2200, 2350, 2500)

# Reflectance in per cent at NODES_NM: (fresh, altered). Drawn by hand to show the features of spectral
# libraries (USGS, ECOSTRESS): the chlorophyll wells and red edge of plants, their water bands at 970, 1200,
# 1450 and 1940 nm, iron oxide in soil, brick and rust, clay near 2200 nm, and hydrocarbons near 1730 and
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


def cover_of(name: str) -> Cover:
    """Describe a class by its name: the first pattern of ``COVERS`` found at the start of a word.

    A name without a match gets its own material. Its spectrum and height follow from the name alone, so the
    same class looks alike in every scene.
    """
    for pattern, cover in COVERS.items():
        if re.search(rf"\b(?:{pattern})", name.lower()):
            return cover
    number = zlib.crc32(name.lower().encode())
    height = (0.1, 0.1, 4.0, 8.0)[number % 4]
    return Cover(
        {name.lower(): 0.9, "soil": 0.1},
        height=(height, 0.2 * height, 0.1 * height),
        backscatter=(-14.0 + number % 9, -21.0 + number // 9 % 9),
    )


def _own_spectrum(name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw the two states of a material that ``MATERIALS`` lacks, seeded by its name."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    nodes = np.asarray(NODES_NM, dtype=np.float64)
    # a gentle slope with four broad bumps or wells, as real spectra have
    centres, widths = rng.uniform(400, 2400, 4), rng.uniform(80, 400, 4)
    bumps = np.exp(-0.5 * ((nodes[:, None] - centres) / widths) ** 2) @ rng.uniform(-12, 18, 4)
    fresh = np.clip(rng.uniform(8, 30) + rng.uniform(-2, 8) * (nodes - 350) / 1000 + bumps, 1, 70)
    return fresh, fresh * rng.uniform(0.6, 0.85) + rng.uniform(0, 4)


def endmembers(materials: Sequence[str], wavelengths: NDArray[np.float64]) -> NDArray[np.float32]:
    """Interpolate the spectra of materials, monotone between nodes so that no feature overshoots.

    Args:
        materials: names in ``MATERIALS``, or any other name, which gets its own spectrum.
        wavelengths: ``(C,)`` in nm; outside 350 to 2500 the end values hold.

    Returns:
        Reflectance ``(C, 2, len(materials))`` float32 as a fraction; axis 1 is fresh, altered.
    """
    nodes = np.asarray(NODES_NM, dtype=np.float64)
    at = np.clip(wavelengths, nodes[0], nodes[-1])
    states = [MATERIALS[name] if name in MATERIALS else _own_spectrum(name) for name in materials]
    percent = np.asarray(states, dtype=np.float64).transpose(2, 1, 0)
    return (PchipInterpolator(nodes, percent, axis=0)(at) / 100).astype(np.float32)
