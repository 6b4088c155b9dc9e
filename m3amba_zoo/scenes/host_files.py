"""Files as the hosts of published scenes offer them: where each array may lie, and how it is found."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.matlab import Variable, list_variables, read_image


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
