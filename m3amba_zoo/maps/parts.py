"""A map that grows: rows of several rasters, kept on disk until all are there, so that a stopped job goes on.

Beside a map ``m.tif`` lie ``m.tif.part`` (its rows so far, ENVI with lines of all bands), and the same of the
other rasters; ``m.tif.part.json`` says what they are of, and how many rows are safe.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.locks import NamedLock
from m3amba_zoo.maps.geotiff import convert
from m3amba_zoo.maps.products import MAP, Product
from m3amba_zoo.system import whole_file

SECONDS_AT_RISK = 5.0
"""How long finished rows may wait before they are made safe, which asks the disk to be done with them."""
SMALLEST = 2
"""Bytes of the shortest file that GDAL takes for a raster; the map of a single pixel is shorter."""
ENVI_TYPES = {"uint8": 1, "float32": 4}
PART, STATE, LOCK = ".part", ".part.json", ".part.lock"


def has_parts(path: str | Path) -> bool:
    """Tell whether a map was begun of which finished rows are kept."""
    return Path(f"{path}{STATE}").is_file()


class Parts:
    """The unfinished files of a job; a context that closes them. Finished rows are kept if it was stopped.

    Args:
        paths: of the finished files, by product.
        products: by name; ``map`` is among them.
        shape: rows and columns.
        key: what decides the pixels: parts of another key are thrown away.

    Attributes:
        rows: how many rows from the top are there already.

    Raises:
        InputError: if a file cannot be written, or another process writes this map.
    """

    def __init__(
        self, paths: Mapping[str, Path], products: Mapping[str, Product], shape: tuple[int, int], key: str
    ) -> None:
        self.paths, self.products, self.shape, self._key = dict(paths), products, shape, key
        self._state = Path(f"{paths[MAP]}{STATE}")
        self._lock = NamedLock(f"{paths[MAP]}{LOCK}", paths[MAP])
        self._lock.acquire()
        self.rows = self._safe_rows()
        self._safe_at = time.monotonic()
        self._files = {}
        try:
            for name, path in self._part_paths().items():
                self._files[name] = path.open("r+b" if self.rows and path.exists() else "w+b")
                self._write_header(path, products[name])
            self._save_state()
        except OSError as error:
            self.close()
            raise InputError(f"{paths[MAP]}: cannot be written ({error.strerror or error})") from error

    def __enter__(self) -> Parts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is not None and self.rows:
                self._make_safe()
            elif kind is not None:  # there is nothing to go on with
                self._remove()
        finally:
            self.close()

    def close(self) -> None:
        """Close the files, and let other processes write this map."""
        for file in self._files.values():
            file.close()
        self._files = {}
        self._lock.release()

    def add(self, bands: Mapping[str, NDArray]) -> None:
        """Add the next rows, ``(C, h, W)`` by product.

        Raises:
            InputError: if they cannot be written.
        """
        height = 0
        try:
            for name, values in bands.items():
                height = values.shape[1]
                file, product = self._files[name], self.products[name]
                row_bytes = len(product.layout.bands) * self.shape[1] * np.dtype(product.dtype).itemsize
                file.seek(self.rows * row_bytes)
                file.write(values.astype(product.dtype, copy=False).transpose(1, 0, 2).tobytes())
        except OSError as error:
            raise InputError(
                f"{self.paths[MAP]}: cannot be written ({error.strerror or error}); once it can, the same "
                "command goes on where this one stopped"
            ) from error
        self.rows += height
        if time.monotonic() - self._safe_at > SECONDS_AT_RISK:
            self._make_safe()

    def class_map(self) -> NDArray[np.uint8]:
        """Return the rows of the class map so far, read from the disk when they are used."""
        self._files[MAP].flush()
        return np.memmap(self._part_paths()[MAP], np.uint8, "r", shape=(self.rows, self.shape[1]))

    def finish(self) -> None:
        """Write the finished files, the map last, and delete the parts.

        Raises:
            InputError: if a file cannot be written; the parts stay then.
        """
        for file in self._files.values():
            if file.seek(0, os.SEEK_END) < SMALLEST:
                file.write(b"\0")
        self._make_safe()
        parts = self._part_paths()
        for name in sorted(parts, key=lambda name: name == MAP):
            convert(parts[name], self.paths[name], self.products[name].layout)
        self._remove()

    def _remove(self) -> None:
        """Delete the parts and what is said of them."""
        self._state.unlink(missing_ok=True)
        for path in self._part_paths().values():
            for suffix in ("", ".hdr", ".aux.xml"):
                Path(f"{path}{suffix}").unlink(missing_ok=True)

    def _part_paths(self) -> dict[str, Path]:
        return {name: Path(f"{self.paths[name]}{PART}") for name in self.products}

    def _safe_rows(self) -> int:
        """Return how many rows are safe; 0 if they are of another job, or what is said is damaged."""
        try:
            found = json.loads(self._state.read_text(encoding="utf-8"))
            rows, is_this_job = int(found["rows"]), found["key"] == self._key
        except (OSError, ValueError, KeyError, TypeError):
            return 0
        complete = all(path.is_file() for path in self._part_paths().values())
        return rows if is_this_job and complete and 0 <= rows <= self.shape[0] else 0

    def _make_safe(self) -> None:
        """Write the rows so far to the disk, and then that they are there."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        self._save_state()
        self._safe_at = time.monotonic()

    def _save_state(self) -> None:
        with whole_file(self._state) as aside:
            aside.write_text(json.dumps({"key": self._key, "rows": self.rows}))

    def _write_header(self, path: Path, product: Product) -> None:
        """Write the header with which GDAL reads a part."""
        (rows, columns), bands = self.shape, len(product.layout.bands)
        Path(f"{path}.hdr").write_text(
            f"ENVI\nsamples = {columns}\nlines = {rows}\nbands = {bands}\nheader offset = 0\n"
            f"file type = ENVI Standard\ndata type = {ENVI_TYPES[product.dtype]}\ninterleave = bil\n"
            f"byte order = 0\n"
        )
