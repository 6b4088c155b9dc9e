"""Bands that a pretrained encoder needs, found among rasters by wavelength or name, in its units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.matching import KnownBands, band_codes, distinct_words
from m3amba_zoo.rasters.units import Conversion, conversion


class BandNeed(Protocol):
    """A band that an encoder needs; see ``NeededBand`` of the encoders."""

    @property
    def name(self) -> str:
        """The sensor's name of it."""

    @property
    def wavelength(self) -> float | None:
        """Its centre in nm, if it has one."""

    @property
    def unit(self) -> str | None:
        """Of its values; None for any."""

    @property
    def optional(self) -> bool:
        """Whether the encoder works without it."""

    @property
    def sensor(self) -> str:
        """Bands of one sensor are given together or not at all."""

    @property
    def tolerance(self) -> float:
        """How far in nm a raster's band may lie from the wavelength."""

    @property
    def spread(self) -> tuple[float, float] | None:
        """The values that are black and white to the encoder; None where the unit tells it."""


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
    needed: Sequence[BandNeed], given: Mapping[str, KnownBands], whose: str
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


def _positions(needed: Sequence[BandNeed], known: KnownBands) -> dict[int, int]:
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


def _in_words(need: BandNeed) -> str:
    return need.name if need.wavelength is None else f"{need.name} ({need.wavelength:.0f} nm)"


def _nearest(need: BandNeed, needed: Sequence[BandNeed], given: Mapping[str, KnownBands]) -> str:
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
