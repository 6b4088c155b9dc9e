"""MATLAB files of every version and the arrays in them.

scipy reads MATLAB v4 to v7, h5py reads v7.3 (which is HDF5). Both give the same Python values: numeric arrays
in MATLAB's axis order and the file's dtype, structs as dicts, cells as lists, text as str. HDF5 stores the
axes of a MATLAB array reversed; they are put back.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import scipy.io
from numpy.typing import NDArray
from scipy.io.matlab import mat_struct

from m3amba_zoo.errors import InputError
from m3amba_zoo.memory import require_memory
from m3amba_zoo.rasters.hdf5 import check_array, open_checked
from m3amba_zoo.rasters.matlab5 import check_elements, check_parts
from m3amba_zoo.reading import library_errors

UNREADABLE = "not a readable MATLAB file, it may be cut short or damaged"
AGAIN = "fetch it again"


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
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file")
    with library_errors(path, UNREADABLE, AGAIN):
        return _list_hdf5(path) if h5py.is_hdf5(path) else _list_v5(path)


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
    with library_errors(path, UNREADABLE, AGAIN):
        value = _read_hdf5(path, name) if h5py.is_hdf5(path) else _read_v5(path, name)
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
        found = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else _in_words(value, key)
        raise InputError(f"{path}: key '{key}' holds {found}, expected real numbers, H x W or H x W x C")
    return value[None] if value.ndim == 2 else value.transpose(2, 0, 1)


def _in_words(value: Any, key: str) -> str:
    """Say what a variable is that is no array."""
    if isinstance(value, dict):
        return f"a struct of {', '.join(f'{key}.{field}' for field in value) or 'no field'}"
    if isinstance(value, list):
        return f"a cell of {len(value)} ({key}.0, ...)"
    return "a text" if isinstance(value, str) else type(value).__name__.replace("_", " ")


def is_by_matlab(path: str | Path, key: str) -> bool:
    """Tell whether MATLAB has written a variable, or a program that writes as it does."""
    if not h5py.is_hdf5(path):
        return True
    with library_errors(path, UNREADABLE, AGAIN), open_checked(path) as file:
        node = file.get(key.partition(".")[0])
        return node is None or not isinstance(node, h5py.Dataset) or "MATLAB_class" in node.attrs


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
    check_elements(path)
    return {
        name: Variable(tuple(shape), kind) for name, shape, kind in scipy.io.whosmat(path, appendmat=False)
    }


def _read_v5(path: str | Path, name: str) -> Any:
    check_elements(path, name)
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
    with open_checked(path) as file:
        return {
            str(name): Variable((1, 1), "struct")
            if isinstance(node := _known(file, name), h5py.Group)
            else Variable(node.shape[::-1], _matlab_class(node))
            for name in file
            if not str(name).startswith("#")  # #refs# and #subsystem# hold what cells point to
        }


def _known(group: h5py.Group, name: Any) -> h5py.Group | h5py.Dataset:
    """Return what a name or reference leads to; raise OSError if it is no group and no array."""
    node = group[name]
    if not isinstance(node, h5py.Group) and not (isinstance(node, h5py.Dataset) and node.shape is not None):
        raise OSError(f"'{name}' is no array")
    if isinstance(node, h5py.Dataset):
        check_array(node)
    return node


def _matlab_class(node: h5py.Dataset) -> str:
    kind = node.attrs.get("MATLAB_class", node.dtype.name)  # absent if h5py wrote the file
    return kind.decode("latin-1") if isinstance(kind, bytes) else str(kind)


def _read_hdf5(path: str | Path, name: str) -> Any:
    with open_checked(path) as file:
        return _Conversion(file, path).value(_known(file, name))


class _Conversion:
    """Turns what lies in a file into Python values, and counts: cells may lead to one thing many times."""

    def __init__(self, file: h5py.File, path: str | Path) -> None:
        self._file, self._path, self._parts, self._bytes = file, path, 0, 0

    def value(self, node: h5py.Group | h5py.Dataset) -> Any:
        """Return the value of an array, a struct or a cell."""
        if isinstance(node, h5py.Group):
            self._take(len(node), 0)
            return {str(field): self.value(_known(node, field)) for field in node}
        is_cell = node.dtype == h5py.ref_dtype
        self._take(node.size if is_cell else 1, node.size * node.dtype.itemsize)
        value = np.asarray(node[()])
        if "MATLAB_empty" in node.attrs:
            self._take(1, 8 * math.prod(map(int, value.ravel())))
            return np.zeros(value.astype(int))  # for an empty array the file stores its shape
        if is_cell:
            return [self.value(_known(self._file, reference)) for reference in value.ravel()]  # by columns
        if _matlab_class(node) == "char" and value.dtype.kind in "iu":
            return "".join(map(chr, value.ravel().tolist()))
        return value.T

    def _take(self, parts: int, size: int) -> None:
        """Raise InputError if the parts of cells and structs, or their bytes, are too many."""
        self._parts, self._bytes = self._parts + parts, self._bytes + size
        check_parts(self._path, self._parts)
        require_memory(self._path, self._bytes, f"{self._parts:,} arrays")
