"""A trained model from the files of a training or a model card: config, weights and class table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config

from m3amba_zoo.config_file import read_config_file
from m3amba_zoo.errors import InputError
from m3amba_zoo.models.weights import LAST_CHECKPOINT, load_weights, named_checkpoint
from m3amba_zoo.models.window_classifier import WindowClassifier
from m3amba_zoo.registry import MODELS
from m3amba_zoo.scenes.palette import distinct_color
from m3amba_zoo.scenes.scene import LandClass

METRICS = "metrics.json"
GOLDEN = "golden.safetensors"  # a model card's fixed input and its logits
EXPECTED = "a work dir of tools/train.py is expected, or a folder with config.py and a .safetensors file"


class TrainedModel(NamedTuple):
    """A model with its weights.

    Attributes:
        model: on the CPU.
        window: S, rows and columns of the windows it is evaluated on, the model's margin not counted.
        classes: names and colours from ``metrics.json`` beside the weights; numbered without that file.
    """

    model: WindowClassifier
    window: int
    classes: tuple[LandClass, ...]

    @classmethod
    def from_folder(cls, folder: Path, pretrained: bool = True) -> TrainedModel:
        """Load the model of a work dir, with the weights that its test took, or that of a model card.

        Args:
            folder: the work dir or card.
            pretrained: False leaves the network with random weights.

        Raises:
            InputError: the folder is neither; or as ``from_files``.
        """
        if not folder.is_dir():
            found = "is a file" if folder.exists() else "no such folder"
            raise InputError(f"{folder}: {found}; {EXPECTED}")
        configs = sorted(folder.glob("*.py"))
        if len(configs) != 1:
            names = ", ".join(path.name for path in configs)
            found = f"{len(configs)} configs ({names})" if configs else "no config (*.py)"
            raise InputError(f"{folder}: holds {found}; {EXPECTED}")
        config = _read_config(configs[0])
        return cls._build(config, configs[0], folder, find_weights(folder, config) if pretrained else None)

    @classmethod
    def from_files(cls, config: Path, weights: Path) -> TrainedModel:
        """Load a model from a config and a checkpoint, or weights as ``.safetensors``.

        Raises:
            InputError: a file is absent or damaged, or they do not fit.
        """
        return cls._build(_read_config(config), config, weights.parent, weights)

    @classmethod
    def _build(cls, config: Config, path: Path, folder: Path, weights: Path | None) -> TrainedModel:
        model = MODELS.build(config.model)
        if not isinstance(model, WindowClassifier):
            raise InputError(f"{path}: model is a {type(model).__name__}, expected a WindowClassifier")
        if weights is not None:
            load_weights(model, weights)
        return cls(model, _window(config, path), _read_classes(folder / METRICS, model.num_classes))


def find_weights(folder: Path, config: Config) -> Path:
    """Return a training's weights (the best, where it kept one, else the last), or a card's.

    Raises:
        InputError: there are none, or several files that might be a card's.
    """
    pointer = folder / LAST_CHECKPOINT
    if pointer.is_file():
        best = list(folder.glob("best_*.pth"))
        hook = config.get("default_hooks", {}).get("checkpoint") or {}
        if hook.get("save_best") and len(best) == 1:
            return best[0]
        return named_checkpoint(pointer)
    weights = [path for path in sorted(folder.glob("*.safetensors")) if path.name != GOLDEN]
    if len(weights) != 1:
        names = ", ".join(path.name for path in weights)
        found = f"{len(weights)} weights files ({names})" if weights else "no weights"
        raise InputError(f"{folder}: holds {found}; {EXPECTED}")
    return weights[0]


def _read_config(path: Path) -> Config:
    config = read_config_file(path)
    if "model" not in config:
        raise InputError(f"{path}: has no 'model', expected the config of a training")
    return config


def _window(config: Config, path: Path) -> int:
    evaluation = (config.get("test_dataloader") or {}).get("dataset") or {}
    window = evaluation.get("window", config.model.get("window"))
    if window is None:
        raise InputError(f"{path}: neither test_dataloader.dataset nor model has a 'window'")
    return int(window)


def _read_classes(path: Path, num_classes: int) -> tuple[LandClass, ...]:
    """Read the class table from a run's metrics.json, or from a card's, which holds the records of its runs.

    Raises:
        InputError: the file is damaged, or of another number of classes.
    """
    if not path.is_file():
        return tuple(LandClass(f"class {k + 1}", distinct_color(k)) for k in range(num_classes))
    try:
        content = json.loads(path.read_text())
        record = content["runs"][str(content["seed"])] if "runs" in content else content
        classes = [
            LandClass(str(entry["name"]), tuple(entry.get("color") or distinct_color(k)))  # type: ignore[arg-type]
            for k, entry in enumerate(record["per_class"])
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: expected 'per_class', a list with the name of each class") from error
    if len(classes) != num_classes:
        raise InputError(f"{path}: names {len(classes)} classes, but the model has {num_classes}")
    return tuple(classes)
