"""The entries of a manifest: mappings with checked keys and values, and the raster files they describe."""

from __future__ import annotations

import os
import re
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m3amba_zoo.errors import InputError, close_names
from m3amba_zoo.rasters.coordinates import parse_axes
from m3amba_zoo.rasters.crs import read_crs
from m3amba_zoo.rasters.grid import Grid, difference, require_same_grid
from m3amba_zoo.rasters.matching import KnownBands, take_bands
from m3amba_zoo.rasters.matlab import list_variables
from m3amba_zoo.rasters.opened import OpenRaster
from m3amba_zoo.rasters.opening import GeoRaster, log_remarks, open_raster
from m3amba_zoo.rasters.request import ALIGN, ALPHA, GDAL_NAME, RasterRequest, parse_bands, stack

if TYPE_CHECKING:
    from typing_extensions import Self

FILE_KEYS = ("path", "key", "bands", "nodata", "scale", "offset", "alpha", "align", "axes", "crs")
MODALITY_KEYS = (*FILE_KEYS, "paths", "unit", "wavelengths")
LABEL_REMEDY = (
    "align: nearest beside the labels' path (--align-labels for new scene): each pixel gets the label under "
    "its centre"
)
FLAGS = {"yes": True, "on": True, "no": False, "off": False}
"""What else YAML 1.1 takes for true and false."""
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?|[-+]?(nan|inf)", re.IGNORECASE)
LABEL_KEYS = ("path", "key", "unlabelled", "align")


class Section:
    """One mapping of a YAML file. All methods raise InputError if a key or value is not as they say.

    Attributes:
        where: the file and the path to the mapping in it; messages begin with it.
        keys: those that are allowed.
        values: the mapping, without the keys whose value is null.
    """

    def __init__(self, where: str, value: Any, keys: Sequence[str], required: Sequence[str] = ()) -> None:
        """Check that ``value`` is a mapping with the ``required`` and no other than the allowed ``keys``."""
        self.where, self.keys = where, tuple(keys)
        if not isinstance(value, dict):
            raise InputError(
                f"{where} is {reprlib.repr(value)}; a mapping with the keys {', '.join(keys)} is expected"
            )
        for key in value:
            if key not in keys:
                hint = close_names(str(key), keys) or f"known: {', '.join(keys)}"
                raise InputError(f"{where}: unknown key '{key}'; {hint}")
        self.values = {key: entry for key, entry in value.items() if entry is not None}
        for key in required:
            if key not in self.values:
                raise InputError(f"{where}: the key '{key}' is missing; expected are {', '.join(required)}")

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def text(self, key: str) -> str:
        """Return a text; empty only if the key is absent."""
        value = self.values.get(key, "")
        if not isinstance(value, str) or (key in self and not value):
            raise self.refusal(
                key, "a text" if isinstance(value, str | list | dict) else "a text, in quotes,"
            )
        return value

    def flag(self, key: str) -> bool:
        """Return true or false; false if the key is absent."""
        value = self.values.get(key, False)
        value = FLAGS.get(value, value) if isinstance(value, str) else value
        if not isinstance(value, bool):
            raise self.refusal(key, "true or false")
        return value

    def number(self, key: str) -> float | None:
        """Return a number, None if the key is absent."""
        if key not in self:
            return None
        number = _number(self.values[key])
        if number is None:
            raise self.refusal(key, "a number")
        return number

    def numbers(self, key: str) -> tuple[float, ...] | None:
        """Return one or more numbers, None if the key is absent."""
        if key not in self:
            return None
        value = self.values[key]
        numbers = [_number(entry) for entry in value] if isinstance(value, list) else [None]
        if not numbers or None in numbers:
            raise self.refusal(key, "a list of numbers")
        return tuple(number for number in numbers if number is not None)

    def number_or_numbers(self, key: str) -> float | tuple[float, ...] | None:
        """Return a number, a list of numbers as a tuple, or None if the key is absent."""
        return self.numbers(key) if isinstance(self.values.get(key), list) else self.number(key)

    def choice(self, key: str, choices: Sequence[str]) -> str | None:
        """Return one of some texts, None if the key is absent."""
        value = self.text(key) or None
        if value not in (None, *choices):
            raise self.refusal(key, " or ".join(choices))
        return value

    def entries(self, key: str) -> list[Any]:
        """Return a list; empty only if the key is absent."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or (key in self and not value):
            raise self.refusal(key, "a list")
        return value

    def scalars(self, key: str) -> list[float | str]:
        """Return a list of numbers and texts; empty only if the key is absent."""
        value = self.entries(key)
        if not all(_number(entry) is not None or isinstance(entry, str) for entry in value):
            raise self.refusal(key, "a list of numbers or texts")
        return value

    def file(self, key: str, folder: Path) -> Path:
        """Return the path of an existing file (or file geodatabase); a relative one starts at ``folder``."""
        path = folder / self.text(key)
        if not (os.path.isfile(path) or (path.suffix.lower() == ".gdb" and os.path.isdir(path))):
            raise InputError(
                f"{self.where}: '{key}' is '{self.values[key]}', but there is no file {path}; the path of a "
                "file is expected, relative to the folder of the YAML file"
            )
        return path

    def raster(self, key: str, folder: Path) -> str:
        """Return the path of an existing file, or a name of GDAL's own for a raster that is no file."""
        text = self.text(key)
        if GDAL_NAME.match(text) and not os.path.exists(folder / text):
            return text
        return str(self.file(key, folder))

    def refusal(self, key: str, expected: str) -> InputError:
        """Make the error on a value."""
        return InputError(
            f"{self.where}: '{key}' is {reprlib.repr(self.values[key])}; {expected} is expected"
        )


@dataclass(frozen=True)
class RasterEntry:
    """What a manifest says of a raster file; see ``Manifest`` for the keys.

    Attributes:
        where: the manifest and the path to the entry in it, for messages.
        request: the file and what is stated of it.
        unlabelled: values of a label raster or mask that mean no class, or None if the manifest lists none.
    """

    where: str
    request: RasterRequest
    unlabelled: tuple[float, ...] | None = None

    @classmethod
    def parse(cls, where: str, value: Any, folder: Path, keys: tuple[str, ...]) -> Self:
        """Check an entry of a manifest; ``keys`` are the allowed ones, relative paths start at ``folder``.

        Raises:
            InputError: if a key or value is wrong, or the file is absent.
        """
        section = Section(where, value, keys, () if "paths" in keys else ("path",))
        if "path" in section and "paths" in section:
            raise InputError(f"{where} has both 'path' and 'paths'; one of them is expected")
        if not ("path" in section or "paths" in section):
            raise InputError(f"{where}: the key 'path' is missing; a file, or a list of 'paths', is expected")
        parts = tuple(
            _read_part(f"{where}, file {number}", part, folder)
            for number, part in enumerate(section.entries("paths"), start=1)
        )
        request = replace(
            _read_request(section, folder),
            unit=section.text("unit"),
            wavelengths=section.numbers("wavelengths"),
        )
        if parts:
            request = replace(request, path=stack(parts).path, parts=parts)
        return cls(where, request, section.numbers("unlabelled"))

    @property
    def path(self) -> str:
        """The file, or several with commas."""
        return self.request.path

    @property
    def is_matlab(self) -> bool:
        """Whether it is a MATLAB file, which has no georeference."""
        return all(path.lower().endswith(".mat") for path in self.request.files)

    def open(self, like: KnownBands | None = None) -> OpenRaster:
        """Open the file; the manifest's values replace the file's own.

        Args:
            like: the bands of the first scene, which the others must have, too.

        Raises:
            InputError: if the file is damaged, or has other bands than the manifest says or ``like`` has.
        """
        opened = open_raster(self.request, expected=None if like is None else like.count)
        try:
            if like is not None:
                take_bands(opened, like, "the first scene's")
        except BaseException:
            opened.close()
            raise
        return opened

    def read(self, grid: Grid | None = None, scene: str = "") -> GeoRaster:
        """Read the file, see ``open``; on a grid if one is given.

        Raises:
            InputError: if it lies on another grid and does not state ``align``.
        """
        with self.open() as opened:
            if grid is not None and difference(grid, opened.grid):
                if opened.stated.align is None:
                    require_same_grid(scene, grid, opened.grid, LABEL_REMEDY)
                else:
                    opened.align(grid, opened.stated.align)
            log_remarks([opened])
            return GeoRaster(opened.read(), opened.grid)

    def count_bands(self) -> int:
        """Return how many bands ``read`` keeps, from the file's header if it tells.

        Raises:
            InputError: if the file is damaged, or holds something else.
        """
        if self.request.bands is not None:
            return len(self.request.bands)
        if self.request.key and self.is_matlab:
            listed = list_variables(self.path)
            if self.request.key in listed:
                return (*listed[self.request.key].shape, 1)[2]  # H x W x C, or H x W
        with open_raster(self.request) as opened:
            return len(opened.header.data)


def _read_request(section: Section, folder: Path) -> RasterRequest:
    """Read what a mapping states of one file, or of several under ``paths``."""
    where, is_label = section.where, "unlabelled" in section.keys
    align = section.choice("align", ALIGN)
    if is_label and align not in (None, "nearest"):
        raise section.refusal("align", "nearest, as labels are never interpolated,")
    return RasterRequest(
        path=section.raster("path", folder) if "path" in section else "",
        key=section.text("key"),
        bands=parse_bands(section.entries("bands"), f"{where}: 'bands'") or None,
        nodata=section.number_or_numbers("nodata"),
        scale=section.number("scale"),
        offset=section.number("offset"),
        alpha="data" if is_label else section.choice("alpha", ALPHA),
        align=align,
        crs=read_crs(f"{where}: 'crs'", section.values["crs"]) if "crs" in section else None,
        axes=parse_axes(section.values["axes"], f"{where}: 'axes'") if "axes" in section else None,
        where=where,
    )


def _read_part(where: str, value: Any, folder: Path) -> RasterRequest:
    """Read an entry of ``paths``: a path, or a mapping with keys of its own."""
    entry = {"path": value} if isinstance(value, str) else value
    return _read_request(Section(where, entry, FILE_KEYS, ("path",)), folder)


def _number(value: Any) -> float | None:
    """Return a number of a YAML file, None for anything else.

    YAML 1.1 takes ``-1e34`` (without a dot) and ``nan`` for texts.
    """
    if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        return float(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
