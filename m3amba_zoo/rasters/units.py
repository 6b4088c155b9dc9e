"""Units of values, as people write them, turned into those that a pretrained encoder expects."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError

REFLECTANCE, DECIBEL, METRE = "reflectance x 10000", "dB", "m"
POWER = ("power", "linear", "intensity", "gamma0", "sigma0", "beta0")
AMPLITUDE = ("amplitude",)
METRES = {"m": 1.0, "metre": 1.0, "meter": 1.0, "dm": 0.1, "cm": 0.01, "km": 1000.0, "ft": 0.3048}
SMALLEST_POWER = 1e-10
DARKEST, BRIGHTEST = (
    10.0,
    30000.0,
)  # reflectance x 10000: what the brightest and the middle pixel of a scene have

DARK = 0.02  # of the spread from black to white: images that stay below show nothing


class Conversion(NamedTuple):
    """How values are turned into another unit: ``value * scale``, or ``decibels * log10(value)``.

    Attributes:
        scale: a factor.
        decibels: 10 for a power, 20 for an amplitude; 0 for no logarithm.
    """

    scale: float = 1.0
    decibels: float = 0.0

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert values; those that a logarithm does not have are NaN."""
        if not self.decibels:
            return values if self.scale == 1 else values * np.float32(self.scale)
        positive = np.where(values > SMALLEST_POWER, values, np.nan)
        return (self.decibels * np.log10(positive)).astype(np.float32)


def conversion(given: str, wanted: str, where: str) -> Conversion:
    """Return how to turn one unit into another.

    Args:
        given: as a file or a user states it; empty, if nobody does, is taken as the wanted one.
        wanted: ``reflectance x 10000``, ``dB`` or ``m``; of another one only itself is known.
        where: words for whose unit it is.

    Raises:
        InputError: if it is another kind of unit.
    """
    word = " ".join(given.casefold().replace("\N{MULTIPLICATION SIGN}", "x").replace("*", " x ").split())
    if not word or word == wanted.casefold():
        return Conversion()
    if wanted == REFLECTANCE:
        if word in ("%", "percent", "reflectance (%)", "reflectance in %"):
            return Conversion(100.0)
        if match := re.fullmatch(r"reflectance(?: x (\d+(?:\.\d+)?))?", word):
            return Conversion(1e4 / float(match[1] or 1))
    elif wanted == DECIBEL:
        if word.startswith(POWER):
            return Conversion(decibels=10.0)
        if word.startswith(AMPLITUDE):
            return Conversion(decibels=20.0)
    elif wanted == METRE and word.rstrip("s") in METRES:
        return Conversion(METRES[word.rstrip("s")])
    expected = {
        REFLECTANCE: "'reflectance', 'reflectance x 10000' or '%'",
        DECIBEL: "'dB', 'power' or 'amplitude'",
        METRE: "'m', 'cm' or 'ft'",
    }.get(wanted, f"'{wanted}'")
    raise InputError(f"the unit of {where} is '{given}', expected {expected}")


def check_plausible(values: NDArray[np.float32], unit: str, where: str) -> None:
    """Raise InputError if values cannot be in a unit, as reflectance of 0 to 1 in units of 1 / 10000.

    Args:
        values: of some pixels, converted; missing ones are NaN.
        unit: that they should be in.
        where: words for what they are.
    """
    values = values[~np.isnan(values)]
    if not values.size:
        return
    low, middle, high = np.percentile(values, (1, 50, 99))
    if unit == REFLECTANCE and not (high >= DARKEST and middle <= BRIGHTEST):
        hint = "'reflectance' is 0 to 1" if high < DARKEST else "their unit, such as 'reflectance x 65535'"
    elif unit == DECIBEL and low >= 0:
        hint = "'power' or 'amplitude' is positive"
    else:
        return
    raise InputError(
        f"the values of {where} are {low:.3g} to {high:.3g}, which is not {unit}; expected their unit to be "
        f"stated where it is another ({hint}): unit: in scene.yaml, or units= of the source"
    )


def check_spread(values: NDArray[np.float32], spread: tuple[float, float], where: str, whose: str) -> None:
    """Raise InputError if values are nearly all black, or mostly white, to an encoder of photographs.

    Args:
        values: of some pixels; missing ones are NaN.
        spread: the values that are black and white.
        where: words for what they are.
        whose: the encoder's name.
    """
    black, white = spread
    values = values[~np.isnan(values)]
    if not values.size:
        return
    low, high = np.percentile(values, (1, 99))
    shown = values[values > black]  # without unmarked fill values, which are mostly 0
    if high > black + DARK * (white - black) and np.median(shown) < white:
        return
    raise InputError(
        f"the values of {where} are {low:.3g} to {high:.3g} (1st and 99th percentile), but {whose} takes "
        f"{black:g} for black and {white:g} for white (rgb=); expected rgb=({low:.3g}, {high:.3g}) or alike"
    )
