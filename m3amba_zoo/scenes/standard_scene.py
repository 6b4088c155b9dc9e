"""What the published scenes share: finding their arrays, checking them and joining them to one scene.

The module of each scene is only a table: where hosts keep each array, its size, the classes and their counts.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import DataNotFoundError, InputError
from m3amba_zoo.rasters import Raster
from m3amba_zoo.rasters.matlab import Variable, list_variables, read_image
from m3amba_zoo.scenes.scene import UNLABELLED, Scene
from m3amba_zoo.scenes.simulation import SensorSpec
from m3amba_zoo.scenes.source import DATA_ROOT_VARIABLE, Source

MARKER = "SIMULATED.json"
"""A file of this name says that its folder holds a simulated stand-in."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Modality:
    """One raster of a standard scene.

    Attributes:
        bands: number of bands.
        dtype: as in the hosts' files if known; a stand-in is written with it.
        places: where hosts keep it, a ``MatArray`` first; a stand-in is written to that one.
        sensor: simulates it for a stand-in.
        unit: what one unit is, see ``Raster``.
        wavelengths: centres of the bands in nm, or empty if the hosts' files do not tell.
        optional: True if it is read on request only.
    """

    bands: int
    dtype: str
    places: tuple[Place, ...]
    sensor: SensorSpec
    unit: str = ""
    wavelengths: tuple[float, ...] = ()
    optional: bool = False


class StandardScene(Source):
    """A published scene with one label map, read from the files as their hosts publish them.

    Attributes:
        name: of the source and its scene.
        host: who publishes the data and on what terms, for the message on absent files.
        size: rows and columns.
        modalities: every raster of the scene, by name.
        train: places of the training mask (labels there, 0 elsewhere), a ``MatArray`` first.
        test: places of the test mask, a ``MatArray`` first.
        whole: places of one map of all labelled pixels, if a host publishes it.
        train_counts: pixels of each class in the training mask (without a standard split: in a stand-in's).
        test_counts: pixels of each class in the test mask.
        unlabelled: values of a mask that mean no label.
        official_split: whether the masks are a standard split of the field.
    """

    name: ClassVar[str]
    host: ClassVar[str]
    size: ClassVar[tuple[int, int]]
    modalities: Mapping[str, Modality]
    train: ClassVar[tuple[Place, ...]] = ()
    test: ClassVar[tuple[Place, ...]] = ()
    whole: ClassVar[tuple[Place, ...]] = ()
    train_counts: ClassVar[Sequence[int]]
    test_counts: ClassVar[Sequence[int]]
    unlabelled: ClassVar[tuple[int, ...]] = (UNLABELLED,)
    official_split: ClassVar[bool] = True

    def __init__(
        self,
        root: str | Path | None = None,
        modalities: Iterable[str] | None = None,
        bands: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        """Choose the folder and the rasters.

        Args:
            root: the folder with the files; None searches ``data_roots()`` for ``folder``.
            modalities: the rasters to read; None reads all but the optional ones.
            bands: the bands to keep, counted from 0, by modality; a modality not named keeps all.

        Raises:
            InputError: if the scene has no such modality or band.
        """
        super().__init__(root)
        if modalities is None:
            modalities = [name for name, modality in self.modalities.items() if not modality.optional]
        self.wanted = list(modalities)
        self.bands = dict(bands or {})
        for name in [*self.wanted, *self.bands]:
            if name not in self.modalities:
                raise InputError(f"{self.name} has no modality '{name}', it has {', '.join(self.modalities)}")
        for name, kept in self.bands.items():
            if not kept or not set(kept) <= set(range(self.modalities[name].bands)):
                raise InputError(
                    f"{self.name}: bands {list(kept)} of '{name}', expected some of "
                    f"0..{self.modalities[name].bands - 1}"
                )

    @property
    def simulated(self) -> bool:  # type: ignore[override]  # a folder's content can change between calls
        """Whether the folder holds a stand-in written by ``m3amba simulate``."""
        return (self.root / MARKER).is_file()

    def load(self, rasters: bool = True) -> list[Scene]:
        """Read the scene; see ``Source.load``."""
        folder = Folder(self.root)
        found = {name: locate(folder, self.modalities[name].places) for name in self.wanted if rasters}
        masks = {part: locate(folder, getattr(self, part)) for part in ("train", "test", "whole")}
        self._check_presence(folder, found, masks)
        labels, official = self._labels(**masks)
        georeference: dict[str, Any] = {}
        read = {}
        for name, located in found.items():
            assert located is not None  # else _check_presence has raised
            read[name] = self._raster(name, located)
            georeference = georeference or located.place.georeference(located.path)
        return [
            Scene(
                name=f"simulated_{self.name}" if self.simulated else self.name,
                rasters=read,
                labels=labels,
                classes=self.classes,
                official=official if self.official_split else None,
                **georeference,
            )
        ]

    def channels(self) -> dict[str, int]:
        """Count the bands that ``load`` keeps, without the files."""
        return {name: len(self.bands.get(name, range(self.modalities[name].bands))) for name in self.wanted}

    def _check_presence(
        self, folder: Folder, rasters: Mapping[str, Located | None], masks: Mapping[str, Located | None]
    ) -> None:
        """Raise one error for all that is missing: what, of which size, where to get it, where to put it."""
        missing = {name: self.modalities[name] for name, located in rasters.items() if located is None}
        wants = {
            f"'{name}'": (modality.places, extent(modality.bands, *self.size))
            for name, modality in missing.items()
        }
        if masks["whole"] is None and (masks["train"] is None or masks["test"] is None):
            for part in ("train", "test") if self.official_split else ("whole",):
                if masks[part] is None:
                    wants[f"the {part} mask"] = (getattr(self, part), extent(1, *self.size))
        if not wants:
            return
        for places, _ in wants.values():
            explain_absence(folder, places)
        expected = "; ".join(
            f"{what} as {' or '.join(map(str, places))}, {size}" for what, (places, size) in wants.items()
        )
        raise DataNotFoundError(
            f"{self.name}: {folder.path} lacks {' and '.join(wants)}; fetch the data from {self.host}, put "
            f"into {self.destination}: {expected}; or write a simulated stand-in of the same layout and size "
            f"with `m3amba simulate {self.name} --to DIR` and set {DATA_ROOT_VARIABLE}=DIR"
        )

    def _raster(self, name: str, located: Located) -> Raster:
        modality = self.modalities[name]
        data = located.read(modality.bands, self.size)
        wavelengths = np.array(modality.wavelengths) if modality.wavelengths else None
        if name in self.bands:
            kept = list(self.bands[name])
            data = data[kept]
            wavelengths = None if wavelengths is None else wavelengths[kept]
        raster = Raster(data, wavelengths=wavelengths, unit=modality.unit, path=str(located))
        raster.check_finite(name)
        return raster

    def _labels(
        self, train: Located | None, test: Located | None, whole: Located | None
    ) -> tuple[NDArray[np.uint8], dict[str, NDArray[np.bool_]] | None]:
        """Join the masks to one label map ``(H, W)`` and the official masks (None without a split)."""
        if train is None and whole is not None:
            return self._mask(whole), None
        assert train is not None
        training = self._mask(train)
        if test is not None:
            testing = self._mask(test)
            self._refuse(f"{train} and {test}", (training > 0) & (testing > 0), "are in both masks")
        else:  # the pixels that do not train are the test mask
            assert whole is not None
            everything = self._mask(whole)
            self._refuse(f"{train} and {whole}", (training > 0) & (training != everything), "differ in label")
            testing = np.where(training > 0, np.uint8(UNLABELLED), everything)
        self._compare("train", training, self.train_counts)
        self._compare("test", testing, self.test_counts)
        return np.maximum(training, testing), {"train": training > 0, "test": testing > 0}

    def _mask(self, located: Located) -> NDArray[np.uint8]:
        """Read a mask as labels ``(H, W)``, 0 where unlabelled."""
        mask = located.read(1, self.size)[0]
        foreign = ~np.isin(mask, [*self.unlabelled, *range(1, len(self.classes) + 1)])
        if foreign.any():
            row, column = np.argwhere(foreign)[0]
            raise InputError(
                f"{located} holds the label {mask[row, column]:g} at row {row}, column {column}, expected "
                f"{', '.join(map(str, self.unlabelled))} (unlabelled) or 1..{len(self.classes)}, the classes "
                f"of {self.name}"
            )
        return np.where(mask > 0, mask, UNLABELLED).astype(np.uint8)

    @staticmethod
    def _refuse(where: str, wrong: NDArray[np.bool_], complaint: str) -> None:
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise InputError(
                f"{where}: {int(wrong.sum())} pixels {complaint} (the first at row {row}, column {column}); "
                "expected masks that share no pixel and agree"
            )

    def _compare(self, part: str, labels: NDArray[np.uint8], published: Sequence[int]) -> None:
        """Warn if a mask differs from the one that published numbers refer to."""
        counts = np.bincount(labels.ravel(), minlength=len(self.classes) + 1)[1:]
        if self.official_split and counts.tolist() != list(published):
            logger.warning(
                "%s: the %s mask holds %d pixels, by class %s; the published one %d, %s: results on it "
                "cannot be compared with published ones",
                *(self.name, part, counts.sum(), counts.tolist(), sum(published), list(published)),
            )


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
