"""What a raster file says of its bands: names, wavelengths, and which are bad."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader

WAVELENGTH_TAGS = ("wavelength", "center_wavelength", "central_wavelength", "centre_wavelength")
UNIT_TAGS = ("wavelength_units", "wavelength_unit")
NM_PER_UNIT = {
    "nm": 1.0,
    "nanomet": 1.0,
    "um": 1e3,
    "micron": 1e3,
    "micromet": 1e3,
    "m": 1e9,
    "meter": 1e9,
    "metre": 1e9,
    "angstrom": 0.1,
}
"""By the beginning of the word; a unit of one or two letters is the whole word."""
NO_UNIT = ("", "unknown", "none")
GUESSED_NM, GUESSED_UM = (200.0, 20_000.0), (0.2, 20.0)
"""Where all wavelengths of a file without a unit lie if they are nm or um: the optical range."""
MICRO_SIGNS = ("\N{MICRO SIGN}", "\N{GREEK SMALL LETTER MU}")


WAVELENGTH_IN_NAME = re.compile(r"\s*\(\d+(\.\d+)?\s*[^\W\d]*\)$|^\d+(\.\d+)?\s*[^\W\d]+$")
"""What GDAL adds to the bands' names of ENVI files, or takes for them: ``Band 1 (0.45 um)``, ``450 nm``."""
NAME_OF_WAVELENGTH = re.compile(r"(?:.*\()?(\d+(?:\.\d+)?)\s*([^\W\d]+)\)?")
"""A band's name that says its wavelength, of which GDAL does not know."""


class Bands(NamedTuple):
    """What is known of a file's bands.

    Attributes:
        names: one per band, or empty. Names that only count the bands are left out.
        wavelengths: centres in nm, ``(C,)`` float64, or None.
        bad: numbers of the bands, from 0, that the file itself calls bad.
        remark: what was guessed, a sentence without the file's name; empty if nothing was.
        reason: how the file calls bands bad, in words.
        named_by_files: whether a name is that of a file, which has no other name for its band.
    """

    names: tuple[str, ...] = ()
    wavelengths: NDArray[np.float64] | None = None
    bad: tuple[int, ...] = ()
    remark: str = ""
    reason: str = "bbl"
    named_by_files: bool = False


def read_bands(file: DatasetReader) -> Bands:
    """Read band descriptions, wavelengths and bad bands from an open file's metadata.

    Wavelengths are tags of the bands (GDAL takes them over from ENVI headers) or a list of the file (ENVI);
    bad bands are ENVI's ``bbl``. A unit that the file does not name is guessed. Wavelengths that are not
    positive numbers count as unknown.
    """
    of_file = {**_lower(file.tags()), **_lower(file.tags(ns="ENVI"))}
    flags = _numbers(of_file.get("bbl"), file.count)
    bad = () if flags is None else tuple(np.flatnonzero(flags == 0).tolist())
    wavelengths, remark = _wavelengths(file, of_file)
    descriptions = [name or "" for name in file.descriptions]
    if wavelengths is None and not remark:
        wavelengths, remark = _wavelengths_of_names(descriptions)
    if wavelengths is not None or remark:
        descriptions = [WAVELENGTH_IN_NAME.sub("", name) for name in descriptions]
    if flags is None and "bbl" in of_file:
        remark += (
            f"{'; ' if remark else ''}its list of bad bands (bbl) is not {file.count} numbers, it is left out"
        )
    return Bands(proper_names(descriptions), wavelengths, bad, remark)


def proper_names(descriptions: Sequence[str | None]) -> tuple[str, ...]:
    """Return the bands' descriptions if they say more than the bands' numbers, else nothing.

    A band without one among others that have theirs is called ``unnamed band 3``, counted from 1: one that
    is absent must not let the others be taken without a look at their names.
    """
    names = {index: str(name).strip() for index, name in enumerate(descriptions) if name}
    numbers = [
        re.fullmatch(r"(?:band|b|layer|channel)?[ _]?0*(\d+)", name.lower()) for name in names.values()
    ]
    counted = [int(match[1]) for match in numbers if match]
    if counted in ([*names], [index + 1 for index in names]):
        return ()
    return tuple(names.get(index, f"unnamed band {index + 1}") for index in range(len(descriptions)))


def nm_per_unit(unit: str) -> float | None:
    """Return how many nanometres a unit of wavelengths is, in any usual spelling; None if it is no length."""
    word = unit.strip().lower()
    for sign in MICRO_SIGNS:
        word = word.replace(sign, "u")
    for beginning, scale in NM_PER_UNIT.items():
        if word == beginning or (len(beginning) > 2 and word.startswith(beginning)):
            return scale
    return None


def guess_unit(values: NDArray[np.float64]) -> str | None:
    """Return the unit, ``nm`` or ``um``, in which all wavelengths are optical; None if there is none."""
    for unit, (low, high) in (("nm", GUESSED_NM), ("um", GUESSED_UM)):
        if ((values >= low) & (values <= high)).all():
            return unit
    return None


def to_nm(values: NDArray[np.float64] | None, unit: str) -> tuple[NDArray[np.float64] | None, str]:
    """Return wavelengths in nm, None if they are not known; and what had to be guessed, in words."""
    if values is None or not (np.isfinite(values) & (values > 0)).all():
        return None, ""
    if scale := nm_per_unit(unit):
        return values * scale, ""
    guessed = guess_unit(values) if unit.strip().lower() in NO_UNIT else None
    if guessed is None:
        return None, ""
    return values * NM_PER_UNIT[guessed], (
        f"the wavelengths {values[0]:g} to {values[-1]:g} have no unit and are taken as {guessed}"
    )


def _wavelengths_of_names(names: Sequence[str]) -> tuple[NDArray[np.float64] | None, str]:
    """Return the wavelengths that all bands have for names, such as ``450 nm``; and that this is a guess."""
    matches = [NAME_OF_WAVELENGTH.fullmatch(name.strip()) for name in names]
    found = [(float(match[1]), nm_per_unit(match[2])) for match in matches if match]
    centres = np.array([number * unit for number, unit in found if unit], np.float64)
    low, high = GUESSED_NM
    if len(centres) < len(names) or not ((centres >= low) & (centres <= high)).all():
        return None, ""
    return centres, f"the names of the bands, {names[0]} to {names[-1]}, are taken for their wavelengths"


def _wavelengths(file: DatasetReader, of_file: Mapping[str, str]) -> tuple[NDArray[np.float64] | None, str]:
    """Return the centres in nm, None unless all bands have one; and what had to be guessed."""
    listed = len(_words(of_file["wavelength"])) if "wavelength" in of_file else file.count
    if listed != file.count:  # GDAL would take the first ones
        return None, f"its header lists {listed} wavelengths for {file.count} bands, they are left out"
    of_bands = [_lower(file.tags(band)) for band in range(1, file.count + 1)]
    unit = next((tags[tag] for tags in (*of_bands, of_file) for tag in UNIT_TAGS if tag in tags), "")
    for tag in WAVELENGTH_TAGS:
        if all(tag in tags for tags in of_bands):
            words = " ".join(tags[tag].replace(" ", "") for tags in of_bands)
            return to_nm(_numbers(words, file.count), unit)
    imagery = [_lower(file.tags(band, ns="IMAGERY")) for band in range(1, file.count + 1)]
    if all("central_wavelength_um" in tags for tags in imagery):
        centres = " ".join(tags["central_wavelength_um"] for tags in imagery)
        return to_nm(_numbers(centres, file.count), "um")
    return to_nm(_numbers(of_file.get("wavelength"), file.count), unit)


def _lower(tags: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in tags.items()}


def _words(text: str | None) -> list[str]:
    return re.split(r"[\s,]+", (text or "").strip("{} \t\n,"))


def _numbers(text: str | None, count: int) -> NDArray[np.float64] | None:
    """Return the numbers of a list such as ``{1, 2, 3}``; None unless it holds so many numbers."""
    try:
        values = np.array(_words(text), np.float64)
    except ValueError:
        return None
    return values if len(values) == count else None
