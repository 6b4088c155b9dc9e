"""Bands that a pretrained encoder needs, found among rasters by wavelength or name, in its units."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.matching import KnownBands, band_codes, distinct_words

REFLECTANCE, DECIBEL, METRE = "reflectance x 10000", "dB", "m"
POWER = ("power", "linear", "intensity", "gamma0", "sigma0", "beta0")
AMPLITUDE = ("amplitude",)
METRES = {"m": 1.0, "metre": 1.0, "meter": 1.0, "dm": 0.1, "cm": 0.01, "km": 1000.0, "ft": 0.3048}
SMALLEST_POWER = 1e-10
DARKEST, BRIGHTEST = 10.0, 30000.0
"""Reflectance x 10000: what the brightest and the middle pixel of a scene have."""
DARK = 0.02  # of the spread from black to white: images that stay below show nothing


@dataclass(frozen=True)
class NeededBand:
    """A band that an encoder was trained with.

    Args:
        name: the sensor's name of it, such as ``B4``, ``VV`` or ``elevation``.
        wavelength: its centre in nm; None where it has none, as radar.
        unit: of its values, such as ``reflectance x 10000``, ``dB`` or ``m``; None where any unit will do.
        optional: whether the encoder works without it; the band is then NaN.
        sensor: bands of one sensor are given together or not at all, even if they are optional.
        tolerance: how far in nm a raster's band may lie from ``wavelength``. The default is for encoders of
            one sensor: Sentinel-2's B12 differs by 17 nm between its satellites.
        spread: the values that are black and white to the encoder; None where the unit tells it.
    """

    name: str
    wavelength: float | None = None
    unit: str | None = None
    optional: bool = False
    sensor: str = ""
    tolerance: float = 20.0
    spread: tuple[float, float] | None = None


class TakenBand(NamedTuple):
    """Where a needed band is.

    Attributes:
        modality: of the raster.
        band: its number among the raster's bands.
        convert: to the unit that is needed.
    """

    modality: str
    band: int
    convert: Conversion


def take_needed(
    needed: Sequence[NeededBand], given: Mapping[str, KnownBands], whose: str
) -> list[TakenBand | None]:
    """Find needed bands: by wavelength in rasters that have them, else by name, in the first that has it.

    By wavelength the nearest band is taken, if it lies within the tolerance and nearer to no other needed
    one.

    Args:
        needed: by an encoder.
        given: the rasters' bands by modality.
        whose: the encoder's name, for messages.

    Returns:
        One entry per needed band, None for one that is absent and optional.

    Raises:
        InputError: if a band is absent that is not optional, or of a sensor with other bands here (the
            message has the nearest wavelength); no band is found at all; or a unit is none of the needed
            one's kind.
    """
    found: list[TakenBand | None] = [None] * len(needed)
    for modality, known in given.items():
        for index, band in _positions(needed, known).items():
            if found[index] is None:
                unit = needed[index].unit
                of_band = f"'{modality}', which {whose} reads as {needed[index].name}"
                convert = conversion(known.unit, unit, of_band) if unit else Conversion()
                found[index] = TakenBand(modality, band, convert)
    for index, need in enumerate(needed):
        beside = [
            taken.modality
            for taken, other in zip(found, needed, strict=True)
            if taken is not None and need.sensor and other.sensor == need.sensor
        ]
        if found[index] is None and (beside or not need.optional):
            where = {beside[0]: given[beside[0]]} if beside else given
            raise InputError(
                f"{whose} needs {_in_words(need)}{f' of {need.sensor}' * bool(need.sensor)}, but "
                f"{_nearest(need, needed, where)}; expected "
                + (
                    "rasters with all bands of a sensor, their names or wavelengths stated (names= of the "
                    "source), or without the sensor (of= of the source)"
                    if need.sensor
                    else f"names= of the source, which says which band is {need.name}"
                )
            )
    if not any(found):
        listed = ", ".join(_in_words(need) for need in needed)
        raise InputError(
            f"{whose} needs {listed}, but finds none of them: "
            f"{'; '.join(_nearest(needed[0], needed, {m: known}) for m, known in given.items())}; expected "
            "names or wavelengths of the bands (names= of the source where the files have none)"
        )
    return found


def _positions(needed: Sequence[NeededBand], known: KnownBands) -> dict[int, int]:
    """Return which band of a raster each needed one is, for those that it has."""
    found = {}
    if known.wavelengths:
        centres = np.array(known.wavelengths)
        wanted = np.array([need.wavelength or np.nan for need in needed])
        distances = np.nan_to_num(np.abs(wanted[:, None] - centres), nan=np.inf)
        distances[distances > distances.min(axis=0)] = np.inf  # nearer to another needed band
        for index, need in enumerate(needed):
            nearest = int(distances[index].argmin())
            if distances[index, nearest] <= need.tolerance:
                found[index] = nearest
    names = [need.name for need in needed]
    by_name = [index for index, need in enumerate(needed) if need.wavelength is None or not known.wavelengths]
    for key in (band_codes, distinct_words):
        of_bands = key(known.names) if known.names else []
        if of_bands and len(set(of_bands)) == len(of_bands):
            places = {name: place for place, name in enumerate(of_bands)}
            matched = {i: places[name] for i, name in enumerate(band_codes(names)) if name in places}
            if matched := {index: place for index, place in matched.items() if index in by_name}:
                return {**found, **matched}
    return found


def _in_words(need: NeededBand) -> str:
    return need.name if need.wavelength is None else f"{need.name} ({need.wavelength:.0f} nm)"


def _nearest(need: NeededBand, needed: Sequence[NeededBand], given: Mapping[str, KnownBands]) -> str:
    """Say what rasters have in place of a band, which is one of those needed."""
    wanted = need.wavelength
    if wanted is not None:
        centres = {centre: m for m, known in given.items() for centre in known.wavelengths}
        if centres:
            nearest = min(centres, key=lambda centre: abs(centre - wanted))
            away, allowed = abs(nearest - wanted), need.tolerance
            other = min(needed, key=lambda each: abs((each.wavelength or np.inf) - nearest))
            reason = (
                f"{away:.0f} nm away where at most {allowed:.0f} nm are allowed"
                if away > allowed
                else f"nearer to {_in_words(other)}"
            )
            return f"the nearest band, of '{centres[nearest]}', is at {nearest:.0f} nm, {reason}"
    said = [
        f"'{m}' has {', '.join(known.names) or f'{known.count} bands without names'}"
        for m, known in given.items()
    ]
    return " and ".join(said)


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
