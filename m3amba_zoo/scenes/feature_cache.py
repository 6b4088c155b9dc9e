"""Features of frozen encoders, computed once and kept on disk.

``<cache>/features/<digits>.npy`` holds the features of a scene, ``(F, H, W)``; the digits are the hash of all
that decides them. The folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock
from mmengine.logging import print_log
from numpy.typing import NDArray
from rasterio.windows import Window

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.encoded import Encoded
from m3amba_zoo.system import CACHE_VARIABLE, cache_root, whole_file

VERSION = 1  # of how features are computed
FOLDER, DIGITS = "features", 32
ROWS_AT_ONCE = 16


class KeptFeatures(NamedTuple):
    """Features on disk.

    Attributes:
        data: ``(F, H, W)``, mapped into memory.
        path: of the file.
        computed: whether they were computed now.
    """

    data: NDArray
    path: Path
    computed: bool


def kept_features(store: Encoded, key: Mapping[str, Any], what: str) -> KeptFeatures:
    """Return a scene's features from the cache; they are computed where they are not there.

    Of several processes that want them at the same time, one computes them.

    Args:
        store: computes them.
        key: all that decides them, as JSON values.
        what: words for them, for a line that says that they are computed now.

    Raises:
        InputError: if the cache cannot be written, or a raster cannot be read.
    """
    text = json.dumps({"version": VERSION, **key}, sort_keys=True)
    digits = hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
    path = cache_root() / FOLDER / f"{digits}.npy"
    if (data := _read(path, store)) is not None:
        return KeptFeatures(data, path, computed=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            computed = _read(path, store) is None
            if computed:
                print_log(f"{what} are computed now and kept in {path.parent}", "current", logging.WARNING)
                _write(path, store)
    except OSError as error:
        raise InputError(
            f"{path.parent}: the cache cannot be written ({error.strerror or error}); ${CACHE_VARIABLE} can "
            "name another folder"
        ) from error
    data = _read(path, store)
    assert data is not None, f"{path} was written"
    return KeptFeatures(data, path, computed)


def _read(path: Path, store: Encoded) -> NDArray | None:
    """Map a file into memory; None if it is absent, cut short or of another shape."""
    try:
        data = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    expected = (store.count, *store.shape)
    return data if data.shape == expected and data.dtype == store.dtype else None


def _write(path: Path, store: Encoded) -> None:
    (height, width), bands = store.shape, range(store.count)
    with whole_file(path) as aside:
        data = np.lib.format.open_memmap(aside, "w+", store.dtype, (store.count, height, width))
        for top in range(0, height, ROWS_AT_ONCE):
            rows = min(ROWS_AT_ONCE, height - top)
            data[:, top : top + rows] = store.read(bands, Window(0, top, width, rows)).values
        data.flush()
        del data
