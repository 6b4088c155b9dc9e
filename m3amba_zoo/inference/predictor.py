"""The Predictor: a trained model and rasters in, a map out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from m3amba_zoo.datasets.windows import Window, WindowGrid
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.stitching import SceneLogits
from m3amba_zoo.hub import TrainedModel, find_model
from m3amba_zoo.inference.raster_files import Prediction, RasterRows, block_cache, some_value
from m3amba_zoo.models import PatchClassifier
from m3amba_zoo.rasters.alignment import align_rasters
from m3amba_zoo.rasters.grid import Grid
from m3amba_zoo.rasters.matching import KnownBands, take_bands, unlike_training
from m3amba_zoo.rasters.opening import GivenRaster, OpenRaster, log_remarks, open_raster
from m3amba_zoo.rasters.request import RasterRequest, check_align, parse_path, stack

OVERLAP = 0.5
# windows at once: on a CPU more than 4 gained nothing (docs/performance.md); on GPUs not measured
WINDOWS_AT_ONCE = {"cpu": 4, "cuda": 64}
OUT_OF_MEMORY = ("not enough memory", "DefaultCPUAllocator")  # in the messages of torch's CPU allocator
logger = logging.getLogger(__name__)


class Predictor:
    """Classifies every pixel of co-registered rasters with a trained model.

    Attributes:
        model: in evaluation mode, on its device, with the pretreatment fitted in training.
        in_channels: bands by modality that ``predict`` expects.
        bands: what is known of them by modality: names, wavelengths, values; without what is not known.
        classes: the class table.
        window: S, the side of the square of pixels that a window gives a class.
        batch_size: windows at once at the end of the last prediction; None before it.
    """

    batch_size: int | None = None

    def __init__(self, name_or_path: str | Path, device: str | torch.device | None = None) -> None:
        """Build a model and load its weights.

        Args:
            name_or_path: the name of a published model (``m3amba_zoo.list_models()``), which goes before a
                folder of that name; the work dir of a training; or a folder with ``config.py`` and one
                ``.safetensors`` file.
            device: None takes the GPU if there is one.

        Raises:
            InputError: if there is no such folder or model, or its config or weights are absent or unfit.
        """
        self._take(TrainedModel.from_folder(find_model(name_or_path)), device)

    @classmethod
    def from_files(
        cls, config: str | Path, weights: str | Path, device: str | torch.device | None = None
    ) -> Predictor:
        """Build a model from a config and load a checkpoint, or weights as ``.safetensors``.

        Raises:
            InputError: if a file is absent or damaged, or the weights do not fit the config.
        """
        predictor = cls.__new__(cls)
        predictor._take(TrainedModel.from_files(Path(config), Path(weights)), device)
        return predictor

    def _take(self, trained: TrainedModel, device: str | torch.device | None) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = trained.model.to(self.device).eval()
        self.in_channels = self.model.in_channels
        self.window, self.classes, self.bands = trained.window, trained.classes, trained.bands

    def predict(
        self,
        rasters: Mapping[str, GivenRaster],
        overlap: float | None = None,
        batch_size: int | None = None,
        probabilities: bool = False,
        strict: bool = False,
        progress: Callable[[int, int], None] | None = None,
        *,
        align: str | None = None,
        grid: str | None = None,
        match_bands: bool = False,
    ) -> Prediction:
        """Classify every pixel.

        Windows cover the rasters on a grid, as in evaluation: they are mirrored at the border, and the logits
        of overlapping windows are averaged. Files are read one row of windows at a time, and once before that
        where values may be missing or NaN. Apart from the map, memory grows with the rasters' width but not
        with their height.

        Args:
            rasters: by modality, a file that GDAL opens, ``FILE:KEY`` for one array of a MATLAB, HDF5 or
                NetCDF file, ``FILE,FILE,...`` or a list of files to be stacked, a RasterRequest, an array
                ``(C, H, W)`` or ``(H, W)`` (masked or not), a Raster, an xarray DataArray. What was stated of
                the training's files (bands, nodata, key, scale, offset, align, grid) holds here, too.
            overlap: the share of a window that the next one covers again, 0 to below 1. None takes 0.5, and 0
                for a patch-wise model, which gives a pixel the same logits in every window.
            batch_size: windows at once; None takes 4, and 64 on a GPU. It is halved where memory does not
                suffice.
            probabilities: whether to return these too; they take 2 K bytes per pixel.
            strict: whether values that are unlike the training's are refused rather than warned about.
            progress: is called with the number of windows done and that of all windows.
            align: how rasters on another grid than the reference are interpolated: ``bilinear``, ``cubic``,
                ``nearest`` or ``average``. None refuses them, unless the training stated it.
            grid: the modality whose grid is the reference. None takes that of the training, else the first.
            match_bands: whether spectra of other bands than the model's are resampled by wavelength.

        Returns:
            The map, on the reference's grid, with the georeference of the first raster that has one. Pixels
            that are nodata in all bands of all rasters are 0.

        Raises:
            InputError: if a modality is missing or unknown, has other bands, another size or georeference
                than the others, or infinite values; or a file is absent or damaged.
        """
        if overlap is None:
            overlap = 0.0 if isinstance(self.model, PatchClassifier) else OVERLAP
        if batch_size is not None and batch_size < 1:
            raise InputError(f"batch_size is {batch_size}, expected at least 1 window")
        self.batch_size = batch_size or WINDOWS_AT_ONCE.get(self.device.type, WINDOWS_AT_ONCE["cpu"])
        self._check_modalities(rasters)
        with ExitStack() as stack:
            opened = {
                m: RasterRows(m, stack.enter_context(self._open(m, rasters[m], align, match_bands)))
                for m in self.in_channels
            }
            place = self._check_rasters(opened, strict, self._reference(rasters, grid))
            windows = WindowGrid(place.shape, self.window, overlap, self.model.margin)
            stack.enter_context(block_cache(opened.values(), windows.side))
            class_map = some_value(opened.values())
            height, width = place.shape
            likely = None
            if probabilities:
                likely = np.full((len(self.classes), height, width), np.nan, np.float16)
            strip = SceneLogits(len(self.classes), (min(self.window, height), width))
            for done, (window, logits) in enumerate(self._logits(windows.cut_all(opened)), start=1):
                if window.row > strip.top:
                    _classify(strip.take_above(window.row), class_map, likely)
                strip.add(logits, window.row, window.column)
                if progress is not None:
                    progress(done, len(windows))
            _classify(strip, class_map, likely)
        inputs = tuple(path for raster in opened.values() for path in raster.opened.stated.files)
        return Prediction(class_map, self.classes, likely, place.crs, place.transform, inputs)

    def _logits(self, windows: Iterator[Window]) -> Iterator[tuple[Window, NDArray[np.float32]]]:
        """Yield each window with its logits ``(K, S, S)``, in order; ``batch_size`` windows run at once.

        Where memory does not suffice ``batch_size`` is halved, until the end of the prediction.

        Raises:
            RuntimeError: if memory does not suffice for a single window.
        """
        while batch := list(islice(windows, self.batch_size)):
            try:
                logits = self._forward(batch)
            except RuntimeError as error:
                if len(batch) == 1 or not _is_out_of_memory(error):
                    raise
                logits = []
            if logits:
                yield from zip(batch, logits, strict=True)
            else:
                self.batch_size = len(batch) // 2
                torch.cuda.empty_cache()  # not in the except block: the error holds the attempt's tensors
                windows = chain(batch, windows)

    @torch.no_grad()
    def _forward(self, batch: list[Window]) -> list[NDArray[np.float32]]:
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

    def _reference(self, given: Mapping[str, GivenRaster], grid: str | None) -> str:
        """Return the modality whose grid the others are brought to."""
        if grid is not None and grid not in given:
            raise InputError(f"the grid of '{grid}' is asked for, but the rasters are {', '.join(given)}")
        trained = [m for m, known in self.bands.items() if known.request.grid]
        return grid or next(iter(trained or given))

    def _open(self, modality: str, given: GivenRaster, align: str | None, match_bands: bool) -> OpenRaster:
        """Open a raster as the training's files were read, and let it give the model's bands.

        Raises:
            InputError: if it is absent, damaged or has other bands.
        """
        expected = self.in_channels[modality]
        known = self.bands.get(modality, KnownBands(expected))
        if isinstance(given, (str, Path)):
            given = parse_path(str(given))
        elif isinstance(given, (list, tuple)):
            given = stack([parse_path(str(path)) for path in given])
        stated = replace(known.request, where=f"the model's '{modality}'")
        stated = replace(stated, align=check_align("align", align) or stated.align)
        if isinstance(given, RasterRequest):
            given = given.completed_by(stated)
        opened = open_raster(given, modality, expected)
        try:
            opened.stated = replace(opened.stated, align=opened.stated.align or stated.align)
            if len(opened.stated.parts) != len(stated.parts) and any(part.stated() for part in stated.parts):
                opened.remarks.append(
                    f"{opened.path}: '{modality}' of the training was {len(stated.parts)} files; what was "
                    "stated of each of them does not hold here"
                )
            take_bands(opened, known, f"those of '{modality}' in training", match_bands)
        except BaseException:
            opened.close()
            raise
        return opened

    def _check_rasters(self, opened: Mapping[str, RasterRows], strict: bool, reference: str) -> Grid:
        """Bring the rasters to one grid and return it, with a georeference where there is one."""
        place = align_rasters("to predict", {m: raster.opened for m, raster in opened.items()}, reference)
        log_remarks(raster.opened for raster in opened.values())
        for modality, known in self.bands.items():
            if sentence := unlike_training(opened[modality].opened, known):
                if strict:
                    raise InputError(sentence)
                logger.warning("%s", sentence)
        return place


def _classify(
    strip: SceneLogits, class_map: NDArray[np.uint8], probabilities: NDArray[np.float16] | None
) -> None:
    """Write a strip's rows into the map where it is 1, and into the probabilities if they are wanted."""
    rows = slice(strip.top, strip.top + len(strip.count))
    wanted = class_map[rows] > 0
    class_map[rows] *= strip.class_map()
    if probabilities is not None:
        found = softmax(strip.mean(), axis=0)
        np.copyto(probabilities[:, rows], found, casting="same_kind", where=wanted)


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.cuda.OutOfMemoryError) or any(text in str(error) for text in OUT_OF_MEMORY)
