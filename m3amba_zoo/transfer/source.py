"""What weights are taken from: a published model, a card's folder, a work dir, or a file with its config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from numpy.typing import NDArray

from m3amba_zoo.config.reading import read_config_file
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.record_check import read_record
from m3amba_zoo.hub.index import sha256_of
from m3amba_zoo.hub.resolve import find_model
from m3amba_zoo.hub.trained_model import METRICS, TrainedModel, find_weights, read_own_record, visible_files
from m3amba_zoo.models.weights import read_checkpoint
from m3amba_zoo.splits.scene_data import SceneData, load_scene_data
from m3amba_zoo.transfer.facts import ModelFacts, describe_model


@dataclass(frozen=True)
class SourceModel:
    """A trained model and where it lies.

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

    @property
    def sha256(self) -> str:
        """Of the weights' file."""
        return sha256_of(self.weights)

    def facts(self, wavelengths: Mapping[str, Any]) -> ModelFacts:
        """Describe it.

        Args:
            wavelengths: by modality, as the user gives them; else those of metrics.json are taken, or those
                of the data that the config names, where that is here.

        Raises:
            InputError: wavelengths that do not fit.
        """
        model = self.trained.model
        found = {
            modality: _first_known(
                lambda m=modality, n=bands: read_wavelengths(
                    wavelengths.get(m), n, f"of '{m}' in {self.name}"
                ),
                lambda m=modality, n=bands: self._of_record(m, n),
                lambda m=modality, n=bands: self._of_data(m, n),
            )
            for modality, bands in model.in_channels.items()
        }
        classes = self.trained.classes
        if not (self.weights.parent / METRICS).is_file() and (data := self._data):  # they are numbered
            classes = data.classes if len(data.classes) == len(classes) else classes
        return describe_model(self.name, model, found, [entry.name for entry in classes])

    def trained_on(self) -> dict[str, str]:
        """Return the data's name, and the split's name and hash, as metrics.json or the checkpoint says."""
        path = self.weights.parent / METRICS
        if not path.is_file():
            noted = read_checkpoint(self.weights, "meta")["meta"].get("data", {})
            return {key: str(noted[key]) for key in ("name", "split", "sha256") if key in noted}
        try:
            record = read_own_record(path)
            split = record["split"]
            return {"name": record["dataset"], "split": split["name"], "sha256": split["sha256"]}
        except (KeyError, TypeError) as error:
            raise InputError(f"{path}: expected 'dataset' and 'split' of a training") from error

    def _of_record(self, modality: str, bands: int) -> NDArray[np.float64] | None:
        path = self.weights.parent / METRICS
        if not path.is_file():
            return None
        said = read_record(path).get("wavelengths") or {}
        return read_wavelengths(said.get(modality), bands, f"of '{modality}' in {path}")

    def _of_data(self, modality: str, bands: int) -> NDArray[np.float64] | None:
        raster = self._data.scenes[0].rasters.get(modality) if bands > 1 and self._data else None
        return raster.wavelengths if raster and len(raster.data) == bands else None

    @cached_property
    def _data(self) -> SceneData | None:
        """The data of the training, None where it is elsewhere."""
        loader = self.config.get("train_dataloader") or self.config.get("test_dataloader") or {}
        dataset = loader.get("dataset") or {}
        try:
            return load_scene_data(dataset["source"], dataset["split"])
        except (InputError, KeyError):
            return None


def open_source(given: str, config: str | Path | None = None) -> SourceModel:
    """Load what weights are taken from.

    Args:
        given: the name of a published model, a card's folder, a work dir, or a weights file (``.pth``,
            ``.safetensors``).
        config: of a weights file; None where it lies beside the file.

    Raises:
        InputError: there is nothing of that name, or it cannot be loaded.
    """
    path = Path(given).expanduser()
    if path.is_file():
        beside = [Path(config)] if config else visible_files(path.parent, "*.py")
        if len(beside) != 1:
            raise InputError(
                f"{path}: {len(beside)} configs (*.py) lie beside these weights, give theirs as "
                "init_from.config or --init-config"
            )
        return SourceModel(given, TrainedModel.from_files(beside[0], path), read_config_file(beside[0]), path)
    if config:
        raise InputError(f"{given}: no such weights file, which the config {config} would belong to")
    if not path.is_dir() and (path.suffix in (".pth", ".safetensors") or path.parent != Path()):
        raise InputError(f"{path}: no such file or folder to take weights from")
    folder = find_model(given)
    trained = TrainedModel.from_folder(folder)
    read = read_config_file(visible_files(folder, "*.py")[0])
    return SourceModel(given, trained, read, find_weights(folder, read))


def read_wavelengths(given: Any, bands: int, of_what: str) -> NDArray[np.float64] | None:
    """Read wavelengths from a config: one a band, or the first and the last of evenly spaced ones; in nm.

    Raises:
        InputError: they are neither.
    """
    if given is None:
        return None
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


def _first_known(*ways: Any) -> NDArray[np.float64] | None:
    return next((found for way in ways if (found := way()) is not None), None)
