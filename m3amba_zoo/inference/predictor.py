"""The Predictor: a trained model and rasters in, a map out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from m3amba_zoo.datasets.windows import cut_raster, grid_origins, stride
from m3amba_zoo.errors import InputError
from m3amba_zoo.hub import TrainedModel, find_model
from m3amba_zoo.inference.batches import Batches
from m3amba_zoo.inference.prediction import Prediction
from m3amba_zoo.inference.raster_rows import RasterRows, block_cache, some_value
from m3amba_zoo.inference.row_stitcher import RowStitcher
from m3amba_zoo.models import PatchClassifier
from m3amba_zoo.scenes.georaster import Grid, require_same_grid
from m3amba_zoo.scenes.scene import Raster, mirrored_indices

OVERLAP = 0.5
GivenRaster = str | Path | NDArray | Raster


class Predictor:
    """Classifies every pixel of co-registered rasters with a trained model.

    Attributes:
        model: in evaluation mode, on its device, with the pretreatment fitted in training.
        in_channels: bands by modality that ``predict`` expects.
        classes: the class table.
        window: S, rows and columns of the pixels that a window gives a class.
        batch_size: windows at once in the last prediction; None before it.
    """

    batch_size: int | None = None

    def __init__(self, name_or_path: str | Path, device: str | torch.device | None = None) -> None:
        """Build a model and load its weights.

        Args:
            name_or_path: the name of a published model (``m3amba_zoo.list_models()``), which a folder of that
                name does not replace; the work dir of a training; or a folder with ``config.py`` and one
                ``.safetensors``.
            device: None takes the GPU if there is one.

        Raises:
            InputError: no such folder or model; no config or weights in it, or they do not fit.
        """
        self._take(TrainedModel.from_folder(find_model(name_or_path)), device)

    @classmethod
    def from_files(
        cls, config: str | Path, weights: str | Path, device: str | torch.device | None = None
    ) -> Predictor:
        """Build a model from a config and load a checkpoint, or weights as ``.safetensors``.

        Raises:
            InputError: a file is absent or damaged, or they do not fit.
        """
        predictor = cls.__new__(cls)
        predictor._take(TrainedModel.from_files(Path(config), Path(weights)), device)
        return predictor

    def _take(self, trained: TrainedModel, device: str | torch.device | None) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = trained.model.to(self.device).eval()
        self.in_channels = self.model.in_channels
        self.window, self.classes = trained.window, trained.classes

    def predict(
        self,
        rasters: Mapping[str, GivenRaster],
        overlap: float | None = None,
        batch_size: int | None = None,
        probabilities: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> Prediction:
        """Classify every pixel.

        Windows cover the rasters as in evaluation: on a grid, mirrored at the border, overlapping windows'
        logits averaged. Files are read a row of windows at a time, twice where values may be missing or NaN;
        beside the map itself, memory grows with the rasters' width but not with their height.

        Args:
            rasters: a file that GDAL opens, an array ``(C, H, W)`` or ``(H, W)``, or a Raster, by modality.
            overlap: share of a window that the next one covers again, 0 to below 1. None takes 0.5, and 0 for
                a patch-wise model, which gives a pixel the same logits in every window.
            batch_size: windows at once; None takes as many as fit into half of the free memory, up to
                what still makes the prediction faster. Halved where a GPU's memory does not suffice.
            probabilities: whether to return these too, 2 K bytes a pixel.
            progress: is told how many windows are done, and of how many.

        Returns:
            The map, with the georeference of the first raster that has one. Pixels that are nodata in all
            bands of all rasters are 0.

        Raises:
            InputError: a modality is missing or unknown, has another number of bands, another size or
                georeference than the others, or NaN values; a file is absent or damaged.
        """
        if overlap is None:
            overlap = 0.0 if isinstance(self.model, PatchClassifier) else OVERLAP
        step = stride(self.window, overlap)
        if batch_size is not None and batch_size < 1:
            raise InputError(f"batch_size is {batch_size}, expected at least 1 window")
        self._check_modalities(rasters)
        with ExitStack() as stack:
            opened = {m: stack.enter_context(closing(RasterRows(m, rasters[m]))) for m in self.in_channels}
            grid = self._check_rasters(opened)
            stack.enter_context(block_cache(opened.values(), self.window + 2 * self.model.margin))
            stitcher = RowStitcher(len(self.classes), some_value(opened.values()), self.window, probabilities)
            layout = _WindowGrid(grid.shape, self.window, step, self.model.margin)
            batches = Batches(self._logits, _Window.nbytes, self.device, batch_size)
            done = 0
            for batch in batches.run(layout.cut(opened)):
                for window, logits in batch:
                    stitcher.add(logits, window.row, window.column)
                done += len(batch)
                self.batch_size = batches.size
                if progress is not None:
                    progress(done, len(layout))
            stitcher.finish()
        return Prediction(stitcher.class_map, self.classes, stitcher.probabilities, grid.crs, grid.transform)

    @torch.no_grad()
    def _logits(self, batch: list[_Window]) -> list[NDArray[np.float32]]:
        """Return the logits ``(K, S, S)`` of each window."""
        inputs = {
            m: torch.from_numpy(np.stack([window.inputs[m] for window in batch])) for m in self.in_channels
        }
        return [logits.cpu().numpy() for logits in self.model.test_step({"inputs": inputs})]

    def _check_modalities(self, given: Mapping[str, GivenRaster]) -> None:
        expected = ", ".join(f"{m} ({bands} bands)" for m, bands in self.in_channels.items())
        for modality in given:
            if modality not in self.in_channels:
                raise InputError(f"the model has no modality '{modality}'; it was trained on {expected}")
        for modality in self.in_channels:
            if modality not in given:
                raise InputError(f"modality '{modality}' is missing; the model was trained on {expected}")

    def _check_rasters(self, opened: Mapping[str, RasterRows]) -> Grid:
        """Return the common grid, that of a georeferenced raster where there is one."""
        for modality, raster in opened.items():
            if raster.bands != self.in_channels[modality]:
                raise InputError(
                    f"{raster.grid.path}: has {raster.bands} bands, but the model was trained on "
                    f"{self.in_channels[modality]} of '{modality}'"
                )
        grids = sorted((raster.grid for raster in opened.values()), key=lambda grid: grid.transform is None)
        for other in grids[1:]:
            require_same_grid("to predict", grids[0], other)
        return grids[0]


class _Window(NamedTuple):
    row: int
    column: int
    inputs: dict[str, NDArray[np.float32]]

    def nbytes(self) -> int:
        return sum(values.nbytes for values in self.inputs.values())


class _WindowGrid:
    """The grid of windows over a scene, the same as that of ``datasets.SceneWindows``."""

    def __init__(self, shape: tuple[int, int], window: int, step: int, margin: int) -> None:
        self.height, self.margin, self.side = shape[0], margin, window + 2 * margin
        self.rows, self.columns = (list(grid_origins(length, window, step)) for length in shape)

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    def cut(self, opened: Mapping[str, RasterRows]) -> Iterator[_Window]:
        """Cut the windows, row by row."""
        for row in self.rows:
            strip = {
                m: raster.read(mirrored_indices(row - self.margin, self.side, self.height))
                for m, raster in opened.items()
            }
            for column in self.columns:
                left = column - self.margin
                inputs = {m: cut_raster(raster, 0, left, self.side) for m, raster in strip.items()}
                yield _Window(row, column, inputs)
