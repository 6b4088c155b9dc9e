"""What each land-cover class is made of: materials, form on the ground, height, radar backscatter."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Form = Literal["parcel", "district", "line", "houses", "hall", "crowns"]


@dataclass(frozen=True)
class Cover:
    """The physical description of a land-cover class.

    Attributes:
        materials: mean share of each material of ``spectra.MATERIALS``; any other name is given a
            spectrum of its own, drawn from that name.
        likeness: concentration of the Dirichlet distribution of these shares between objects. Below 1 an
            object (a roof, a field) is mostly one of the materials, above 10 all objects are alike.
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


# what lies around houses and under tree crowns; unlabelled
SURROUNDINGS = Cover(
    {"grass": 0.55, "canopy": 0.15, "asphalt": 0.15, "concrete": 0.15}, likeness=5, state=(0.35, 0.09)
)

# the first pattern found in a class name decides, so the specific ones come first
COVERS: dict[str, Cover] = {
    r"synthetic|artificial|turf": Cover({"turf": 1.0}, size=500, prevalence=0.3),
    r"stressed|dry grass": Cover(
        {"grass": 0.86, "soil": 0.14}, likeness=60, state=(0.43, 0.06), prevalence=2.0
    ),
    r"tennis": Cover({"court": 0.97, "concrete": 0.03}, state=(0.4, 0.18), size=350, prevalence=0.2),
    r"running|track": Cover({"track": 0.97, "grass": 0.03}, state=(0.4, 0.12), size=350, prevalence=0.2),
    r"apple|orchard": Cover(
        {"canopy": 0.55, "grass": 0.35, "soil": 0.1}, state=(0.25, 0.06), size=900, height=(2.2, 0.6, 0.8)
    ),
    r"vine": Cover(
        {"canopy": 0.42, "grass": 0.33, "soil": 0.25}, state=(0.33, 0.07), size=900, height=(1.2, 0.4, 0.5)
    ),
    r"forest|wood": Cover(
        {"canopy": 0.62, "grass": 0.34, "soil": 0.04},
        state=(0.27, 0.08),
        size=1500,
        height=(9.0, 2.0, 2.0),
        backscatter=(-8.5, -13.5),
        prevalence=2.5,
    ),
    r"tree": Cover(
        {"canopy": 0.82, "grass": 0.16, "soil": 0.02},
        state=(0.25, 0.08),
        form="crowns",
        size=900,
        height=(7.0, 2.0, 1.8),
        backscatter=(-8.5, -13.5),
        prevalence=2.5,
    ),
    r"allotment": Cover(
        {"grass": 0.4, "canopy": 0.25, "soil": 0.15, "tile": 0.1, "concrete": 0.1},
        likeness=90,
        form="district",
        height=(1.5, 0.5, 1.2),
        backscatter=(-8.8, -14.8),
        clutter=5,
    ),
    r"low plant|crop|field": Cover(
        {"canopy": 0.5, "grass": 0.42, "soil": 0.08},
        likeness=30,
        state=(0.3, 0.08),
        size=1200,
        backscatter=(-12.0, -19.0),
        prevalence=2.0,
    ),
    r"grass|lawn|meadow|vegetation": Cover(
        {"grass": 0.93, "soil": 0.07}, likeness=72, state=(0.16, 0.05), prevalence=2.0
    ),
    r"shadow": Cover({"grass": 0.4, "asphalt": 0.4, "concrete": 0.2}, likeness=6, size=150, shaded=True),
    r"residential area|urban": Cover(
        {"tile": 0.17, "shingle": 0.15, "grass": 0.21, "canopy": 0.1, "asphalt": 0.22, "concrete": 0.15},
        likeness=90,
        size=1400,
        form="district",
        height=(6.0, 1.5, 3.0),
        backscatter=(-7.0, -14.0),
        clutter=5,
        prevalence=2.5,
    ),
    r"industrial area": Cover(
        {"tile": 0.14, "metal": 0.06, "shingle": 0.17, "asphalt": 0.25, "concrete": 0.17, "grass": 0.21},
        likeness=42,
        size=1200,
        form="district",
        height=(6.5, 2.5, 3.0),
        backscatter=(-3.5, -12.5),
        clutter=4,
    ),
    r"commercial area": Cover(
        {"membrane": 0.14, "tile": 0.1, "shingle": 0.22, "asphalt": 0.3, "concrete": 0.18, "grass": 0.06},
        likeness=48,
        form="district",
        height=(9.0, 3.0, 4.0),
        backscatter=(-4.0, -10.5),
        clutter=4,
        prevalence=0.7,
    ),
    r"residential|house": Cover(
        {"shingle": 0.42, "asphalt": 0.4, "tile": 0.06, "concrete": 0.12},
        likeness=18,
        state=(0.55, 0.12),
        form="houses",
        size=1100,
        height=(5.0, 1.0, 0.6),
        backscatter=(-6.0, -13.0),
        clutter=2.5,
        prevalence=2.0,
    ),
    r"commercial|industrial|building|roof": Cover(
        {"concrete": 0.5, "asphalt": 0.25, "shingle": 0.1, "membrane": 0.08, "metal": 0.07},
        likeness=10,
        state=(0.45, 0.12),
        form="hall",
        size=600,
        height=(9.0, 3.5, 0.4),
        backscatter=(-4.0, -12.0),
        clutter=1.8,
    ),
    r"highway": Cover(
        {"concrete": 0.6, "asphalt": 0.32, "vehicle": 0.08},
        likeness=42,
        state=(0.4, 0.09),
        form="line",
        size=8,
        height=(0.8, 1.0, 0.1),
        backscatter=(-14.0, -22.0),
        clutter=5,
        prevalence=0.7,
    ),
    r"rail": Cover(
        {"ballast": 0.82, "asphalt": 0.08, "soil": 0.1},
        likeness=48,
        state=(0.55, 0.09),
        form="line",
        size=5,
        backscatter=(-10.0, -18.0),
        clutter=4,
        prevalence=0.5,
    ),
    r"parking lot 2|car park": Cover(
        {"asphalt": 0.42, "concrete": 0.18, "vehicle": 0.4},
        likeness=42,
        state=(0.5, 0.09),
        size=450,
        height=(0.6, 0.2, 0.5),
        backscatter=(-8.0, -17.0),
        clutter=3,
        prevalence=0.5,
    ),
    r"parking": Cover(
        {"asphalt": 0.78, "concrete": 0.16, "vehicle": 0.06},
        likeness=24,
        state=(0.3, 0.09),
        size=450,
        backscatter=(-13.0, -21.0),
        clutter=5,
    ),
    r"road|street": Cover(
        {"asphalt": 0.82, "concrete": 0.1, "vehicle": 0.04, "canopy": 0.04},
        likeness=36,
        state=(0.72, 0.09),
        form="line",
        size=5,
        backscatter=(-14.0, -21.5),
        clutter=5,
        prevalence=1.5,
    ),
    r"sidewalk|pavement|concrete": Cover(
        {"concrete": 0.85, "grass": 0.15}, likeness=30, form="line", size=3, backscatter=(-14.0, -22.0)
    ),
    r"curb": Cover(
        {"yellow paint": 0.5, "concrete": 0.3, "asphalt": 0.2}, form="line", size=2, prevalence=0.1
    ),
    r"cloth|panel|target": Cover({"cloth": 1.0}, state=(0.5, 0.21), size=60, prevalence=0.1),
    r"mixed ground": Cover({"grass": 0.35, "soil": 0.4, "sand": 0.25}, likeness=15, state=(0.4, 0.12)),
    r"sand|dirt|beach": Cover({"sand": 0.8, "soil": 0.2}, likeness=18, backscatter=(-13.0, -21.0)),
    r"soil|ground|bare": Cover(
        {"soil": 0.87, "grass": 0.06, "ballast": 0.07},
        likeness=54,
        state=(0.35, 0.08),
        backscatter=(-12.0, -20.0),
    ),
    r"water|river|lake|sea": Cover(
        {"water": 1.0},
        state=(0.45, 0.15),
        height=(-0.8, 0.1, 0.02),
        backscatter=(-19.0, -26.0),
        prevalence=0.5,
    ),
}


def cover_of(name: str) -> Cover:
    """Describe a class by its name: the first pattern of ``COVERS`` found at the start of a word.

    A name that matches nothing gets a material of its own whose spectrum, and a height that, follow from the
    name alone, so that the same class looks alike in every scene.
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
