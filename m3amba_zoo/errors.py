"""Errors that a user can fix: one sentence each, no traceback on the command line."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from textwrap import shorten


class InputError(Exception):
    """Wrong user input.

    The message is one sentence that names the file, key or option, the value found and what was expected.
    The command line prints it as ``error: <message>`` and exits with code 2.
    """


class DataNotFoundError(InputError):
    """The files of a data source are absent; the message says what to fetch and where to put it."""


def close_names(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'a' or 'b'?`` with the known names close to ``name``, or "" if there are none."""
    close = get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else ""


def one_line(error: BaseException) -> str:
    """Return an error's type and text on one line of about 300 characters at most."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    text = shorten(text, 300, placeholder=" ...")  # MMEngine quotes whole configs
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
