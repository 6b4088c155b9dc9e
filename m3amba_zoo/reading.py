"""The one guard around the libraries that read files, and the reading of text and JSON under it.

GDAL, PROJ, h5py, scipy, numpy, torch, PyYAML and the standard library raise dozens of unrelated types on damaged
files. ``library_errors`` turns them into one sentence. It is put around calls of libraries alone, never around
the code of this package that uses what was read: an error in that code is a defect, and keeps its traceback.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from m3amba_zoo.errors import InputError, one_line

PACKAGE = str(Path(__file__).resolve().parent) + os.sep
DEFECTS = (NameError, AttributeError, AssertionError, NotImplementedError)


@contextmanager
def library_errors(path: object, what: str, expected: str = "") -> Iterator[None]:
    """Turn what a library raises on a file into one sentence: the file, ``what`` is wrong, the reason.

    Args:
        path: of the file.
        what: it is not, such as ``not a readable MATLAB file, it may be cut short or damaged``.
        expected: is added to the sentence.

    Raises:
        InputError: in place of any other error, except for defects that lie in this package itself.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if isinstance(error, DEFECTS) and _raised_here(error):
            raise
        raise InputError(f"{_sentence(str(path), what, error)}{expected and f'; {expected}'}") from error


def read_text(path: str | Path, what: str = "not text in UTF-8") -> str:
    """Read a text file in UTF-8, with or without a byte order mark.

    Raises:
        InputError: if it is absent, no plain file, cannot be read, or is in another encoding.
    """
    with library_errors(path, what):
        return read_bytes(path).decode("utf-8-sig")


def read_bytes(path: str | Path) -> bytes:
    """Read a plain file.

    Raises:
        InputError: if it is absent, no plain file (a pipe would be waited for) or cannot be read.
    """
    with library_errors(path, "cannot be read"):
        if os.path.exists(path) and not os.path.isfile(path):
            raise InputError(f"{path}: is no plain file")
        return Path(path).read_bytes()


def read_json(path: str | Path, what: str = "damaged, not JSON") -> Any:
    """Read a JSON file.

    Raises:
        InputError: as ``read_text``; or if it is not JSON, or nested too deep.
    """
    text = read_text(path, what)
    with library_errors(path, what):
        return json.loads(text)


def _sentence(path: str, what: str, error: Exception) -> str:
    if os.path.isdir(path):
        return f"{path}: is a folder, expected a file"
    if isinstance(error, FileNotFoundError):
        return f"{path}: no such file"
    if isinstance(error, PermissionError):
        return f"{path}: cannot be read ({error.strerror})"
    if isinstance(error, MemoryError):
        return f"{path}: {what} (it asks for more memory than there is)"
    if isinstance(error, RecursionError):
        return f"{path}: {what} (it is nested too deep)"
    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error  # GDAL's own, where it has one
    return f"{path}: {what} ({one_line(cause).rstrip('.')})"


def _raised_here(error: BaseException) -> bool:
    """Tell whether the innermost frame of an error is code of this package."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and last.tb_frame.f_code.co_filename.startswith(PACKAGE)
