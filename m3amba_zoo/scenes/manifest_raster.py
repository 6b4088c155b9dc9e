"""One raster file of a manifest: as a modality, as labels or as a mask."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.georaster import GeoRaster, count_bands, read_georaster
from m3amba_zoo.scenes.manifest_section import Section
from m3amba_zoo.scenes.matlab import list_variables, read_variable
from m3amba_zoo.scenes.scene import UNLABELLED, Raster

MODALITY_KEYS = ("path", "key", "bands", "nodata", "unit", "wavelengths")
LABEL_KEYS = ("path", "key", "unlabelled")
BAND_RANGE = re.compile(r"(\d+)-(\d+)")


@dataclass(frozen=True)
class RasterEntry:
    """What a manifest says of a raster file; see ``Manifest`` for the keys.

    Attributes:
        where: the manifest and the way to the entry, for messages.
        path: the file.
        key: the variable of a MATLAB file, else empty.
        bands: those to keep, counted from 0, or None for all.
        nodata: in place of the file's own, or None.
        unit: what one unit is, see ``Raster``.
        wavelengths: in place of the file's own, one a band of the file, in nm, or None.
        unlabelled: values of a label raster or mask that mean nothing.
    """

    where: str
    path: Path
    key: str = ""
    bands: tuple[int, ...] | None = None
    nodata: float | None = None
    unit: str = ""
    wavelengths: tuple[float, ...] | None = None
    unlabelled: tuple[float, ...] = (UNLABELLED,)

    @classmethod
    def parse(cls, where: str, value: Any, folder: Path, keys: tuple[str, ...]) -> RasterEntry:
        """Check an entry of a manifest.

        Args:
            where: the manifest and the way to the entry.
            value: what the manifest has there.
            folder: the manifest's, at which relative paths start.
            keys: those that may be there.

        Raises:
            InputError: a key or value is wrong, or there is no such file.
        """
        section = Section(where, value, keys, ("path",))
        path = section.file("path", folder)
        if path.suffix.lower() == ".mat" and "key" not in section:
            raise InputError(
                f"{where}: {path.name} is a MATLAB file, so 'key' is expected, the variable's name"
            )
        if path.suffix.lower() != ".mat" and "key" in section:
            raise section.refusal("key", f"no variable of {path.name}, which is no MATLAB file,")
        wavelengths, unlabelled = section.numbers("wavelengths"), section.numbers("unlabelled")
        return cls(
            where=where,
            path=path,
            key=section.text("key"),
            bands=_bands(section),
            nodata=section.number("nodata"),
            unit=section.text("unit"),
            wavelengths=None if wavelengths is None else tuple(wavelengths),
            unlabelled=(UNLABELLED,) if unlabelled is None else tuple(unlabelled),
        )

    def read(self) -> GeoRaster:
        """Read the file, with what the manifest says in place of the file's own.

        Raises:
            InputError: the file is damaged, or has other bands than the manifest says.
        """
        read = self._read_matlab() if self.key else read_georaster(self.path)
        raster = read.raster
        count = len(raster.data)
        wavelengths = raster.wavelengths
        if self.wavelengths is not None:
            if len(self.wavelengths) != count:
                raise InputError(
                    f"{self.where}: 'wavelengths' has {len(self.wavelengths)} numbers, but {self.path} has "
                    f"{count} bands; one a band of the file is expected"
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
        """Return how many bands ``read`` keeps, from the file's header where it can tell.

        Raises:
            InputError: the file is damaged, or holds something else.
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
            InputError: the file is damaged or has several bands.
        """
        read = self.read()
        if len(read.raster.data) != 1:
            raise InputError(f"{self.where}: {self.path} has {len(read.raster.data)} bands; one is expected")
        return read

    def labels(self, raster: Raster, numbers: Mapping[Any, int]) -> NDArray[np.uint8]:
        """Turn a label raster's values into labels ``(H, W)``.

        Args:
            raster: this file's only band.
            numbers: the label of each value.

        Raises:
            InputError: a value belongs to no class and is not ``unlabelled``, nodata or NaN.
        """
        present, inverse = np.unique(raster.data[0], return_inverse=True)
        labels = np.zeros(len(present), np.uint8)
        for index, value in enumerate(present.tolist()):
            if value in numbers:
                labels[index] = numbers[value]
            elif not self._is_unlabelled(value, raster):
                raise InputError(
                    f"{self.where}: {self.path} has the value {value:g} in {int((inverse == index).sum())} "
                    f"pixels, but the values of the classes are {', '.join(map(str, numbers))} and those of "
                    f"'unlabelled' {', '.join(map(str, self.unlabelled))}"
                )
        return labels[inverse].reshape(raster.shape)

    def mask(self, raster: Raster) -> NDArray[np.bool_]:
        """Mark the pixels ``(H, W)`` whose value is not ``unlabelled``, nodata or NaN; see ``labels``."""
        present, inverse = np.unique(raster.data[0], return_inverse=True)
        marked = np.array([not self._is_unlabelled(value, raster) for value in present.tolist()])
        return marked[inverse].reshape(raster.shape)

    def _is_unlabelled(self, value: float, raster: Raster) -> bool:
        return value in self.unlabelled or value == raster.nodata or value != value

    def _read_matlab(self) -> GeoRaster:
        value = read_variable(self.path, self.key)
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf" or value.ndim not in (2, 3):
            found = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
            raise InputError(
                f"{self.where}: '{self.key}' of {self.path} is {found}; real numbers, H x W or H x W x C, "
                "are expected"
            )
        data = value[None] if value.ndim == 2 else value.transpose(2, 0, 1)
        return GeoRaster(Raster(data, path=str(self.path)), None, None)


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
