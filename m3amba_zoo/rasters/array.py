"""Arrays in memory as stores of pixels: numpy arrays, and MATLAB and NumPy files, which are read whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.bands import Bands
from m3amba_zoo.rasters.matlab import list_variables, read_image
from m3amba_zoo.rasters.request import RasterRequest

ARRAY_FILES = (".mat", ".npy")


class ArrayStore:
    """Bands in memory; see ``GeoFile`` for what a store is.

    Args:
        data: ``(C, H, W)``.
        mask: True where values are missing, ``(C, H, W)`` or ``(1, H, W)``, or None.
    """

    crs = transform = None
    alpha: tuple[int, ...] = ()
    bands = Bands()

    def __init__(self, data: NDArray, mask: NDArray[np.bool_] | None = None) -> None:
        self._data, self._mask = data, mask
        self.count, self.dtype = len(data), data.dtype
        self.shape = (data.shape[1], data.shape[2])
        self.has_mask = mask is not None
        self.nodata: tuple[float | None, ...] = (None,) * self.count
        self.scales, self.offsets = np.ones(self.count), np.zeros(self.count)

    def close(self) -> None:
        """Do nothing."""

    def read(self, bands: Sequence[int], first: int, last: int) -> NDArray:
        """Return rows ``first .. last - 1`` of some bands; a view if they are all in order."""
        if list(bands) == list(range(self.count)):
            return self._data[:, first:last]
        return self._data[list(bands), first:last]

    def missing(self, bands: Sequence[int], first: int, last: int) -> NDArray[np.bool_] | None:
        """Return the mask's rows ``first .. last - 1``."""
        if self._mask is None or len(self._mask) == 1:
            return self._mask if self._mask is None else self._mask[:, first:last]
        return self._mask[list(bands), first:last]

    def block_bytes(self, rows: int) -> int:
        """Return 0: nothing is read from a disk."""
        return 0


def read_array_file(request: RasterRequest) -> NDArray:
    """Read a variable of a MATLAB file, or a NumPy file, as ``(C, H, W)``.

    Raises:
        InputError: if the file is absent or damaged, or holds something else.
    """
    path = Path(request.path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; a MATLAB or NumPy file is expected")
    if path.suffix.lower() == ".mat":
        return read_image(path, request.key or _only_image(path))
    try:
        data = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a readable NumPy file, it may be cut short or damaged") from error
    if not isinstance(data, np.ndarray) or data.ndim not in (2, 3) or data.dtype.kind not in "biuf":
        found = f"{data.dtype} {data.shape}" if isinstance(data, np.ndarray) else "several arrays"
        raise InputError(f"{path}: holds {found}; real numbers (bands, rows, columns) are expected")
    return data[None] if data.ndim == 2 else data


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
