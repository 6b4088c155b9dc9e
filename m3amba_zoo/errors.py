"""Errors that a user can mend: one sentence each, no traceback on the command line."""

from __future__ import annotations


class InputError(Exception):
    """Something the user gave is wrong.

    The message is one sentence that names the file, key or option, the value found and what was
    expected. The command line prints it as ``error: <message>`` and exits with code 2.
    """


class DataNotFoundError(InputError):
    """The files of a data source are not there; the message says what to fetch and where to put it."""
