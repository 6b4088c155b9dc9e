"""The source ``encoded``: the scenes of another source, with the features of a frozen encoder as a raster.

Features are computed once: ``<cache>/features/<digits>.npy`` holds those of a scene, ``(F, H, W)``; the
digits are the hash of all that decides them. The folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from filelock import FileLock
from mmengine.logging import print_log
from numpy.typing import NDArray
from rasterio.windows import Window

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.encoded import Encoded
from m3amba_zoo.rasters.grid import Grid
from m3amba_zoo.rasters.matching import KnownBands
from m3amba_zoo.rasters.opening import open_raster
from m3amba_zoo.rasters.raster import Raster
from m3amba_zoo.rasters.request import RasterRequest
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.encoding import ENCODED, Recipe, hexadecimal
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.scenes.source import EncodedBands, Source
from m3amba_zoo.system import CACHE_VARIABLE, cache_root, whole_file

VERSION = 1  # of how features are computed
FOLDER, DIGITS = "features", 32
ROWS_AT_ONCE = 16


@SOURCES.register_module(name=ENCODED)
class EncodedSource(Source):
    """The scenes of another source, each with one more raster: a frozen encoder's features of its pixels.

    So every model gets the features in the same way, as one more modality. They are computed once and kept
    in the cache; ``Predictor`` makes them of the rasters that it is given.

    Args:
        source: config of the other source.
        **recipe: options of ``Recipe``: encoder, name, window, stride, of, names, units, metres, dtype.

    Raises:
        InputError: if an option is out of range, or the other source has a modality of this name.
    """

    def __init__(self, source: Mapping[str, Any], **recipe: Any) -> None:
        self.inner: Source = SOURCES.build(dict(source))
        super().__init__()
        try:
            self.recipe = Recipe(**recipe)
        except TypeError as error:
            raise InputError(f"source '{ENCODED}': {error}; expected options of Recipe") from error
        self.title = self.inner.title or str(source["type"])
        self.simulated, self.classes = self.inner.simulated, self.inner.classes
        self._encoded: dict[str, EncodedBands] = {}

    def load(self, rasters: bool = True) -> list[Scene]:
        """Read the scenes and add the features, from the cache where they are there; see ``Source.load``.

        Raises:
            InputError: as the other source's ``load``; or if the encoder cannot be built, lacks bands, or
                gets values in another unit; or the cache cannot be written.
        """
        scenes = self.inner.load(rasters)
        self.classes = self.inner.classes
        if not rasters:
            return scenes
        encoder = self.recipe.build_encoder().to("cuda" if torch.cuda.is_available() else "cpu")
        return [self._with_features(scene, encoder) for scene in scenes]

    def channels(self) -> dict[str, int]:
        """Count the other source's bands, and the features."""
        channels = self.inner.channels()
        self._check_name(channels)
        return {**channels, self.recipe.name: self.recipe.feature_dim()}

    def requests(self) -> dict[str, RasterRequest]:
        """Return those of the other source."""
        return self.inner.requests()

    def encoded(self) -> dict[str, EncodedBands]:
        """Say by which encoder the features are made, and of what; known after ``load``."""
        return dict(self._encoded)

    def num_classes(self) -> int:
        """Return that of the other source."""
        return self.inner.num_classes()

    def _with_features(self, scene: Scene, encoder: Any) -> Scene:
        name, known = self.recipe.name, {m: KnownBands.of(raster) for m, raster in scene.rasters.items()}
        self._check_name(scene.rasters)
        began = time.perf_counter()
        with ExitStack() as stack:
            opened = {m: stack.enter_context(open_raster(raster, m)) for m, raster in scene.rasters.items()}
            place = Grid(scene.shape, scene.crs, scene.transform, scene.name)
            store = self.recipe.open(opened, known, encoder, place)
            what = f"features '{name}' of scene '{scene.name}'"
            kept = kept_features(store, self.recipe.key(store, encoder, place), what)
        self._encoded[name] = EncodedBands(hexadecimal(encoder), store.read_from, self.recipe.window - 1)
        how = f"computed in {time.perf_counter() - began:.0f} s and kept" if kept.computed else "read"
        print_log(
            f"{what}, {store.count} of {', '.join(store.read_from)}: {how} ({kept.path})",
            "current",
        )
        raster = Raster(kept.data, path=f"{encoder.description} on {', '.join(store.read_from)}")
        return replace(scene, rasters={**scene.rasters, name: raster})

    def _check_name(self, others: Mapping[str, Any]) -> None:
        if self.recipe.name in others:
            raise InputError(
                f"source '{ENCODED}': name is '{self.recipe.name}', but the scenes of '{self.title}' have "
                f"{', '.join(others)}; another name is expected"
            )


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
