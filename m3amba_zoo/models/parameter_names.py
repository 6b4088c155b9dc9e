"""Parameters by patterns of their names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from m3amba_zoo.errors import InputError, close_names


def matching_names(patterns: Sequence[str], names: Iterable[str], option: str) -> set[str]:
    """Return the names that a pattern matches.

    Args:
        patterns: as ``fnmatch`` reads them, case counts: ``neck.*``.
        names: of parameters or buffers.
        option: where the patterns come from, for messages.

    Raises:
        InputError: they are no list of patterns, or one matches nothing; close names are given.
    """
    if isinstance(patterns, str) or not all(isinstance(pattern, str) for pattern in patterns):
        raise InputError(f"{option} is {patterns!r}, expected a list of patterns such as ['neck.*']")
    names = list(names)
    found: set[str] = set()
    for pattern in patterns:
        matched = {name for name in names if fnmatchcase(name, pattern)}
        if not matched:
            raise InputError(f"{option}: no parameter is called '{pattern}'; {_hint(pattern, names)}")
        found |= matched
    return found


def _hint(pattern: str, names: Sequence[str]) -> str:
    parts = dict.fromkeys(
        ".".join(name.split(".")[:depth]) + ".*"
        for depth in (1, 2, 3)
        for name in names
        if name.count(".") >= depth
    )
    tops = ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
    return close_names(pattern, [*parts, *names]) or f"the model's parts are {tops}"
