"""The class tables of the standard scenes, and colours for classes without one."""

from __future__ import annotations

import colorsys

from m3amba_zoo.scenes.scene import LandClass

HOUSTON2013 = (
    LandClass("healthy grass", (60, 205, 60)),
    LandClass("stressed grass", (175, 225, 70)),
    LandClass("synthetic grass", (0, 150, 125)),
    LandClass("trees", (0, 95, 30)),
    LandClass("soil", (160, 105, 60)),
    LandClass("water", (30, 110, 225)),
    LandClass("residential", (250, 205, 195)),
    LandClass("commercial", (215, 45, 45)),
    LandClass("road", (125, 125, 135)),
    LandClass("highway", (255, 150, 30)),
    LandClass("railway", (95, 50, 120)),
    LandClass("parking lot 1", (250, 230, 90)),
    LandClass("parking lot 2", (190, 160, 25)),
    LandClass("tennis court", (125, 215, 240)),
    LandClass("running track", (240, 100, 180)),
)
HOUSTON2013_TRAIN_COUNTS = (198, 190, 192, 188, 186, 182, 196, 191, 193, 191, 181, 192, 184, 181, 187)
HOUSTON2013_TEST_COUNTS = (
    1053, 1064, 505, 1056, 1056, 143, 1072, 1053, 1059, 1036, 1054, 1041, 285, 247, 473
)  # fmt: skip

AUGSBURG = (
    LandClass("forest", (0, 95, 30)),
    LandClass("residential area", (250, 175, 160)),
    LandClass("industrial area", (200, 45, 60)),
    LandClass("low plants", (150, 215, 75)),
    LandClass("allotment", (235, 205, 70)),
    LandClass("commercial area", (150, 80, 190)),
    LandClass("water", (30, 110, 225)),
)
AUGSBURG_TRAIN_COUNTS = (146, 264, 21, 248, 52, 7, 23)
AUGSBURG_TEST_COUNTS = (13361, 30065, 3830, 26609, 523, 1638, 1507)

BERLIN = (
    LandClass("forest", (0, 95, 30)),
    LandClass("residential area", (250, 175, 160)),
    LandClass("industrial area", (200, 45, 60)),
    LandClass("low plants", (150, 215, 75)),
    LandClass("soil", (160, 105, 60)),
    LandClass("allotment", (235, 205, 70)),
    LandClass("commercial area", (150, 80, 190)),
    LandClass("water", (30, 110, 225)),
)
BERLIN_TRAIN_COUNTS = (443, 423, 499, 376, 331, 280, 298, 170)
BERLIN_TEST_COUNTS = (54511, 268219, 19067, 58906, 17095, 13025, 24526, 6502)

MUUFL = (
    LandClass("trees", (0, 95, 30)),
    LandClass("mostly grass", (110, 205, 60)),
    LandClass("mixed ground surface", (205, 190, 130)),
    LandClass("dirt and sand", (175, 120, 65)),
    LandClass("road", (125, 125, 135)),
    LandClass("water", (30, 110, 225)),
    LandClass("building shadow", (60, 45, 95)),
    LandClass("building", (215, 45, 45)),
    LandClass("sidewalk", (225, 225, 235)),
    LandClass("yellow curb", (255, 215, 0)),
    LandClass("cloth panels", (240, 100, 180)),
)
# labelled pixels in all: MUUFL has no official split
MUUFL_COUNTS = (23246, 4270, 6882, 1826, 6687, 466, 2233, 6240, 1385, 183, 269)

TRENTO = (
    LandClass("apple trees", (225, 70, 90)),
    LandClass("buildings", (250, 175, 60)),
    LandClass("ground", (165, 110, 65)),
    LandClass("woods", (0, 95, 30)),
    LandClass("vineyard", (155, 210, 75)),
    LandClass("roads", (125, 125, 135)),
)
TRENTO_TRAIN_COUNTS = (129, 125, 105, 154, 184, 122)
TRENTO_TEST_COUNTS = (3905, 2778, 374, 8969, 10317, 3052)


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
