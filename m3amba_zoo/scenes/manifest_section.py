"""Checked access to the mappings of a YAML file; what is wrong with keys and values, in one sentence."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from m3amba_zoo.errors import InputError


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file.

    Raises:
        InputError: the file is absent or is not YAML; the message names the line.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            return yaml.safe_load(file)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); a YAML file is expected") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(f"{path}{line}: not YAML ({reason})") from error


class Section:
    """One mapping of a YAML file.

    Attributes:
        where: the file and the way to the mapping, with which messages begin.
        values: the mapping; keys without a value (null) count as absent.
    """

    def __init__(self, where: str, value: Any, keys: Sequence[str], required: Sequence[str] = ()) -> None:
        """Check the keys.

        Args:
            where: the file and the way to the mapping.
            value: what the file has there.
            keys: all that may be there.
            required: those that must be there.

        Raises:
            InputError: no mapping, an unknown key (with the closest known one), or a missing key.
        """
        self.where = where
        if not isinstance(value, dict):
            raise InputError(
                f"{where} is {reprlib.repr(value)}; a mapping with the keys {', '.join(keys)} is expected"
            )
        for key in value:
            if key not in keys:
                close = difflib.get_close_matches(str(key), keys, n=1)
                hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(keys)}"
                raise InputError(f"{where}: unknown key '{key}'; {hint}")
        self.values = {key: entry for key, entry in value.items() if entry is not None}
        for key in required:
            if key not in self.values:
                raise InputError(f"{where}: the key '{key}' is missing; expected are {', '.join(required)}")

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def text(self, key: str, default: str = "") -> str:
        """Return a text that is not empty."""
        value = self.values.get(key, default)
        if not isinstance(value, str) or (key in self and not value):
            raise self.refusal(key, "a text")
        return value

    def number(self, key: str) -> float | None:
        """Return a number, None where absent."""
        value = self.values.get(key)
        if value is not None and not _is_number(value):
            raise self.refusal(key, "a number")
        return value

    def numbers(self, key: str) -> list[float] | None:
        """Return a list of numbers, None where absent."""
        value = self.values.get(key)
        if value is not None and not (isinstance(value, list) and value and all(map(_is_number, value))):
            raise self.refusal(key, "a list of numbers")
        return value

    def entries(self, key: str) -> list[Any]:
        """Return a list with one entry or more, empty where absent."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or (key in self and not value):
            raise self.refusal(key, "a list")
        return value

    def scalars(self, key: str) -> list[float | str]:
        """Return a list of numbers and texts, empty where absent."""
        value = self.entries(key)
        if not all(_is_number(entry) or isinstance(entry, str) for entry in value):
            raise self.refusal(key, "a list of numbers or texts")
        return value

    def file(self, key: str, folder: Path) -> Path:
        """Return the path of a file that is there; a relative one starts at ``folder``."""
        path = folder / self.text(key)
        if not path.is_file():
            raise InputError(
                f"{self.where}: '{key}' is '{self.values[key]}', but there is no file {path}; the path of a "
                "file is expected, relative to the folder of the YAML file"
            )
        return path

    def refusal(self, key: str, expected: str) -> InputError:
        """Make the error on a value."""
        return InputError(
            f"{self.where}: '{key}' is {reprlib.repr(self.values[key])}; {expected} is expected"
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
