"""Reads the tensors of a TorchScript archive without running anything of it.

An archive (``torch.jit.save``) is a zip with the modules' attributes as a pickle, ``data.pkl``, the bytes of
the tensors, ``data/<key>``, and the modules' code, which is not looked at. The pickle can name only what is
listed here: inert stand-ins for modules, storages and lists.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from m3amba_zoo.errors import InputError
from m3amba_zoo.reading import library_errors

ATTRIBUTES = "data.pkl"
CODE = "constants.pkl"
DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
LISTS = ("build_intlist", "build_tensorlist", "build_doublelist", "build_boollist", "restore_type_tag")


def is_torchscript(archive: zipfile.ZipFile) -> bool:
    """Return whether an archive has the parts that only TorchScript's have: constants or code."""
    parts = {part for name in archive.namelist() for part in name.split("/")[1:]}
    return CODE in parts or "code" in parts


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """Return an archive's parameters and buffers by their names in the module.

    Raises:
        InputError: if the archive is cut short or damaged, or its pickle names anything but tensors, modules
            and plain values.
    """
    with library_errors(path, "cut short or damaged, or not a TorchScript archive"):
        with zipfile.ZipFile(path) as archive:
            root = next((name for name in archive.namelist() if name.rpartition("/")[2] == ATTRIBUTES), "")
            unpickler = _Unpickler(archive, root.removesuffix(ATTRIBUTES))
            try:
                module = unpickler.load()
            except (
                TypeError,
                LookupError,
                AttributeError,
            ) as error:  # of pickle, written in C, which has no frame
                raise pickle.UnpicklingError(str(error)) from error
        return dict(_tensors(module, "", set()))


class _Module:
    """Stands for any class of the archive's own code."""

    attributes: Any = None

    def __setstate__(self, state: Any) -> None:
        self.attributes = state


class _Unpickler(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(io.BytesIO(_record(archive, folder + ATTRIBUTES)))
        self.archive, self.folder = archive, folder
        self.storages: dict[str, Tensor] = {}
        # made anew for each file: what a pickle may set on them ends with it
        self.module = type("Module", (_Module,), {})
        self.rebuild, self.first = lambda *a: _rebuilt(a), lambda *a: _first(a)

    def find_class(self, module: str, name: str) -> Any:
        if module == "__torch__" or module.startswith("__torch__."):
            return self.module
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self.rebuild
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        if (module, name) == ("torch._utils", "_rebuild_parameter") or (
            module == "torch.jit._pickle" and name in LISTS
        ):
            return self.first
        raise InputError(
            f"{self.archive.filename}: a TorchScript archive whose pickle names {module}.{name}, expected "
            "tensors, modules and plain values only"
        )

    def persistent_load(self, pid: Any) -> Tensor:
        _, dtype, key, _, count = pid
        if not isinstance(dtype, torch.dtype) or not isinstance(count, int):
            raise ValueError(f"storage {key} is of type {dtype}")
        if key not in self.storages:
            data = _record(self.archive, f"{self.folder}data/{key}")
            if len(data) != count * dtype.itemsize:
                raise ValueError(f"storage {key} has {len(data)} bytes")
            self.storages[key] = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
        return self.storages[key]


def _record(archive: zipfile.ZipFile, name: str) -> bytearray:
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED:  # torch stores them as they are
        raise ValueError(f"{name} is compressed")
    return bytearray(archive.read(info))  # which compares the checksum


def _first(arguments: tuple[Any, ...]) -> Any:
    if not arguments:
        raise ValueError("a list or parameter without a value")
    return arguments[0]


def _rebuilt(arguments: tuple[Any, ...]) -> Tensor:
    """Return a tensor of a storage, offset, size and stride, with the values in a storage that holds all."""
    if len(arguments) < 4 or not isinstance(arguments[0], Tensor) or not isinstance(arguments[1], int):
        raise ValueError("a tensor without a storage")
    storage, offset, size, stride = arguments[:4]
    if not all(isinstance(part, tuple) and all(isinstance(n, int) for n in part) for part in (size, stride)):
        raise ValueError("a tensor without a size")
    if math.prod(size) > storage.numel():
        raise ValueError(f"a tensor {size} of {storage.numel()} numbers")
    return storage.as_strided(size, stride, offset)


def _tensors(module: Any, name: str, seen: set[int]) -> Iterator[tuple[str, Tensor]]:
    if isinstance(module, Tensor):
        yield name, module
    elif isinstance(module, _Module) and isinstance(module.attributes, dict) and id(module) not in seen:
        seen.add(id(module))
        for attribute, value in module.attributes.items():
            yield from _tensors(value, f"{name}.{attribute}" if name else attribute, seen)
