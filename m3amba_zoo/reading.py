"""The one guard around the libraries that read files, and the reading of text, tables and JSON under it.

GDAL, PROJ, h5py, scipy, numpy, torch, PyYAML and the standard library raise dozens of unrelated types on
damaged files. ``library_errors`` turns them into one sentence. It does not hide defects of this package: an
error that only wrong code has, and that was raised by a line of this package, keeps its traceback.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import Any, BinaryIO, NoReturn

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError, one_line
from m3amba_zoo.memory import require_memory
from m3amba_zoo.numpy_files import check_arrays

_ROOT = Path(__file__).resolve().parents[1]
PACKAGES = tuple(str(_ROOT / name) + os.sep for name in ("m3amba_zoo", "workshop"))
AT_ONCE = getattr(os, "O_NONBLOCK", 0)  # Windows opens a pipe without waiting
DEFECTS = (
    NameError, AttributeError, AssertionError, NotImplementedError, TypeError, LookupError, ZeroDivisionError
)  # fmt: skip

LARGEST_JSON = 2**24
"""Bytes: every record is far smaller, and Python's objects take up to 25 times as much as their JSON."""


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
        InputError: if it is absent, no plain file, larger than the memory that is free, or cannot be read.
    """
    with library_errors(path, "cannot be read"), open_plain(path) as stream:
        require_memory(path, os.fstat(stream.fileno()).st_size, "its content")
        return stream.read()


def open_plain(path: str | Path, name: str = "") -> BinaryIO:
    """Open a plain file to read its bytes. Nothing is waited for, as a pipe would be.

    Args:
        path: of the file, or of a link to it.
        name: of it in messages; default its path.

    Raises:
        InputError: if it is a folder, pipe, socket or device.
        OSError: if it is absent or cannot be read.
    """
    _require_plain(os.stat(path).st_mode, name or path)  # the kind of what cannot be opened at all
    stream: BinaryIO = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 - it is the caller's
    try:
        _require_plain(os.fstat(stream.fileno()).st_mode, name or path)  # it may be another file by now
    except InputError:
        stream.close()
        raise
    return stream


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | AT_ONCE)


def _require_plain(mode: int, name: object) -> None:
    kinds = {stat.S_IFDIR: "folder", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
    if not stat.S_ISREG(mode):
        raise InputError(f"{name}: is a {kinds.get(stat.S_IFMT(mode), 'device')}, expected a file")


def read_json(path: str | Path, what: str = "damaged, not JSON", content: bytes | None = None) -> Any:
    """Read a JSON file.

    Args:
        path: of the file.
        what: it is not, for messages.
        content: its bytes, if they were read already.

    Raises:
        InputError: as ``read_text``; or if it is larger than any record, not JSON, nested too deep, or a
            number is not finite.
    """
    with library_errors(path, what):
        size = os.path.getsize(path) if content is None else len(content)
        if size > LARGEST_JSON:
            raise InputError(f"{path}: {size:,} bytes of JSON, at most {LARGEST_JSON:,} are expected")
    content = read_bytes(path) if content is None else content
    with library_errors(path, what):
        return json.loads(content.decode("utf-8-sig"), parse_constant=_refuse, parse_float=_finite)


def read_table(
    path: str | Path, columns: Sequence[str] = ()
) -> tuple[list[str], list[tuple[str, dict[str, str]]]]:
    """Read a CSV file whose first line names its columns.

    Args:
        path: of the file.
        columns: those that it must have, beside others.

    Returns:
        The names of the columns, and each row with its place, ``FILE, line N``.

    Raises:
        InputError: if it is absent or no table, lacks a column, or a row has too few or too many values.
    """
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
    with library_errors(path, "not a readable table (CSV)"):
        found = list(reader.fieldnames or ())
        rows = [(f"{path}, line {reader.line_num}", row) for row in reader]
    for column in columns:
        if column not in found:
            raise InputError(f"{path}: no column '{column}', the file has {', '.join(found) or 'none'}")
    if doubled := next((column for column in found if found.count(column) > 1), None):
        raise InputError(f"{path}: two columns are called '{doubled}'")
    for place, row in rows:
        if None in row or None in row.values():
            raise InputError(f"{place}: expected {len(found)} values, as many as there are columns")
    return found, rows


def read_arrays(path: str | Path, what: str) -> dict[str, NDArray]:
    """Read the arrays of an ``.npz`` file, by name.

    Raises:
        InputError: if it is absent or damaged, unfolds to more than the memory that is free, or holds
            anything but arrays of plain values.
    """
    with library_errors(path, what):
        content = io.BytesIO(read_bytes(path))
        check_arrays(content, path)
        archive = np.load(content, allow_pickle=False)
        arrays = {name: archive[name] for name in archive.files} if isinstance(archive, NpzFile) else {}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise InputError(f"{path}: {what} ('{name}' is no array)")
    return arrays


def check_schema(content: Any, schema: Mapping[str, Any], name: object) -> None:
    """Compare the content of a file with a JSON Schema (draft 2020-12); ``name`` is the file.

    An integer is one of Python: 1.0, which the draft takes for one, is none.

    Raises:
        InputError: if it does not match; the message has the key, the value and the expectation.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from jsonschema.validators import extend

    types = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    )
    fault = best_match(extend(Draft202012Validator, type_checker=types)(schema).iter_errors(content))
    if fault is not None:
        key = ".".join(map(str, fault.absolute_path)) or "the top level"
        expected = fault.schema.get("description") if isinstance(fault.schema, Mapping) else None
        found = shorten(fault.message, 300, placeholder=" ...")
        raise InputError(f"{name}: in {key}, {found}" + (f"; expected: {expected}" if expected else ""))


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text[:20])


def _sentence(path: str, what: str, error: Exception) -> str:
    if os.path.isdir(path):
        return f"{path}: is a folder, expected a file"
    if isinstance(error, FileNotFoundError) or "No such file or directory" in str(error):
        return f"{path}: no such file"
    if isinstance(error, PermissionError):
        return f"{path}: cannot be read ({error.strerror})"
    if isinstance(error, MemoryError):
        return f"{path}: {what} (it asks for more memory than there is)"
    if isinstance(error, RecursionError):
        return f"{path}: {what} (it is nested too deep)"
    cause = (
        error.__cause__ if isinstance(error.__cause__, Exception) else error
    )  # GDAL's own, where it has one
    return f"{path}: {what} ({one_line(cause).rstrip('.')})"


def _raised_here(error: BaseException) -> bool:
    """Tell whether the innermost frame of an error is code of this package."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and last.tb_frame.f_code.co_filename.startswith(PACKAGES)
