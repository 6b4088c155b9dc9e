"""Labels from the values of a label raster, and masks from it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters import Raster
from m3amba_zoo.scenes.scene import UNLABELLED

ROUNDING = 0.01
"""Values this close to a class's value come from rounding or resampling."""
MOST_FOREIGN = 20
"""More values without a class than this are measurements or colours."""

logger = logging.getLogger(__name__)


def labels_of_values(
    where: str, raster: Raster, numbers: Mapping[Any, int], unlabelled: Sequence[float]
) -> NDArray[np.uint8]:
    """Turn a label raster's only band into labels ``(H, W)``.

    Args:
        where: begins messages.
        raster: its values; missing ones and NaN are unlabelled.
        numbers: the label of each value of a class.
        unlabelled: values without a class.

    Raises:
        InputError: if a value belongs to no class and is not unlabelled.
    """
    present, inverse = np.unique(raster.data[0], return_inverse=True)
    inverse = inverse.reshape(raster.shape)
    missing = _missing(raster)
    everywhere = np.bincount(inverse.ravel(), minlength=len(present))
    counts = np.bincount(inverse[~missing], minlength=len(present))
    known = {_stored(value, present.dtype): number for value, number in numbers.items()}
    plain = {_stored(value, present.dtype) for value in unlabelled}
    labels = np.array([known.get(value, UNLABELLED) for value in present.tolist()], np.uint8)
    foreign = [index for index, value in enumerate(present.tolist()) if value not in known.keys() | plain]
    foreign = [index for index in foreign if counts[index]]
    if foreign:
        raise InputError(
            f"{where}: {raster.path} has {_listed(present[foreign], counts[foreign])}, but the values of the "
            f"classes are {', '.join(map(repr, numbers))} and those of 'unlabelled' "
            f"{', '.join(map(str, unlabelled))}; {_remedy(present[foreign], numbers, unlabelled)}"
        )
    for index in np.flatnonzero((labels != UNLABELLED) & (counts == 0)):  # the manifest contradicts the file
        logger.warning(
            f"{where}: {raster.path} marks the value {written(present[index])} as missing (nodata), but a "
            f"class has it: its {everywhere[index]} pixels are labelled"
        )
        missing &= inverse != index
    found = labels[inverse]
    found[missing] = UNLABELLED
    return found


def mask_of_values(raster: Raster, unlabelled: Sequence[float]) -> NDArray[np.bool_]:
    """Mark the pixels ``(H, W)`` of a raster's only band that are neither ``unlabelled``, missing nor NaN."""
    band = raster.data[0]
    plain = [_stored(value, band.dtype) for value in unlabelled]
    return ~np.isin(band, plain) & ~_missing(raster)


def distinct_values(raster: Raster) -> dict[float, int]:
    """Count the pixels of each value of a raster's only band, in ascending order; missing ones left out."""
    present, counts = np.unique(raster.data[0][~_missing(raster)], return_counts=True)
    return dict(zip(present.tolist(), counts.tolist(), strict=True))


def written(value: np.number) -> str:
    """Write a value with the digits that tell it from its neighbours, and no others."""
    return np.format_float_positional(value, trim="-") if isinstance(value, np.floating) else str(value)


def plain(value: Any) -> Any:
    """Return whole numbers as such."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value


def _missing(raster: Raster) -> NDArray[np.bool_]:
    return raster.missing()[0] | (raster.data[0] != raster.data[0])


def _stored(value: Any, dtype: np.dtype) -> Any:
    """Return a value as a raster of this type holds it: 0.1 in float32 is another number than in float64."""
    return dtype.type(value).item() if dtype.kind == "f" and not isinstance(value, str) else value


def _listed(values: NDArray, counts: NDArray) -> str:
    if len(values) == 1:
        return f"the value {written(values[0])} in {counts[0]} pixels"
    order = np.argsort(counts, kind="stable")[::-1][:3]
    told = [f"{written(values[index])} ({counts[index]} pixels)" for index in order]
    more = f" and {len(values) - 3} others" if len(values) > 3 else ""
    return f"the values {', '.join(told)}{more}"


def _remedy(foreign: NDArray, numbers: Mapping[Any, int], unlabelled: Sequence[float]) -> str:
    """Say what to do about values without a class."""
    classes = np.array([value for value in numbers if not isinstance(value, str)], float)
    if not len(classes):
        return "a raster holds numbers, so numbers are expected as 'values'"
    nearest = classes[np.abs(foreign[:, None] - classes).argmin(axis=1)]
    if (np.abs(foreign - nearest) < ROUNDING).all():
        return (
            f"the nearest value of a class is {nearest[0]:g}, so the raster was rounded or resampled; write "
            "it in whole numbers, for example with numpy.rint"
        )
    if len(foreign) > MOST_FOREIGN:
        return "these look like measurements or colours; one number per class is expected"
    listed = [*map(str, unlabelled), *map(written, foreign)]
    return f"if they mean no class, write `unlabelled: [{', '.join(listed)}]`"
