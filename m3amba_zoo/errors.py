"""Errors that a user can fix: one sentence each, no traceback on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from textwrap import shorten
from unicodedata import category

LONGEST = 4000  # characters of a message
_LINE_ENDS = re.compile(r"\s*[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]\s*")


class InputError(Exception):
    """Wrong user input.

    The message is one sentence that names the file, key or option, the value found and what was expected.
    The command line prints it as ``error: <message>`` and exits with code 2. It stays on one line and of
    bounded length, whatever the values that it quotes from a file.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(printable(str(message)))


class DataNotFoundError(InputError):
    """The files of a data source are absent; the message says what to fetch and where to put it."""


def close_names(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'a' or 'b'?`` with the known names close to ``name``, or "" if there are none."""
    close = get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else ""


def printable(text: str) -> str:
    """Return a text on one line, at most ``LONGEST`` characters, with what a terminal would obey escaped."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - 500]} ... {text[-400:]}"
    if text.isprintable():
        return text
    text = _LINE_ENDS.sub(" ", text)
    return "".join(c if c.isprintable() or category(c) == "Zs" else ascii(c)[1:-1] for c in text)


def one_line(error: BaseException) -> str:
    """Return an error's type and text on one line of about 300 characters at most."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    text = printable(shorten(text, 300, placeholder=" ..."))  # MMEngine quotes whole configs
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
