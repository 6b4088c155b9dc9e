"""The source ``encoded``: the scenes of another source, with the features of a frozen encoder as a raster."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch
from mmengine.logging import print_log

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.grid import Grid
from m3amba_zoo.rasters.matching import KnownBands
from m3amba_zoo.rasters.opening import open_raster
from m3amba_zoo.rasters.raster import Raster
from m3amba_zoo.rasters.request import RasterRequest
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.encoding import ENCODED, Recipe, hexadecimal
from m3amba_zoo.scenes.feature_cache import kept_features
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.scenes.source import EncodedBands, Source


@SOURCES.register_module(name=ENCODED)
class EncodedSource(Source):
    """The scenes of another source, each with one more raster: a frozen encoder's features of its pixels.

    So every model gets the features in the same way, as one more modality. They are computed once and kept
    in the cache (``feature_cache.py``); ``Predictor`` makes them of the rasters that it is given.

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
