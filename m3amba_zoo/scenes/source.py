"""What every data source is: a name, a folder with files, and a way to make scenes of them."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, NamedTuple

from m3amba_zoo.errors import DataNotFoundError
from m3amba_zoo.rasters.request import RasterRequest
from m3amba_zoo.scenes.scene import LandClass, Scene

DATA_ROOT_VARIABLE = "M3AMBA_DATA"


def data_roots() -> list[Path]:
    """Return the folders searched for data, in order: ``$M3AMBA_DATA``, else ``data``, ``../shared/data``."""
    named = os.environ.get(DATA_ROOT_VARIABLE)
    return [Path(named)] if named else [Path("data"), Path("..", "shared", "data")]


class EncodedBands(NamedTuple):
    """What is known of a modality whose bands are a frozen encoder's features.

    Attributes:
        fingerprint: of the encoder, hexadecimal.
        read_from: the modalities that it reads.
        reach: how many pixels away those may lie that a pixel's features are made of.
    """

    fingerprint: str
    read_from: tuple[str, ...]
    reach: int


class Source(ABC):
    """A source of scenes, registered in ``SOURCES`` and built from a config.

    Attributes:
        folder: the folder below a data root that holds the files; empty if the source reads none.
        classes: the class table, in label order; some sources know it only after ``load``.
        simulated: whether the pixels are simulated; the name of each scene then says so.
        title: what results call the data; if empty, the name under which the source is registered.
    """

    folder: ClassVar[str] = ""
    classes: tuple[LandClass, ...] = ()
    simulated: bool = False
    title: str = ""

    def __init__(self, root: str | Path | None = None) -> None:
        """Remember where the files are.

        Args:
            root: the folder with the files; None searches ``data_roots()`` for ``folder``.
        """
        self._root = None if root is None else Path(root)

    @property
    def root(self) -> Path:
        """The given folder, else the first ``folder`` that exists, else where it is expected."""
        if self._root is not None:
            return self._root
        candidates = [base / self.folder for base in data_roots()]
        return next((path for path in candidates if path.is_dir()), candidates[0])

    @property
    def destination(self) -> str:
        """Where the files belong, in words, for a message on absent files."""
        searched = f"the folder {self.folder} under ${DATA_ROOT_VARIABLE} (else data or ../shared/data)"
        return searched if self._root is None else str(self._root)

    def require_files(self, paths: Iterable[Path], fetch: str) -> None:
        """Raise DataNotFoundError if a file is absent; ``fetch`` tells what to fetch and from where."""
        missing = [path for path in paths if not os.path.isfile(path)]
        if missing:
            more = f" and {len(missing) - 1} more files" if len(missing) > 1 else ""
            raise DataNotFoundError(
                f"{self.folder}: {missing[0]}{more} not found; fetch {fetch} into "
                f"{self.destination}; or use the source 'simulated', which needs no files"
            )

    @abstractmethod
    def load(self, rasters: bool = True) -> list[Scene]:
        """Read the scenes.

        Args:
            rasters: False reads only labels and official masks and leaves ``Scene.rasters`` empty. That is
                enough to make and audit splits.

        Raises:
            DataNotFoundError: if files are absent.
            InputError: if a file is damaged or does not fit the others.
        """

    def channels(self) -> dict[str, int]:
        """Return the number of bands by modality, of the rasters that ``load`` reads and in their order.

        Configs must be readable where the data is not, so a source that knows the answer gives it without
        its files. This default loads the scenes and counts.
        """
        return {modality: len(raster.data) for modality, raster in self.load()[0].rasters.items()}

    def requests(self) -> dict[str, RasterRequest]:
        """Return what is stated of the rasters' files beyond what they say themselves, by modality.

        It is part of what a model knows: prediction reads a user's files in the same way.
        """
        return {}

    def encoded(self) -> dict[str, EncodedBands]:
        """Return the modalities whose bands are a frozen encoder's features; known after ``load``."""
        return {}

    def num_classes(self) -> int:
        """Return the number of classes: of the class table, else of the labels, which are loaded for it."""
        return len(self.classes or self.load(rasters=False)[0].classes)
