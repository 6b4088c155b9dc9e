"""The Predictor: a trained model and rasters in, a map out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub import TrainedModel
from m3amba_zoo.hub.resolve import FoundModel, locate
from m3amba_zoo.inference.cluster import ModelFiles, Task, connect, reachable, rows_on_cluster
from m3amba_zoo.inference.made_features import MadeFeatures
from m3amba_zoo.inference.map_files import Prediction, write_map
from m3amba_zoo.inference.options import (
    SPEEDS,
    check_options,
    check_order,
    check_rasters,
    names_of,
)
from m3amba_zoo.inference.strips import WINDOWS_AT_ONCE, OpenJob, RowClassifier, block_cache
from m3amba_zoo.maps.lacking import survey
from m3amba_zoo.memory import require_memory
from m3amba_zoo.models import PatchClassifier, WindowClassifier
from m3amba_zoo.rasters.grid import Grid
from m3amba_zoo.rasters.matching import KnownBands, take_bands, unlike_training
from m3amba_zoo.rasters.opening import GivenRaster, OpenRaster, align_rasters, log_remarks, open_raster
from m3amba_zoo.rasters.request import RasterRequest, check_align, request_of

ALL = "all"
logger = logging.getLogger(__name__)


class Predictor:
    """Classifies every pixel of co-registered rasters with a trained model.

    Attributes:
        model: in evaluation mode, on its device, with the pretreatment fitted in training.
        in_channels: bands by modality that ``predict`` expects. A modality that is made of others, the
            features of an encoder, is none of them.
        bands: what is known of them by modality: names, wavelengths, values; without what is not known.
        classes: the class table.
        window: S, the side of the square of pixels that a window gives a class.
        tags: what a map's file says of the model: its name, the sha256 of its weights, its split.
        source: of the data that the model was trained on, as its config states it; empty if it does not.
        batch_size: windows at once at the end of the last prediction; None before it.
    """

    batch_size: int | None = None

    def __init__(
        self, name_or_path: str | Path | FoundModel, device: str | torch.device | None = None
    ) -> None:
        """Build a model and load its weights.

        Args:
            name_or_path: the name of a published model (``m3amba_zoo.list_models()``), which goes before a
                folder of that name; the work dir of a training; or a folder with ``config.py`` and one
                ``.safetensors`` file.
            device: None takes the GPU if there is one.

        Raises:
            InputError: if there is no such folder or model, or its config or weights are absent or unfit.
        """
        found = locate(name_or_path)
        self._take(found.load(), device, FoundModel(found.folder.absolute(), found.published))

    @classmethod
    def from_files(
        cls, config: str | Path, weights: str | Path, device: str | torch.device | None = None
    ) -> Predictor:
        """Build a model from a config and load a checkpoint, or weights as ``.safetensors``.

        Raises:
            InputError: if a file is absent or damaged, or the weights do not fit the config.
        """
        predictor = cls.__new__(cls)
        files = Path(config).absolute(), Path(weights).absolute()
        predictor._take(TrainedModel.from_files(Path(config), Path(weights)), device, files)
        return predictor

    def _take(self, trained: TrainedModel, device: str | torch.device | None, files: ModelFiles) -> None:
        self._files = files
        try:
            self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        except (RuntimeError, TypeError) as error:
            raise InputError(f"device is {device!r}; cpu or cuda is expected") from error
        self.model = trained.model.to(self.device).eval()
        self._made = None
        self.in_channels = self.model.in_channels
        if trained.recipe is not None:
            self._made = MadeFeatures(trained.recipe, trained.bands, self.in_channels, self.device)
            self.in_channels = self._made.given
        self.window, self.classes, self.bands = trained.window, trained.classes, trained.bands
        self.tags = dict(trained.tags)
        self.source = (trained.config or {}).get("source") or {}

    def predict(
        self,
        rasters: Mapping[str, GivenRaster],
        probabilities: bool = False,
        progress: Callable[[int, int], None] | None = None,
        announce: Callable[[str], None] | None = None,
        **options: Any,
    ) -> Prediction:
        """Classify every pixel, and return the map in memory; ``predict_map`` writes it to files.

        Windows cover the rasters on a grid, as in evaluation: they are mirrored at the border, and the logits
        of overlapping windows are averaged. Files are read one row of windows at a time. Apart from the map,
        memory grows with the rasters' width but not with their height.

        Args:
            rasters: see ``open``.
            probabilities: whether to return these too; they take 2 K bytes per pixel.
            progress: is called with the number of finished pixels and that of all pixels.
            announce: is called before the first window, with a text on windows and views: what it will cost.
            **options: of ``open``: overlap, speed, batch_size, strict, align, grid, match_bands, need.

        Returns:
            The map, on the reference's grid, with the georeference of the first raster that has one. Pixels
            that are nodata in all bands of all rasters are 0; those that lack a modality alone are warned of.

        Raises:
            InputError: as ``open``; or if a raster is damaged or has infinite values, or the map is larger
                than the memory that is free.
        """
        check_options(options, probabilities=probabilities, progress=progress, announce=announce)
        with self.open(rasters, **options) as job:
            height, width = job.place.shape
            size = height * width * (1 + 2 * len(self.classes) * probabilities)
            what = f"a map of {height} x {width} pixels"
            require_memory(job.place.path, size, what, "predict_map writes one of any size to a file")
            job = self._surveyed(job)
            if announce is not None:
                announce(_cost(job))
            class_map = np.zeros((height, width), np.uint8)
            likely = None
            if probabilities:
                likely = np.full((len(self.classes), height, width), np.nan, np.float16)
            if progress is not None:
                progress(0, height * width)
            for strip in job.classifier.classify():
                rows = slice(strip.top, strip.top + len(strip.class_map))
                class_map[rows] = strip.class_map
                if likely is not None:
                    shares = strip.probabilities()
                    np.copyto(likely[:, rows], shares, casting="same_kind", where=strip.class_map > 0)
                if progress is not None:
                    progress(rows.stop * width, height * width)
            self.batch_size = job.classifier.batch_size
        place = job.place
        return Prediction(
            class_map, self.classes, likely, place.crs, place.transform, tuple(job.inputs), job.tags
        )

    def predict_map(
        self,
        rasters: Mapping[str, GivenRaster],
        out: str | Path,
        beside: Iterable[str] | Mapping[str, Path | None] = (),
        half: bool = False,
        progress: Callable[[int, int], None] | None = None,
        dask: str | None = None,
        announce: Callable[[str], None] | None = None,
        **options: Any,
    ) -> list[Path]:
        """Classify every pixel and write the map to a file while it grows.

        Memory does not grow with the rasters' height. A prediction that was stopped goes on behind its last
        finished rows when it is called again with the same arguments.

        Args:
            rasters: see ``open``.
            out: the map, a cloud-optimised GeoTIFF (``.tif``).
            beside: what is written beside it: ``probabilities``, ``uncertainty`` (entropy and margin),
                ``style`` (for QGIS), ``preview`` (a picture with legend), ``areas`` (a table per class); as a
                mapping with paths where they are not the usual ones.
            half: probabilities and uncertainty as float16 rather than percent (uint8).
            progress: is called with the number of finished pixels and that of all pixels.
            dask: who classifies: ``local:N``, N processes of this machine, or the address of a Dask scheduler
                whose workers reach the same files; None means this process. The map is the same, to the last
                bit.
            announce: see ``predict``.
            **options: see ``predict``.

        Returns:
            The files written, the map first.

        Raises:
            InputError: as ``predict``; or if a file cannot be written.
        """
        check_options(options, half=half, progress=progress, dask=dask, announce=announce)
        beside = names_of(beside, "beside")
        with ExitStack() as stack:
            job = self._surveyed(stack.enter_context(self.open(rasters, **options)))
            if announce is not None:
                announce(_cost(job))
            rows_of = None
            if dask is not None:
                options |= {"batch_size": job.classifier.batch_size}
                task = Task(self._files, reachable(rasters), tuple(options.items()), half)
                client = stack.enter_context(connect(dask))
                rows_of = rows_on_cluster(client, task, self.window, job.place.shape[0])
            written = write_map(job, out, beside, half, progress, rows_of)
            self.batch_size = job.classifier.batch_size
        return written

    @contextmanager
    def open(
        self,
        rasters: Mapping[str, GivenRaster],
        *,
        overlap: float | None = None,
        speed: str = "best",
        batch_size: int | None = None,
        strict: bool = False,
        align: str | None = None,
        grid: str | None = None,
        match_bands: bool = False,
        need: str | Sequence[str] = (),
    ) -> Iterator[OpenJob]:
        """Open rasters to be classified.

        Args:
            rasters: by modality, a file that GDAL opens, ``FILE:KEY`` for one array of a MATLAB, HDF5 or
                NetCDF file, ``FILE,FILE,...`` or a list of files to be stacked, a RasterRequest, an array
                ``(C, H, W)`` or ``(H, W)`` (masked or not), a Raster, an xarray DataArray. What was stated of
                the training's files (bands, nodata, key, scale, offset, align, grid) holds here, too.
            overlap: the share of a window that the next one covers again, 0 to below 1. None takes that of
                the speed, and 0 for a patch-wise model, which gives a pixel the same logits in every window.
            speed: ``best``, windows that overlap by a half, in several views if the model was trained for
                them; ``balanced``, by a quarter, in one view; ``fast``, windows side by side, in one view.
            batch_size: windows at once; None takes 4, and 64 on a GPU. It is halved where memory does not
                suffice.
            strict: whether values that are unlike the training's are refused rather than warned about.
            align: how rasters on another grid than the reference are interpolated: ``bilinear``, ``cubic``,
                ``nearest`` or ``average``. None refuses them, unless the training stated it.
            grid: the modality whose grid is the reference. None takes that of the training, else the first.
            match_bands: whether spectra of other bands than the model's are resampled by wavelength.
            need: modalities, or ``all``: pixels where one of them is missing in all bands are left empty.

        Raises:
            InputError: if a modality is missing or unknown, or has other bands, another size or georeference
                than the others; a file is absent or damaged; or an option is out of range.
        """
        given = {"overlap": overlap, "speed": speed, "batch_size": batch_size, "strict": strict}
        check_options({**given, "align": align, "grid": grid, "match_bands": match_bands, "need": need})
        check_rasters(rasters)
        if overlap is None:
            overlap = 0.0 if isinstance(self.model, PatchClassifier) else SPEEDS[speed]
        needed = self._needed(need)
        batch_size = batch_size or WINDOWS_AT_ONCE.get(self.device.type, WINDOWS_AT_ONCE["cpu"])
        self._check_modalities(rasters)
        with ExitStack() as stack:
            opened = {
                m: stack.enter_context(self._open(m, rasters[m], align, match_bands))
                for m in self.in_channels
            }
            place = self._check_rasters(opened, strict, self._reference(rasters, grid))
            read = dict(opened)
            if self._made is not None:
                read |= self._made.of(opened, place)
            read = {modality: read[modality] for modality in self.model.in_channels}
            needs = {modality: opened[modality] for modality in needed}
            classifier = RowClassifier(self.model, read, self.window, overlap, batch_size, needs)
            stack.enter_context(block_cache(read.values(), classifier.grid.side))
            views = stack.enter_context(_views(self.model, several=speed == "best"))
            settings = {"overlap": overlap, "views": views}
            tags = self._tags(opened, settings) | ({"NEEDED": ", ".join(needed)} if needed else {})
            yield OpenJob(classifier, place, opened, read, self.classes, settings, tags)

    def _surveyed(self, job: OpenJob) -> OpenJob:
        """Read the rasters once; say where a modality is missing, also in the tags of the map.

        Raises:
            InputError: if a value is infinite, or a file is damaged.
        """
        lacking, needed = survey(job.opened), job.classifier.needed
        for sentence in lacking.sentences(self.bands, needed):
            logger.warning("%s", sentence)
        return job._replace(tags=job.tags | lacking.tags(needed))

    def _needed(self, need: str | Sequence[str]) -> list[str]:
        """Return the modalities without which a pixel is left empty, in the model's order."""
        named = [need] if isinstance(need, str) else list(need)
        given = list(self.in_channels)
        for modality in named:
            if modality not in (*given, ALL):
                raise InputError(f"need: '{modality}', expected {ALL}, or of {', '.join(given)}")
        return given if ALL in named else [modality for modality in given if modality in named]

    def _tags(self, opened: Mapping[str, OpenRaster], settings: Mapping[str, float]) -> dict[str, str]:
        """Return what a map's file says of the model, the rasters and how they were read."""
        tags = {**self.tags, "M3AMBA_ZOO_VERSION": version("m3amba_zoo")}
        tags |= {name.upper(): f"{value:g}" for name, value in settings.items()}
        if self._made is not None:
            tags |= self._made.tags
        for modality, raster in opened.items():
            tags[f"INPUT_{modality.upper()}"] = ", ".join(raster.stated.files)
            if raster.resampled:
                tags[f"RESAMPLED_{modality.upper()}"] = raster.resampled
        return tags

    def _check_modalities(self, given: Mapping[str, GivenRaster]) -> None:
        expected = ", ".join(f"{m} ({bands} bands)" for m, bands in self.in_channels.items())
        for modality in given:
            if self._made is not None and modality == self._made.name:
                raise InputError(
                    f"'{modality}' is made of {', '.join(self._made.read_from)} by the model's encoder; "
                    "leave it out"
                )
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
        given = request_of(given, f"the raster of '{modality}'")
        stated = replace(known.request, where=f"the model's '{modality}'")
        stated = replace(stated, align=check_align("align", align) or stated.align)
        if isinstance(given, RasterRequest):
            given = given.completed_by(stated)
        check_order(modality, given, expected)
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

    def _check_rasters(self, opened: Mapping[str, OpenRaster], strict: bool, reference: str) -> Grid:
        """Bring the rasters to one grid and return it, with a georeference where there is one."""
        place = align_rasters("to predict", opened, reference)
        log_remarks(opened.values())
        for modality in opened:
            known = self.bands.get(modality)
            if known and (sentence := unlike_training(opened[modality], known)):
                if strict:
                    raise InputError(sentence)
                logger.warning("%s", sentence)
        return place


def _cost(job: OpenJob) -> str:
    """Return what is to be computed, for people: the pixels, windows and views."""
    grid, (height, width), views = job.classifier.grid, job.place.shape, job.settings["views"]
    return (
        f"{height:,} x {width:,} pixels: {len(grid):,} windows of {grid.window} x {grid.window}, overlap "
        f"{job.settings['overlap']:g}, in {views:g} view{'s' * (views != 1)}"
    )


@contextmanager
def _views(model: WindowClassifier, several: bool) -> Iterator[int]:
    """Let a model predict in one view, unless several are wanted; yield how many it takes."""
    posterior = getattr(model, "posterior", None)
    if posterior is None:
        yield 1
        return
    views = posterior.views
    posterior.views = views if several else 1
    try:
        yield posterior.views
    finally:
        posterior.views = views
