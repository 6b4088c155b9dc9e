"""Arrays in memory as stores of pixels: numpy arrays, and MATLAB and NumPy files, which are read whole."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray
from rasterio.windows import Window

from m3amba_zoo.errors import InputError
from m3amba_zoo.numpy_files import check_arrays
from m3amba_zoo.rasters.axes import put_in_order
from m3amba_zoo.rasters.bands import Bands
from m3amba_zoo.rasters.matlab import is_by_matlab, list_variables, read_image
from m3amba_zoo.rasters.request import RasterRequest
from m3amba_zoo.rasters.store import Pixels, Store
from m3amba_zoo.reading import library_errors

ARRAY_FILES = (".mat", ".npy", ".npz")


class ArrayStore(Store):
    """Bands in memory.

    Args:
        data: ``(C, H, W)``: a numpy array, or one that turns into it where it is sliced, as dask's do.
        mask: True where values are missing, ``(C, H, W)`` or ``(1, H, W)``, or None.
        bands: what is known of them.
    """

    def __init__(self, data: Any, mask: NDArray[np.bool_] | None = None, bands: Bands | None = None) -> None:
        super().__init__(len(data), (data.shape[1], data.shape[2]), data.dtype)
        self._data, self._mask = data, mask
        self.has_mask, self.held = mask is not None, isinstance(data, np.ndarray)
        self.bands = bands or Bands()

    def read(self, bands: Sequence[int], window: Window) -> Pixels:
        """Read a window; a view if the bands are all in order."""
        at = (slice(None), *window.toslices())
        values, mask = self._data[at], None if self._mask is None else self._mask[at]
        if list(bands) != list(range(self.count)):
            values = values[list(bands)]
            mask = mask if mask is None or len(mask) == 1 else mask[list(bands)]
        return Pixels(np.asarray(values), mask)

    def fingerprint(self) -> str:
        """Return a hash of pixels and mask; of pixels that are yet to be computed, what never recurs."""
        if self.files:
            return ""
        if not isinstance(self._data, np.ndarray):
            return uuid.uuid4().hex
        digest = hashlib.sha256(np.ascontiguousarray(self._data).tobytes())
        if self._mask is not None:
            digest.update(np.packbits(self._mask).tobytes())
        return digest.hexdigest()


def read_array_file(request: RasterRequest) -> NDArray:
    """Read a variable of a MATLAB file, or a NumPy file, as ``(C, H, W)``.

    Raises:
        InputError: if the file is absent or damaged, holds something else, or more than the memory that is
            free.
    """
    path = Path(request.path)
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file; a MATLAB or NumPy file is expected")
    if path.suffix.lower() == ".mat":
        data = read_image(path, request.key or _only_image(path))
        if request.axes and len(data) > 1:  # those of the variable, H x W x C, as MATLAB shows it
            return put_in_order(data.transpose(1, 2, 0), request.axes)
        return data
    with library_errors(path, "not a readable NumPy file of numbers, it may be cut short or damaged"):
        with path.open("rb") as file:
            check_arrays(file, path, request.key)
        data = np.load(path, allow_pickle=False)
        if isinstance(data, NpzFile):
            data = _of_archive(path, data, request.key)
    if not isinstance(data, np.ndarray):
        raise InputError(f"{path}: holds no array; real numbers (bands, rows, columns) are expected")
    if data.ndim not in (2, 3) or data.dtype.kind not in "biuf":
        raise InputError(
            f"{path}: holds {data.dtype} {data.shape}; real numbers (bands, rows, columns) are expected"
        )
    if data.ndim == 2:
        return data[None]
    return put_in_order(data, request.axes) if request.axes else data


def order_is_guessed(request: RasterRequest) -> str:
    """Say that a MATLAB file's order of axes is not sure, because MATLAB has not written it; else empty."""
    path = Path(request.path)
    if request.axes or path.suffix.lower() != ".mat" or is_by_matlab(path, request.key or _only_image(path)):
        return ""
    return (
        "was not written by MATLAB, which reverses the order of axes in HDF5 files; it is read as if it was "
        "('axes' states another order)"
    )


def _of_archive(path: Path, archive: NpzFile, key: str) -> NDArray:
    """Return an array of an .npz file: the one of this name, or the only one."""
    with archive:
        if key in archive or (len(archive) == 1 and not key):
            return archive[key or archive.files[0]]
        found = f"no array '{key}'" if key else f"{len(archive)} arrays"
        raise InputError(
            f"{path}: has {found}; expected the key of one, as in {path.name}:{next(iter(archive), 'NAME')}; "
            f"it holds {', '.join(archive) or 'none'}"
        )


def _only_image(path: Path) -> str:
    """Return the one variable of a MATLAB file that can be an image."""
    found = list_variables(path)
    numeric = {n: v.shape for n, v in found.items() if v.kind not in ("struct", "cell", "char")}
    images = [name for name, shape in numeric.items() if len(shape) in (2, 3) and min(shape[:2]) > 1]
    if len(images) == 1:
        return images[0]
    listed = ", ".join(f"'{n}' ({' x '.join(map(str, v.shape))} {v.kind})" for n, v in found.items())
    raise InputError(
        f"{path}: is a MATLAB file, so the variable's key is expected, as in "
        f"{path.name}:{next(iter(images or found), 'NAME')}; it holds {listed or 'none'}"
    )
