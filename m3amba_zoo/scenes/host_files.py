"""Files as the hosts of published scenes offer them: MATLAB files of every version, and the arrays in them.

scipy reads MATLAB v4 to v7, h5py reads v7.3 (which is HDF5). Both give the same Python values: numeric arrays
in MATLAB's axis order and the file's dtype, structs as dicts, cells as lists, text as str. HDF5 stores the
axes of a MATLAB array reversed; they are put back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import h5py
import numpy as np
import scipy.io
from numpy.typing import NDArray
from scipy.io.matlab import mat_struct

from m3amba_zoo.errors import InputError

Result = TypeVar("Result")


class Variable(NamedTuple):
    """What a MATLAB file says of a variable without reading it.

    Attributes:
        shape: as MATLAB's ``size`` gives it: rows, columns and further axes; ``(1, 1)`` for a struct.
        kind: MATLAB's class, for example ``double``, ``uint16``, ``struct`` or ``cell``.
    """

    shape: tuple[int, ...]
    kind: str


def list_variables(path: str | Path) -> dict[str, Variable]:
    """List the variables of a MATLAB file without reading their values.

    Raises:
        InputError: if the file is not a MATLAB file, or is cut short or damaged.
    """
    return _guarded(_list_hdf5 if h5py.is_hdf5(path) else _list_v5, path)


def read_variable(path: str | Path, key: str) -> Any:
    """Read one variable of a MATLAB file, or one field of a struct in it.

    Args:
        path: the file; its content decides between v5 and v7.3.
        key: the variable's name; dots lead into structs (by field) and cells (by index from 0), as in
            ``hsi.Lidar.0.z``.

    Returns:
        An array in MATLAB's axis order (rows, columns, ...), a dict (struct), a list (cell) or a str.

    Raises:
        InputError: if the file is damaged or lacks the key; the message names the keys that it has.
    """
    name, *fields = key.split(".")
    found = list_variables(path)
    if name not in found:
        raise InputError(f"{path}: no key '{name}', the file has {', '.join(map(repr, found)) or 'none'}")
    value = _guarded(_read_hdf5 if h5py.is_hdf5(path) else _read_v5, path, name)
    for depth, field in enumerate(fields):
        value = _descend(value, field, f"{path}: '{'.'.join([name, *fields[:depth]])}'")
    return value


def read_image(path: Path, key: str) -> NDArray:
    """Read a variable ``H x W`` or ``H x W x C`` as ``(C, H, W)``.

    Raises:
        InputError: if the file is damaged, lacks the key, or the variable is something else.
    """
    value = read_variable(path, key)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf" or value.ndim not in (2, 3):
        found = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        raise InputError(f"{path}: key '{key}' holds {found}, expected real numbers, H x W or H x W x C")
    return value[None] if value.ndim == 2 else value.transpose(2, 0, 1)


class Folder:
    """The files of one folder and the variables of its MATLAB files; each file is listed once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else []
        self.damaged: dict[Path, InputError] = {}

    @cached_property
    def variables(self) -> dict[Path, dict[str, Variable]]:
        """Variables by MATLAB file; a file that cannot be read goes to ``damaged`` with the reason."""
        listed: dict[Path, dict[str, Variable]] = {}
        for file in self.files:
            if file.suffix.lower() == ".mat":
                try:
                    listed[file] = list_variables(file)
                except InputError as error:
                    self.damaged[file] = error
        return listed

    def named(self, name: str) -> list[Path]:
        """Return the files of this name, upper and lower case alike."""
        return [file for file in self.files if file.name.lower() == name.lower()]


@dataclass(frozen=True)
class Place(ABC):
    """Where a host keeps one array.

    Attributes:
        file: the name under which hosts publish the file.
        key: the variable of a MATLAB file, else empty.
    """

    file: str
    key: str = ""

    @abstractmethod
    def search(self, folder: Folder) -> list[Path]:
        """Return the files of a folder that hold the array."""

    @abstractmethod
    def read(self, path: Path, size: tuple[int, int]) -> NDArray:
        """Read the array as ``(C, H, W)``; ``size`` is the scene's rows and columns.

        Raises:
            InputError: if the file is damaged, or holds something else.
        """

    def georeference(self, path: Path) -> dict[str, Any]:
        """Return ``crs`` and ``transform`` of ``Scene`` if the file has them."""
        return {}

    def __str__(self) -> str:
        return f"{self.file} (key {self.key})" if self.key else self.file


@dataclass(frozen=True)
class MatArray(Place):
    """A variable of a MATLAB file, ``H x W`` or ``H x W x C``; any file with the key will do.

    Attributes:
        named: True if several files share the key; then the file's name must be ``file`` as well.
    """

    named: bool = False

    def search(self, folder: Folder) -> list[Path]:
        """Return the MATLAB files with the key (a struct if the key leads into one, else an array)."""
        name, *fields = self.key.split(".")
        return [
            path
            for path, variables in folder.variables.items()
            if name in variables
            and (variables[name].kind == "struct") == bool(fields)
            and (not self.named or path.name.lower() == self.file.lower())
        ]

    def read(self, path: Path, size: tuple[int, int]) -> NDArray:
        """Read the variable and move its bands to the front."""
        return read_image(path, self.key)


@dataclass(frozen=True)
class Located:
    """An array that was found: its place, and the file that holds it."""

    place: Place
    path: Path

    def __str__(self) -> str:
        return f"{self.path}: key '{self.place.key}'" if self.place.key else str(self.path)

    def read(self, bands: int, size: tuple[int, int]) -> NDArray:
        """Read the array as ``(C, H, W)`` and check its shape.

        Raises:
            InputError: if the file is damaged, or the array has another size than the scene.
        """
        data = self.place.read(self.path, size)
        if data.shape != (bands, *size):
            raise InputError(
                f"{self} is {extent(*data.shape)}, expected {extent(bands, *size)} (rows x columns x bands)"
            )
        return data


def locate(folder: Folder, places: Sequence[Place]) -> Located | None:
    """Find an array in the first of the places that a file of the folder satisfies; None if none does.

    Raises:
        InputError: if several files hold the key and none has the published name.
    """
    for place in places:
        paths = place.search(folder)
        paths = [path for path in paths if path.name.lower() == place.file.lower()] or paths
        if len(paths) > 1:
            raise InputError(
                f"{folder.path}: {place} may be {' or '.join(path.name for path in paths)}; keep one of them"
            )
        if paths:
            return Located(place, paths[0])
    return None


def explain_absence(folder: Folder, places: Sequence[Place]) -> None:
    """Raise InputError if a file that should hold the array is there, but damaged or without the key."""
    for place in places:
        for path in folder.named(place.file):
            if path in folder.damaged:
                raise folder.damaged[path]
            if path in folder.variables:
                keys = ", ".join(
                    f"'{name}' ({' x '.join(map(str, variable.shape))} {variable.kind})"
                    for name, variable in folder.variables[path].items()
                )
                raise InputError(f"{path}: expected {place}, the file has {keys or 'no variables'}")
    for error in folder.damaged.values():
        raise error


def extent(bands: int, rows: int, columns: int) -> str:
    """Write an array's size as MATLAB users read it, rows first."""
    return f"{rows} x {columns}" + (f" x {bands}" if bands > 1 else "")


def _guarded(read: Callable[..., Result], path: str | Path, *arguments: str) -> Result:
    """Call a reader and turn its errors on a damaged file into one sentence."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        return read(path, *arguments)
    except Exception as error:  # both libraries raise a dozen unrelated types on damaged bytes
        raise InputError(
            f"{path}: not a readable MATLAB file, it may be cut short or damaged "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}); "
            "fetch it again"
        ) from error


def _descend(value: Any, field: str, where: str) -> Any:
    if isinstance(value, list) and field.isdigit() and int(field) < len(value):
        return value[int(field)]
    if isinstance(value, dict) and field in value:
        return value[field]
    if isinstance(value, list):
        raise InputError(f"{where} is a cell of {len(value)}, it has no element {field} (counted from 0)")
    if isinstance(value, dict):
        raise InputError(f"{where} has no field '{field}', it has {', '.join(map(repr, value)) or 'none'}")
    raise InputError(f"{where} is not a struct, so it has no field '{field}'")


def _list_v5(path: str | Path) -> dict[str, Variable]:
    return {
        name: Variable(tuple(shape), kind) for name, shape, kind in scipy.io.whosmat(path, appendmat=False)
    }


def _read_v5(path: str | Path, name: str) -> Any:
    variables = scipy.io.loadmat(path, appendmat=False, variable_names=[name], struct_as_record=False)
    return _simplified(variables[name])


def _simplified(value: Any) -> Any:
    """Turn scipy's object arrays into dicts and lists; a struct array of one element becomes that struct."""
    if isinstance(value, mat_struct):
        return {field: _simplified(getattr(value, field)) for field in value._fieldnames}
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "OU":
        return value
    if value.dtype.kind == "U":
        return str(value.item()) if value.size == 1 else "".join(value.ravel())
    elements = [_simplified(element) for element in value.ravel(order="F")]
    is_struct = value.size == 1 and isinstance(value.item(), mat_struct)
    return elements[0] if is_struct else elements


def _list_hdf5(path: str | Path) -> dict[str, Variable]:
    with h5py.File(path, "r") as file:
        return {
            name: Variable((1, 1), "struct")
            if isinstance(node, h5py.Group)
            else Variable(node.shape[::-1], _matlab_class(node))
            for name, node in file.items()
            if not name.startswith("#")  # #refs# and #subsystem# hold what cells point to
        }


def _matlab_class(node: h5py.Dataset) -> str:
    kind = node.attrs.get("MATLAB_class", node.dtype.name)  # absent if h5py wrote the file
    return kind.decode() if isinstance(kind, bytes) else str(kind)


def _read_hdf5(path: str | Path, name: str) -> Any:
    with h5py.File(path, "r") as file:
        return _converted(file[name], file)


def _converted(node: h5py.Group | h5py.Dataset, file: h5py.File) -> Any:
    if isinstance(node, h5py.Group):
        return {field: _converted(child, file) for field, child in node.items()}
    if "MATLAB_empty" in node.attrs:
        return np.zeros(node[()].astype(int))  # for an empty array the file stores its shape
    value = node[()]
    if node.dtype == h5py.ref_dtype:
        return [_converted(file[reference], file) for reference in value.ravel()]  # column by column
    if _matlab_class(node) == "char":
        return "".join(map(chr, value.ravel()))
    return value.T
