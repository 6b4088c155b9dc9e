"""Which bands of a raster are those that a model, or another scene, has: by wavelength, name or number."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.opened import OpenRaster
from m3amba_zoo.rasters.raster import Raster
from m3amba_zoo.rasters.request import RasterRequest
from m3amba_zoo.rasters.resampling import FARTHEST_NM, same_bands

FEW = 12
DEVIATIONS, ROWS = 5.0, 8
"""How far a band's median, over so many rows, may lie from the training's mean in standard deviations."""
TINY = 0.04
"""Of the training pixels' mean: values that are all smaller are in another unit, percent for 0..10000."""
REMEDY = (
    ", or --match-bands (match_bands=True in Python) to resample spectra by wavelength where both are known, "
    "or a training on these bands that starts from the model (--init-from)"
)
WITHOUT_MATCH = (
    "or a training on the bands that both sides have: --bands of 'm3amba new scene' (bands: in scene.yaml) "
    "names them by number, and --init-from starts from the model"
)


@dataclass(frozen=True)
class KnownBands:
    """What is known of a modality's bands, in the order that is expected.

    Attributes:
        count: how many.
        names: one per band, or empty.
        wavelengths: centres in nm, one per band, or empty.
        numbers: which band of its file each was, from 0.
        bands_in_file: how many bands the file had; 0 if unknown.
        unit: see ``Raster``.
        stated: what was stated of the files, see ``RasterRequest.stated``.
        mean, std: of each band over the training pixels that have it, or empty.
        lacking: how many training pixels had a value in no band, and how many there were; or empty.
        fingerprint: of the encoder whose features the bands are, hexadecimal; empty for other bands.
        read_from: the modalities that this encoder reads, or empty.
    """

    count: int
    names: tuple[str, ...] = ()
    wavelengths: tuple[float, ...] = ()
    numbers: tuple[int, ...] = ()
    bands_in_file: int = 0
    unit: str = ""
    stated: Mapping[str, Any] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    lacking: tuple[int, ...] = ()
    fingerprint: str = ""
    read_from: tuple[str, ...] = ()

    @classmethod
    def of(cls, raster: Raster, request: RasterRequest | None = None) -> KnownBands:
        """Describe a raster's bands, and how its file was read."""
        centres = () if raster.wavelengths is None else tuple(raster.wavelengths.tolist())
        numbers = raster.numbers or tuple(range(len(raster.data)))
        return cls(
            len(raster.data),
            raster.bands,
            centres,
            numbers,
            raster.bands_in_file,
            raster.unit,
            request.stated() or None if request else None,
        )

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> KnownBands:
        """Return what ``to_json`` wrote; unknown keys are of later versions and left out."""
        known: dict[str, Any] = {name: entry[name] for name in cls.__dataclass_fields__ if name in entry}
        for name in known:
            known[name] = tuple(known[name]) if isinstance(known[name], list) else known[name]
        return cls(**known)

    def to_json(self) -> dict[str, Any]:
        """Return a dict of JSON values, without what is not known."""
        return {name: value for name, value in asdict(self).items() if value not in ((), None, "", 0)}

    @property
    def request(self) -> RasterRequest:
        """What was stated of the files, without a path."""
        return RasterRequest.from_stated(self.stated or {})


def take_bands(opened: OpenRaster, known: KnownBands, whose: str, match: bool | None = None) -> None:
    """Let an open raster give the known bands, in their order.

    Bands that are stated by number are taken as they are. Else wavelengths decide if both sides have them,
    else names, else the number of bands.

    Args:
        opened: is changed.
        known: the bands expected.
        whose: words for whose bands these are, such as ``the model's``.
        match: whether to resample other bands by wavelength; None if that is no choice.

    Raises:
        InputError: if the raster does not have these bands; the message lists both sides.
    """
    header, found = opened.header, len(opened.header.data)
    order, by = (None, "") if opened.stated.bands is not None else _order(header, known)
    remedy = "" if match is None else REMEDY
    if order is not None:
        if order != list(range(found)):
            opened.select(order)
            if order != sorted(order):
                opened.remarks.append(f"{opened.path}: bands are put into {whose} order, by {by}")
        if by == "part of their name":
            opened.remarks.append(
                f"{opened.path}: bands with {_listed(opened.header)} are taken for those with "
                f"{_listed_known(known)}"
            )
    elif match and _can_be_resampled(header, known):
        try:
            opened.resample(known.wavelengths)
        except InputError as error:
            raise InputError(f"{error}; {WITHOUT_MATCH}") from error
    elif by == "name" and opened.named_by_files and found == known.count:
        opened.remarks.append(
            f"{opened.path}: bands with {_listed(header)} are taken in this order, but {whose} have "
            f"{_listed_known(known)}"
        )
    elif by:
        raise InputError(
            f"{opened.path}: its bands have {_listed(header)}, but {whose} have {_listed_known(known)}; "
            f"expected these bands, or those to take by number (--bands; bands: in scene.yaml, "
            f"RasterRequest(bands=...) in Python){remedy}"
        )
    elif opened.stated.bands is None and found == known.bands_in_file != known.count:
        opened.select(known.numbers)
    elif found != known.count:
        of_file = f" of {opened.bands_in_file}" if found != opened.bands_in_file else ""
        raise InputError(
            f"{opened.path}: has {found}{of_file} bands ({_listed(header)}), but {whose} are {known.count} "
            f"({_listed_known(known)}); expected these bands{remedy}"
        )


def _order(header: Raster, known: KnownBands) -> tuple[list[int] | None, str]:
    """Return which bands are the known ones, None if they are not told; and what tells them."""
    if header.wavelengths is not None and known.wavelengths:
        return _by_wavelength(np.array(known.wavelengths), header.wavelengths), "wavelength"
    if known.names and header.bands:
        return _by_name(known.names, header.bands)
    return None, ""


def _can_be_resampled(header: Raster, known: KnownBands) -> bool:
    """Tell whether both sides have wavelengths, and others."""
    if header.wavelengths is None or not known.wavelengths:
        return False
    return not same_bands(header.wavelengths, np.array(known.wavelengths))


def unlike_training(opened: OpenRaster, known: KnownBands) -> str:
    """Return a sentence on a raster whose values are of another kind than the training pixels'.

    Medians are taken of evenly spaced rows. A band whose largest values are a small part of the training mean
    is unusual, too.

    Args:
        opened: gives the known bands already.
        known: with mean and deviation.

    Returns:
        The sentence, with both numbers; empty if nothing is unusual or known.
    """
    if not known.mean:
        return ""
    height = opened.grid.shape[0]
    sampled = np.unique(np.linspace(0, height - 1, min(ROWS, height)).astype(int)).tolist()
    pixels = np.concatenate([opened.read(row, row + 1).floats()[:, 0] for row in sampled], axis=1)
    mean, std = np.array(known.mean), np.array(known.std)
    present = [band[~np.isnan(band)] for band in pixels.astype(np.float64)]
    medians = np.array([np.median(band) if len(band) else np.nan for band in present])
    # positive values of a wide spread, such as reflectance, are never far below their mean
    largest = np.array([np.percentile(np.abs(band), 99) if len(band) else np.nan for band in present])
    far = np.abs(medians - mean) / np.maximum(std, 1e-12)
    unusual = np.flatnonzero((far > DEVIATIONS) | (largest < TINY * np.abs(mean)))
    if not len(unusual):
        return ""
    worst = int(unusual[np.nanargmax(far[unusual])])
    unit = f" (in {known.unit})" if known.unit else ""
    return (
        f"{opened.path}: the median of band {opened.header.band_name(worst)} is {medians[worst]:.4g}, but "
        f"the model's training pixels have {mean[worst]:.4g} +- {std[worst]:.4g}{unit}; so it is in "
        f"{len(unusual)} of {known.count} bands; expected values in the same unit (--scale and --offset; "
        "RasterRequest(scale=..., offset=...) in Python)"
    )


def _by_wavelength(expected: NDArray[np.float64], found: NDArray[np.float64]) -> list[int] | None:
    """Return the band of ``found`` at each expected wavelength; None if one is absent or taken twice."""
    distance = np.abs(expected[:, None] - found[None, :])
    nearest = distance.argmin(1)
    between = np.abs(expected[:, None] - expected[None, :]) + np.diag(np.full(len(expected), np.inf))
    allowed = np.minimum(between.min(1, initial=np.inf) / 2, FARTHEST_NM)
    fits = distance[np.arange(len(expected)), nearest] <= allowed
    if len(expected) == len(found) and (np.abs(expected - found) <= allowed).all():
        return list(range(len(found)))  # also if two bands have one wavelength, as where sensors overlap
    return nearest.tolist() if fits.all() and len(set(nearest.tolist())) == len(nearest) else None


def _by_name(expected: Sequence[str], found: Sequence[str]) -> tuple[list[int] | None, str]:
    """Return the band of ``found`` with each expected name, None if one is not told; and what tells."""
    for key, by in ((_casefolded, "name"), (band_codes, "name"), (distinct_words, "part of their name")):
        positions = {name: index for index, name in enumerate(key(found))}
        wanted = key(expected)
        if len(positions) == len(found) and len(set(wanted)) == len(wanted) and set(wanted) <= set(positions):
            return [positions[name] for name in wanted], by
    return None, "name"


def _casefolded(names: Sequence[str]) -> list[str]:
    return [name.casefold() for name in names]


def band_codes(names: Sequence[str]) -> list[str]:
    """Return the bands' codes, ``b1`` of ``B01`` and of ``B1 coastal aerosol``; of others the whole name."""
    words = [_without_zeros((name.casefold().split() or [""])[0].strip(",;:")) for name in names]
    has_digit = [any(map(str.isdigit, word)) for word in words]
    return [word if has else name.casefold() for word, has, name in zip(words, has_digit, names, strict=True)]


def distinct_words(names: Sequence[str]) -> list[str]:
    """Return what tells names apart: ``b2`` and ``b3`` of ``T32_2022_B02`` and ``T32_2022_B03``."""
    words = [[_without_zeros(word) for word in re.split(r"[\W_]+", name.casefold())] for name in names]
    common = set(words[0]).intersection(*words[1:]) if len(words) > 1 else set()
    return [" ".join(word for word in of_name if word not in common) for of_name in words]


def _without_zeros(word: str) -> str:
    letters = word.rstrip("0123456789")
    return letters + word[len(letters) :].lstrip("0")


def _listed(raster: Raster) -> str:
    return _listed_known(KnownBands.of(raster))


def _listed_known(known: KnownBands) -> str:
    """List bands by wavelength, name or number, shortened; say how many if nothing more is known."""
    if not (known.wavelengths or known.names or known.numbers):
        return f"{known.count} bands"
    if known.wavelengths:
        entries = [f"{centre:.0f}" for centre in known.wavelengths]
    else:
        entries = list(known.names) or [str(number) for number in known.numbers]
    if len(entries) > FEW:
        entries = [*entries[: FEW // 2], "...", *entries[-FEW // 2 :]]
    listed = ", ".join(entries)
    if known.wavelengths:
        return f"the wavelengths {listed} nm"
    return f"the names {listed}" if known.names else f"the numbers {listed}"
