"""From open rasters to finished rows of a map: windows are read, classified and stitched row by row."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from m3amba_zoo.datasets.windows import Window, WindowGrid
from m3amba_zoo.evaluation.scene_metric import SceneLogits
from m3amba_zoo.memory import is_out_of_memory
from m3amba_zoo.models.window_classifier import WindowClassifier
from m3amba_zoo.rasters import Raster
from m3amba_zoo.rasters.grid import Grid
from m3amba_zoo.rasters.opening import OpenRaster
from m3amba_zoo.scenes.scene import LandClass
from m3amba_zoo.system import one_thread_per_operation

# windows at once: on a CPU more than 4 gained nothing (docs/performance.md); on GPUs not measured
WINDOWS_AT_ONCE = {"cpu": 4, "cuda": 64}
SMALLEST_CACHE = 2**20  # bytes; GDAL takes a number below 100 000 for megabytes
LARGEST_CACHE = 2**29  # bytes, for files whose blocks are very large


class Strip(NamedTuple):
    """Finished rows of a map.

    Attributes:
        top: the first row.
        class_map: ``(h, W)`` uint8, 1..K; 0 where no raster has a value, or a needed one has none.
        logits: ``(K, h, W)`` float32, averaged over windows; NaN where nothing was predicted.
    """

    top: int
    class_map: NDArray[np.uint8]
    logits: NDArray[np.float32]

    def probabilities(self) -> NDArray[np.float32]:
        """Return the classes' probabilities ``(K, h, W)``; 0 where ``class_map`` is 0."""
        shares = softmax(self.logits, axis=0)
        shares[:, self.class_map == 0] = 0
        return shares


class RowClassifier:
    """Classifies rows of pixels with a trained network.

    The result does not depend on where a range of rows begins or ends, nor on the number of threads, to the
    last bit: each row of windows is classified in batches of its own, and each batch by one thread.
    Operations on windows of a few hundred pixels are too small to be shared out among threads.

    Args:
        model: in evaluation mode, on its device.
        rasters: by modality, on one grid.
        window: S, the side of the square of pixels that a window gives a class.
        overlap: see ``WindowGrid``.
        batch_size: windows at once; it is halved where memory does not suffice.
        needed: rasters on that grid; pixels without a value in one of them are left empty.

    Attributes:
        grid: of the windows.
        threads: how many batches run side by side.
    """

    def __init__(
        self,
        model: WindowClassifier,
        rasters: Mapping[str, OpenRaster],
        window: int,
        overlap: float,
        batch_size: int,
        needed: Mapping[str, OpenRaster] = MappingProxyType({}),
    ) -> None:
        self.model, self.rasters, self.batch_size, self.needed = model, rasters, batch_size, needed
        shape = next(iter(rasters.values())).grid.shape
        self.grid = WindowGrid(shape, window, overlap, model.margin)
        on_cpu = all(not parameter.is_cuda for parameter in model.parameters())
        self.threads = torch.get_num_threads() if on_cpu else 1

    def classify(self, first: int = 0, last: int | None = None) -> Iterator[Strip]:
        """Yield rows ``first .. last - 1``, by default all, in strips from the top.

        Raises:
            InputError: if a file is damaged.
            RuntimeError: if memory does not suffice for a single window.
        """
        last = self.grid.shape[0] if last is None else last
        with one_thread_per_operation(), ThreadPoolExecutor(self.threads) as self._pool:
            yield from self._classify(first, last)

    def _classify(self, first: int, last: int) -> Iterator[Strip]:
        (height, width), side = self.grid.shape, self.grid.window
        tops = self.grid.rows_of_windows(first, last)
        stitched = SceneLogits(self.model.num_classes, (min(side, height), width), max(tops[0], 0))
        for row, until in zip(tops, [*tops[1:], last], strict=True):
            strips = self.grid.read_row(self.rasters, row)
            shown = self._shown(strips, row)
            windows = (
                window
                for window in self.grid.cut_row(strips, row)
                if shown[:, max(window.column, 0) : window.column + side].any()  # else nothing to classify
            )
            for window, logits in self._logits(windows):
                stitched.add(logits, window.row, window.column)
            done = stitched.take_above(min(until, last))
            if (skipped := max(first - done.top, 0)) < len(done.count):
                class_map = done.class_map() * shown[: len(done.count)]
                yield Strip(done.top + skipped, class_map[skipped:], done.mean()[:, skipped:])

    def _shown(self, strips: Mapping[str, Raster], row: int) -> NDArray[np.bool_]:
        """Return which pixels get a class, ``(h, W)``, in the scene's rows of the windows at ``row``."""
        begin = self.grid.margin + max(-row, 0)
        rows = slice(begin, begin + min(self.grid.window, self.grid.shape[0]))
        shown = np.zeros((rows.stop - rows.start, self.grid.shape[1]), bool)
        for strip in strips.values():
            shown |= ~_missing(strip.data[:, rows])
        top = max(row, 0)
        for modality, raster in self.needed.items():
            if modality in strips:
                shown &= ~_missing(strips[modality].data[:, rows])
            else:  # an encoder reads it
                shown &= ~_missing(raster.read(top, top + len(shown)).floats())
        return shown

    def _logits(self, windows: Iterator[Window]) -> Iterator[tuple[Window, NDArray[np.float32]]]:
        """Yield each window with its logits ``(K, S, S)``, in order.

        ``batch_size`` windows run at once, and a batch per thread side by side. Where memory does not suffice
        ``batch_size`` is halved, until the end of the prediction.
        """
        waiting: deque[tuple[list[Window], Future]] = deque()
        while True:
            while len(waiting) < 2 * self.threads and (batch := list(islice(windows, self.batch_size))):
                waiting.append((batch, self._pool.submit(self._forward, batch)))
            if not waiting:
                return
            batch, future = waiting.popleft()
            try:
                logits = future.result()
            except RuntimeError as error:
                if len(batch) == 1 or not is_out_of_memory(error):
                    raise
                logits = []
            if logits:
                yield from zip(batch, logits, strict=True)
            else:
                self.batch_size = min(self.batch_size, len(batch) // 2)
                torch.cuda.empty_cache()  # not in the except block: the error holds the attempt's tensors
                yield from self._logits(iter(batch))

    @torch.no_grad()
    def _forward(self, batch: list[Window]) -> list[NDArray[np.float32]]:
        inputs = {
            m: torch.from_numpy(np.stack([window.inputs[m] for window in batch]))
            for m in self.model.in_channels
        }
        return [logits.cpu().numpy() for logits in self.model.test_step({"inputs": inputs})]


def block_cache(rasters: Iterable[OpenRaster], rows: int) -> rasterio.Env:
    """Return a context in which GDAL keeps the blocks that so many adjacent rows touch, up to 512 MiB.

    By itself GDAL would fill a twentieth of the machine's memory with blocks that are read once.
    """
    needed = sum(raster.block_bytes(rows) for raster in rasters)
    return rasterio.Env(GDAL_CACHEMAX=min(max(needed, SMALLEST_CACHE), LARGEST_CACHE))


def _missing(bands: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which pixels ``(h, W)`` are NaN in all bands ``(C, h, W)``."""
    return np.logical_and.reduce(np.isnan(bands))


class OpenJob(NamedTuple):
    """What a prediction goes through with, and what its map says.

    Attributes:
        classifier: of their rows.
        place: their common grid.
        opened: those that were given, by modality.
        read: those that the model reads, by modality, features that an encoder makes among them.
        classes: the class table.
        settings: overlap and views.
        tags: for the map's file.
    """

    classifier: RowClassifier
    place: Grid
    opened: Mapping[str, OpenRaster]
    read: Mapping[str, OpenRaster]
    classes: tuple[LandClass, ...]
    settings: dict[str, float]
    tags: dict[str, str]

    @property
    def inputs(self) -> list[str]:
        """The rasters' files, with all that belong to them."""
        return [path for raster in self.opened.values() for path in raster.files]
