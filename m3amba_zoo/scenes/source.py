"""What every data source is: a name, where its files lie, and how they become scenes."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from m3amba_zoo.scenes.scene import LandClass, Scene

DATA_ROOT_VARIABLE = "M3AMBA_DATA"


def data_roots() -> list[Path]:
    """Return the folders searched for data, in order: ``$M3AMBA_DATA``, else ``data``, ``../shared/data``."""
    named = os.environ.get(DATA_ROOT_VARIABLE)
    return [Path(named)] if named else [Path("data"), Path("..", "shared", "data")]


class Source(ABC):
    """A source of scenes, registered in ``SOURCES`` and built from a config.

    Attributes:
        folder: the folder below a data root that holds the files (empty where none are read).
        classes: the class table, in label order.
        simulated: whether the pixels are simulated; each scene's name then carries the word.
        title: what results call the data; empty for the name that the source is registered under.
    """

    folder: ClassVar[str] = ""
    classes: tuple[LandClass, ...] = ()
    simulated: bool = False
    title: str = ""

    def __init__(self, root: str | Path | None = None) -> None:
        """Remember where the files lie.

        Args:
            root: the folder with the files itself; None searches ``data_roots()`` for ``folder``.
        """
        self._root = None if root is None else Path(root)

    @property
    def root(self) -> Path:
        """The folder with the files: the one given, else the first that exists, else where they belong."""
        if self._root is not None:
            return self._root
        candidates = [base / self.folder for base in data_roots()]
        return next((path for path in candidates if path.is_dir()), candidates[0])

    @abstractmethod
    def load(self, rasters: bool = True) -> list[Scene]:
        """Read the scenes.

        Args:
            rasters: False reads labels and official masks only (``Scene.rasters`` is then empty), which
                is all that making and auditing splits needs.

        Raises:
            DataNotFoundError: files are absent.
            InputError: a file is damaged or does not fit the others.
        """

    def channels(self) -> dict[str, int]:
        """Return the number of bands by modality, of the rasters that ``load`` reads and in their order.

        Configs ask for it, so a source that knows the answer gives it without its files. This default loads
        the scenes and counts.
        """
        return {modality: len(raster.data) for modality, raster in self.load()[0].rasters.items()}

    def num_classes(self) -> int:
        """Return the number of classes K; like ``channels``, without files where they are not needed."""
        return len(self.load(rasters=False)[0].classes)
