"""The entries of a manifest: mappings with checked keys and values, and the raster files they describe."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.georaster import GeoRaster, count_bands, read_georaster
from m3amba_zoo.scenes.host_files import list_variables, read_image
from m3amba_zoo.scenes.scene import Raster

MODALITY_KEYS = ("path", "key", "bands", "nodata", "unit", "wavelengths")
LABEL_KEYS = ("path", "key", "unlabelled")
BAND_RANGE = re.compile(r"(\d+)-(\d+)")


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file.

    Raises:
        InputError: if the file is absent or not YAML; the message names the line.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            return yaml.safe_load(file)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); a YAML file is expected") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(f"{path}{line}: not YAML ({reason})") from error


class Section:
    """One mapping of a YAML file. All methods raise InputError if a key or value is not as they say.

    Attributes:
        where: the file and the path to the mapping in it; messages begin with it.
        values: the mapping, without the keys whose value is null.
    """

    def __init__(self, where: str, value: Any, keys: Sequence[str], required: Sequence[str] = ()) -> None:
        """Check that ``value`` is a mapping with the ``required`` and no other than the allowed ``keys``."""
        self.where = where
        if not isinstance(value, dict):
            raise InputError(
                f"{where} is {reprlib.repr(value)}; a mapping with the keys {', '.join(keys)} is expected"
            )
        for key in value:
            if key not in keys:
                close = difflib.get_close_matches(str(key), keys, n=1)
                hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(keys)}"
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
            raise self.refusal(key, "a text")
        return value

    def flag(self, key: str) -> bool:
        """Return true or false; false if the key is absent."""
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            raise self.refusal(key, "true or false")
        return value

    def number(self, key: str) -> float | None:
        """Return a number, None if the key is absent."""
        value = self.values.get(key)
        if value is not None and not _is_number(value):
            raise self.refusal(key, "a number")
        return value

    def numbers(self, key: str) -> tuple[float, ...] | None:
        """Return one or more numbers, None if the key is absent."""
        value = self.values.get(key)
        if value is not None and not (isinstance(value, list) and value and all(map(_is_number, value))):
            raise self.refusal(key, "a list of numbers")
        return None if value is None else tuple(value)

    def entries(self, key: str) -> list[Any]:
        """Return a list; empty only if the key is absent."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or (key in self and not value):
            raise self.refusal(key, "a list")
        return value

    def scalars(self, key: str) -> list[float | str]:
        """Return a list of numbers and texts; empty only if the key is absent."""
        value = self.entries(key)
        if not all(_is_number(entry) or isinstance(entry, str) for entry in value):
            raise self.refusal(key, "a list of numbers or texts")
        return value

    def file(self, key: str, folder: Path) -> Path:
        """Return the path of an existing file (or file geodatabase); a relative one starts at ``folder``."""
        path = folder / self.text(key)
        if not (path.is_file() or (path.suffix.lower() == ".gdb" and path.is_dir())):
            raise InputError(
                f"{self.where}: '{key}' is '{self.values[key]}', but there is no file {path}; the path of a "
                "file is expected, relative to the folder of the YAML file"
            )
        return path

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
        path: the file.
        key: the variable of a MATLAB file, else empty.
        bands: those to keep, counted from 0, or None for all.
        nodata: replaces the file's own, unless None.
        unit: what one unit is, see ``Raster``.
        wavelengths: replace the file's own, one per band of the file, in nm, unless None.
        unlabelled: values of a label raster or mask that mean no class, or None if the manifest lists none.
    """

    where: str
    path: Path
    key: str = ""
    bands: tuple[int, ...] | None = None
    nodata: float | None = None
    unit: str = ""
    wavelengths: tuple[float, ...] | None = None
    unlabelled: tuple[float, ...] | None = None

    @classmethod
    def parse(cls, where: str, value: Any, folder: Path, keys: tuple[str, ...]) -> RasterEntry:
        """Check an entry of a manifest; ``keys`` are the allowed ones, relative paths start at ``folder``.

        Raises:
            InputError: if a key or value is wrong, or the file is absent.
        """
        section = Section(where, value, keys, ("path",))
        path = section.file("path", folder)
        if path.suffix.lower() == ".mat" and "key" not in section:
            raise InputError(
                f"{where}: {path.name} is a MATLAB file, so 'key' is expected, the variable's name"
            )
        if path.suffix.lower() != ".mat" and "key" in section:
            raise section.refusal("key", f"{path.name} is not a MATLAB file, so no variable")
        return cls(
            where=where,
            path=path,
            key=section.text("key"),
            bands=_bands(section),
            nodata=section.number("nodata"),
            unit=section.text("unit"),
            wavelengths=section.numbers("wavelengths"),
            unlabelled=section.numbers("unlabelled"),
        )

    def read(self) -> GeoRaster:
        """Read the file; the manifest's values replace the file's own.

        Raises:
            InputError: if the file is damaged, or has other bands than the manifest says.
        """
        if self.key:
            read = GeoRaster(Raster(read_image(self.path, self.key), path=str(self.path)), None, None)
        else:
            read = read_georaster(self.path)
        raster, count, wavelengths = read.raster, len(read.raster.data), read.raster.wavelengths
        if self.wavelengths is not None:
            if len(self.wavelengths) != count:
                raise InputError(
                    f"{self.where}: 'wavelengths' has {len(self.wavelengths)} numbers, but {self.path} has "
                    f"{count} bands; one per band of the file is expected"
                )
            wavelengths = np.array(self.wavelengths, np.float64)
        kept = list(range(count) if self.bands is None else self.bands)
        if max(kept) >= count:
            raise InputError(
                f"{self.where}: 'bands' has {max(kept)}, but {self.path} has {count} bands; numbers from 0 "
                f"to {count - 1} are expected"
            )
        selected = Raster(
            data=raster.data if self.bands is None else raster.data[kept],
            bands=tuple(raster.bands[band] for band in kept) if raster.bands else (),
            wavelengths=None if wavelengths is None else wavelengths[kept],
            nodata=raster.nodata if self.nodata is None else self.nodata,
            unit=self.unit,
            path=raster.path,
        )
        return read._replace(raster=selected)

    def count_bands(self) -> int:
        """Return how many bands ``read`` keeps, from the file's header if it tells.

        Raises:
            InputError: if the file is damaged, or holds something else.
        """
        if self.bands is not None:
            return len(self.bands)
        if not self.key:
            return count_bands(self.path)
        listed = list_variables(self.path)
        if self.key in listed:
            return (*listed[self.key].shape, 1)[2]  # H x W x C, or H x W
        return len(self.read().raster.data)  # a struct's field: its shape is not listed

    def read_one_band(self) -> GeoRaster:
        """Read a label raster or mask.

        Raises:
            InputError: if the file is damaged or has several bands.
        """
        read = self.read()
        if len(read.raster.data) != 1:
            raise InputError(
                f"{self.where}: {self.path} has {len(read.raster.data)} bands; one is expected, with a "
                "number for each class (not a picture in colours)"
            )
        return read


def _bands(section: Section) -> tuple[int, ...] | None:
    """Return the bands to keep, None for all."""
    kept: list[int] = []
    for entry in section.entries("bands"):
        ends = BAND_RANGE.fullmatch(entry) if isinstance(entry, str) else None
        span = range(int(ends[1]), int(ends[2]) + 1) if ends else [entry]
        if not span or not all(type(band) is int and band >= 0 for band in span):
            raise section.refusal("bands", "a list of band numbers from 0 and of ranges such as 0-107")
        kept += span
    return tuple(kept) or None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
