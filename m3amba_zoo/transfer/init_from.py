"""Starts a training from another model's weights, as the config's ``init_from`` says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from numpy.typing import NDArray
from rich import get_console

from m3amba_zoo.config.options import INIT_FROM
from m3amba_zoo.engine.any_runner import bare_model
from m3amba_zoo.engine.checkpoint import check_data, describe_data
from m3amba_zoo.errors import InputError, close_names
from m3amba_zoo.evaluation.record import METRICS_FILE, read_record
from m3amba_zoo.hub.resolve import locate
from m3amba_zoo.hub.trained_model import (
    TrainedModel,
    find_weights,
    read_own_record,
    visible_files,
)
from m3amba_zoo.models.weights import read_checkpoint
from m3amba_zoo.models.window_classifier import WindowClassifier
from m3amba_zoo.splits.scene_data import SceneData, load_scene_data
from m3amba_zoo.system import sha256_of
from m3amba_zoo.transfer.facts import ModelFacts, describe_model
from m3amba_zoo.transfer.weights import transfer_weights

KEYS = ("weights", "config", "fresh", "source_wavelengths", "wavelengths")


class InitFromHook(Hook):
    """Transfers weights once, before the first step.

    The report is printed, logged, and kept in checkpoints and ``metrics.json``.

    Args:
        weights: the name of a published model, a card's folder, a work dir, or a weights file.
        config: of a weights file; None if it lies beside the file.
        fresh: patterns of names of parameters that start anew.
        source_wavelengths: in nm per modality, if the source does not state them: one number per band, or the
            first and the last of evenly spaced bands.
        wavelengths: likewise of the data at hand, if its files do not state them.

    Raises:
        InputError: if there is no such model.
    """

    priority = 5  # after DataCheckHook checks the data, before FitPreprocessorHook fits anything on it

    def __init__(
        self,
        weights: str,
        config: str | None = None,
        fresh: Sequence[str] = (),
        source_wavelengths: Mapping[str, Any] | None = None,
        wavelengths: Mapping[str, Any] | None = None,
    ) -> None:
        self.source = open_source(weights, config)
        self.fresh = fresh
        self.source_wavelengths, self.wavelengths = source_wavelengths or {}, wavelengths or {}

    @classmethod
    def from_config(cls, init_from: Any) -> InitFromHook:
        """Build it from a config's ``init_from``: a dict of its arguments, or ``weights`` alone.

        Raises:
            InputError: if it is neither, or there is no such model.
        """
        given = {"weights": init_from} if isinstance(init_from, str) else init_from
        if not isinstance(given, Mapping) or not isinstance(given.get("weights"), str):
            raise InputError(
                f"init_from is {init_from!r}, expected a name or path, or dict(weights=..., ...)"
            )
        for key in given:
            if key not in KEYS:
                hint = close_names(key, KEYS) or f"expected {', '.join(KEYS)}"
                raise InputError(f"init_from has no '{key}'; {hint}")
        return cls(**given)

    def before_train(self, runner: Runner) -> None:
        """Transfer the weights.

        Raises:
            InputError: if they do not fit, or were trained on pixels that this run's split tests.
        """
        model = bare_model(runner)
        if not isinstance(model, WindowClassifier):
            raise InputError(f"init_from: model is a {type(model).__name__}, expected a WindowClassifier")
        metainfo = runner.train_dataloader.dataset.metainfo
        data = metainfo["data"]
        check_data(self.source.trained_on(), describe_data(metainfo), self.source.name)
        wavelengths = {}
        for modality, bands in model.in_channels.items():
            given = self.wavelengths.get(modality)
            wavelengths[modality] = (
                data.scenes[0].rasters[modality].wavelengths
                if given is None
                else _read_wavelengths(given, bands, f"of '{modality}'")
            )
        report = transfer_weights(
            model,
            self.source.trained.model.state_dict(),
            self.source.facts(self.source_wavelengths),
            describe_model("the config", model, wavelengths, [entry.name for entry in data.classes]),
            self.fresh,
        )
        runner.logger.info(report.table())
        if is_main_process():
            get_console().print(report.table(), markup=False, highlight=False, soft_wrap=True)
        origin = {"weights": self.source.name, "sha256": sha256_of(self.source.weights)}
        record = {**origin, **report.record()}
        if trained_on := self.source.trained_on():
            record["trained_on"] = trained_on
        runner.message_hub.update_info(INIT_FROM, record)


@dataclass(frozen=True)
class SourceModel:
    """The model that weights are taken from, and its files.

    Attributes:
        name: as the user gave it.
        trained: model, window and classes.
        config: of its training.
        weights: the file.
    """

    name: str
    trained: TrainedModel
    config: Config
    weights: Path

    def facts(self, wavelengths: Mapping[str, Any]) -> ModelFacts:
        """Describe the model.

        Args:
            wavelengths: per modality, as the user gives them. Otherwise those of ``metrics.json`` are taken,
                or those of the data that the config names, if it is here.

        Raises:
            InputError: if wavelengths do not fit.
        """
        found = {
            modality: self._wavelengths(modality, bands, wavelengths.get(modality))
            for modality, bands in self.trained.model.in_channels.items()
        }
        classes = self.trained.classes
        # without metrics.json the classes are only numbered
        if not self._record.is_file() and self._data and len(self._data.classes) == len(classes):
            classes = self._data.classes
        return describe_model(self.name, self.trained.model, found, [entry.name for entry in classes])

    def trained_on(self) -> dict[str, str]:
        """Return the data's name and the split's name and hash, from metrics.json or the checkpoint."""
        if not self._record.is_file():
            noted = read_checkpoint(self.weights, "meta")["meta"].get("data", {})
            return {key: str(noted[key]) for key in ("name", "split", "sha256") if key in noted}
        record = read_own_record(self._record)
        split = record.get("split", {})
        if "dataset" not in record or not {"name", "sha256"} <= split.keys():
            raise InputError(f"{self._record}: expected 'dataset' and 'split' of a training")
        return {"name": record["dataset"], "split": split["name"], "sha256": split["sha256"]}

    @property
    def _record(self) -> Path:
        return self.weights.parent / METRICS_FILE

    def _wavelengths(self, modality: str, bands: int, given: Any) -> NDArray[np.float64] | None:
        record = read_record(self._record) if self._record.is_file() else {}
        stated = (record.get("wavelengths") or {}).get(modality)
        for values, where in ((given, self.name), (stated, self._record)):
            if values is not None:
                return _read_wavelengths(values, bands, f"of '{modality}' in {where}")
        raster = self._data.scenes[0].rasters.get(modality) if bands > 1 and self._data else None
        return raster.wavelengths if raster and len(raster.data) == bands else None

    @cached_property
    def _data(self) -> SceneData | None:
        """The data of the training; None if it is not on this machine."""
        loader = self.config.get("train_dataloader") or self.config.get("test_dataloader") or {}
        dataset = loader.get("dataset") or {}
        try:
            return load_scene_data(dataset["source"], dataset["split"])
        except (InputError, KeyError):
            return None


def open_source(given: str, config: str | Path | None = None) -> SourceModel:
    """Load the model that weights are taken from.

    Args:
        given: the name of a published model, a card's folder, a work dir, or a weights file (``.pth``,
            ``.safetensors``).
        config: of a weights file; None if it lies beside the file.

    Raises:
        InputError: if there is nothing of that name, or it cannot be loaded.
    """
    path = Path(given).expanduser()
    if path.is_file():
        beside = [Path(config)] if config else visible_files(path.parent, "*.py")
        if len(beside) != 1:
            raise InputError(
                f"{path}: {len(beside)} configs (*.py) lie beside these weights, give the right one as "
                "init_from.config or --init-config"
            )
        trained = TrainedModel.from_files(beside[0], path)
        return SourceModel(given, trained, _network_config(given, trained), path)
    if config:
        raise InputError(f"{given}: no such weights file, but the config {config} is given for it")
    if not path.is_dir() and (path.suffix in (".pth", ".safetensors") or path.parent != Path()):
        raise InputError(f"{path}: no such file or folder to take weights from")
    found = locate(given)
    trained = found.load()
    return SourceModel(given, trained, _network_config(given, trained), find_weights(found.folder))


def _network_config(given: str, trained: TrainedModel) -> Config:
    if trained.config is None or trained.config.get("classifier") is not None:
        raise InputError(f"{given}: a classical classifier has no weights to start from")
    return trained.config


def _read_wavelengths(given: Any, bands: int, of_what: str) -> NDArray[np.float64]:
    """Read wavelengths in nm: one per band, or the first and the last of evenly spaced bands.

    Raises:
        InputError: if they are neither.
    """
    try:
        values = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.shape == (2,):
        values = np.linspace(values[0], values[1], bands)
    if values.shape != (bands,) or not (np.isfinite(values).all() and (values > 0).all()):
        raise InputError(
            f"wavelengths {of_what} are {given!r}, expected {bands} positive numbers (nm), or the first and "
            "the last of evenly spaced bands"
        )
    return values
