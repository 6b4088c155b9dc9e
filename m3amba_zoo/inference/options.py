"""The options of a prediction, checked: what is of another type or unknown is told by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from m3amba_zoo.errors import InputError, close_names
from m3amba_zoo.rasters.request import ALIGN, check_align

SPEEDS = {"best": 0.5, "balanced": 0.25, "fast": 0.0}
"""The overlap of windows by the name of a speed; only the best also takes several views, if the model has."""

Check = tuple[Callable[[Any], bool], str]


_FLAG: Check = (lambda value: isinstance(value, bool), "True or False")
CHECKS: dict[str, Check] = {
    "overlap": (
        lambda value: value is None or (_is_number(value, Real) and 0 <= value < 1),
        "a number from 0 to below 1, or None",
    ),
    "speed": (lambda value: isinstance(value, str) and value in SPEEDS, " or ".join(SPEEDS)),
    "batch_size": (
        lambda value: value is None or (_is_number(value, Integral) and value >= 1),
        "a whole number of windows, at least 1, or None",
    ),
    "strict": _FLAG,
    "align": (lambda value: value is None or isinstance(value, str), f"{', '.join(ALIGN)} or None"),
    "grid": (lambda value: value is None or isinstance(value, str), "the name of a modality, or None"),
    "match_bands": _FLAG,
    "need": (
        lambda value: (
            isinstance(value, str)
            or (isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value))
        ),
        "all, or names of modalities",
    ),
    "probabilities": _FLAG,
    "half": _FLAG,
    "progress": (lambda value: value is None or callable(value), "a function, or None"),
    "announce": (lambda value: value is None or callable(value), "a function, or None"),
    "dask": (
        lambda value: value is None or isinstance(value, str),
        "local, local:N, the address of a scheduler, or None",
    ),
}
OF_OPENING = ("overlap", "speed", "batch_size", "strict", "align", "grid", "match_bands", "need")


def check_options(options: Mapping[str, Any], **own: Any) -> None:
    """Check what ``Predictor.predict`` and ``predict_map`` were given.

    Args:
        options: of ``Predictor.open``.
        **own: arguments of the method itself.

    Raises:
        InputError: if an option is unknown, or one has another type or value than expected; the message has
            its name, and both.
    """
    known = [*OF_OPENING, *own]
    for name, value in {**options, **own}.items():
        if name not in known:
            hint = close_names(name, known) or f"expected {', '.join(known)}"
            raise InputError(f"this prediction has no option '{name}'; {hint}")
        fits, expected = CHECKS[name]
        if not fits(value):
            raise InputError(f"{name} is {value!r}, expected {expected}")
    check_align("align", options.get("align"))


def check_rasters(given: Any) -> None:
    """Raise InputError unless rasters are given by modality."""
    if not isinstance(given, Mapping):
        raise InputError(f"rasters is {type(given).__name__}, expected a dict of rasters by modality")


def check_order(modality: str, given: Any, expected: int) -> None:
    """Raise InputError if an array without names of its axes has the bands last."""
    shape: tuple[int, ...] = given.shape if isinstance(given, np.ndarray) else ()
    if len(shape) == 3 and shape[0] != expected and shape[2] == expected:
        raise InputError(
            f"the array of '{modality}' has shape {shape}, which seems to be (rows, columns, bands); (bands, "
            "rows, columns) is expected: numpy.moveaxis(array, -1, 0)"
        )


def names_of(given: Any, what: str) -> Any:
    """Return names in a list or a mapping as they are, and a single one as a list.

    Raises:
        InputError: if it is something else; the message begins with ``what``.
    """
    if isinstance(given, str):
        return [given]
    names = list(given) if isinstance(given, Iterable) else [None]
    if not all(isinstance(name, str) for name in names):
        raise InputError(f"{what} is {given!r}, expected names of outputs")
    return given if isinstance(given, Mapping) else names


def _is_number(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
