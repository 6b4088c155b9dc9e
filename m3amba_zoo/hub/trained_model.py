"""A trained model from the files of a training or a model card: config, weights and class table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from m3amba_zoo.config import read_config
from m3amba_zoo.config.reading import read_config_bytes
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.record import METRICS_FILE, read_record
from m3amba_zoo.hub.index import PublishedModel
from m3amba_zoo.models.baselines.kept import FILE as KEPT
from m3amba_zoo.models.baselines.kept import TILE, read_kept
from m3amba_zoo.models.preprocessor import RasterPreprocessor
from m3amba_zoo.models.pretreatment import Standardize
from m3amba_zoo.models.weights import load_weights, trained_weights
from m3amba_zoo.models.window_classifier import WindowClassifier
from m3amba_zoo.rasters.matching import KnownBands
from m3amba_zoo.registry import CLASSIFIERS, MODELS
from m3amba_zoo.scenes.encoding import Recipe
from m3amba_zoo.scenes.palette import safe_color
from m3amba_zoo.scenes.scene import LandClass
from m3amba_zoo.system import sha256_of

README = "README.md"
GOLDEN = "golden.safetensors"  # a card's fixed input and the model's logits of it
EXPECTED = "a work dir of 'm3amba train' is expected, or a folder with config.py and a .safetensors file"


class TrainedModel(NamedTuple):
    """A model with its weights.

    Attributes:
        model: on the CPU.
        window: S in pixels, the side of the windows it is evaluated on, without the model's margin.
        classes: names and colours from ``metrics.json`` beside the weights; numbers if that is absent.
        tags: what a map's file says of the model: its name, the sha256 of its weights, its data and split.
        bands: what is known of the bands by modality, by that file and by the weights; also of those that an
            encoder reads.
        recipe: of the modality that an encoder's features are, None if there is none.
        config: of the training.
    """

    model: WindowClassifier
    window: int
    classes: tuple[LandClass, ...]
    bands: Mapping[str, KnownBands]
    tags: Mapping[str, str]
    recipe: Recipe | None = None
    config: Config | None = None

    @classmethod
    def from_folder(
        cls, folder: Path, pretrained: bool = True, published: PublishedModel | None = None
    ) -> TrainedModel:
        """Load the model of a model card, or of a work dir with the weights that its test took.

        Args:
            folder: the card or work dir.
            pretrained: False leaves the network with random weights.
            published: what the index says of the card. Config, weights and metrics are then each read once,
                compared with it, and taken from these very bytes. None reads what lies there.

        Raises:
            InputError: if the folder is neither; or as ``from_files``; or if a file is not the published one.
        """
        if not folder.is_dir():
            found = "is a file" if folder.exists() else "no such folder"
            raise InputError(f"{folder}: {found}; {EXPECTED}")
        configs = visible_files(folder, "*.py")
        if len(configs) != 1:
            names = ", ".join(path.name for path in configs)
            found = f"{len(configs)} configs ({names})" if configs else "no config (*.py)"
            raise InputError(f"{folder}: holds {found}; {EXPECTED}")
        weights = folder / published.weights if published else None

        def find() -> Path | None:
            return (weights or find_weights(folder)) if pretrained else None

        return cls._of(configs[0], find, folder / METRICS_FILE, folder.resolve().name, published)

    @classmethod
    def from_files(cls, config: Path, weights: Path) -> TrainedModel:
        """Load a model from a config and a checkpoint or ``.safetensors`` file.

        Raises:
            InputError: if a file is absent or damaged, or the two do not fit.
        """
        return cls._of(config, lambda: weights, weights.parent / METRICS_FILE, weights.stem)

    @classmethod
    def _of(
        cls,
        path: Path,
        find: Callable[[], Path | None],
        metrics: Path,
        name: str,
        published: PublishedModel | None = None,
    ) -> TrainedModel:
        config, model, weights = _build_model(path, find, published)
        record = _Record.read(metrics, published)
        recipe = _recipe(config, model)
        tags = {"MODEL": name}
        if weights is not None:
            tags["WEIGHTS_SHA256"] = (
                sha256_of(weights) if published is None else published.file(weights.name).sha256
            )
        window = _window(config, path)
        return cls(model, window, *record.describe(model, recipe), tags | record.tags(), recipe, config)


def visible_files(folder: Path, pattern: str) -> list[Path]:
    """Return a folder's files that match a pattern, sorted, without hidden ones, which desktops leave."""
    return [path for path in sorted(folder.glob(pattern)) if not path.name.startswith(".")]


def find_weights(folder: Path) -> Path:
    """Return the weights that a training chose, or a card's.

    Raises:
        InputError: as in ``trained_weights``; or if a card does not have exactly one weights file.
    """
    if trained := trained_weights(folder):
        return trained
    weights = [path for path in visible_files(folder, "*.safetensors") if path.name != GOLDEN]
    if len(weights) != 1:
        names = ", ".join(path.name for path in weights)
        found = f"{len(weights)} weights files ({names})" if weights else "no weights"
        raise InputError(f"{folder}: holds {found}; {EXPECTED}")
    return weights[0]


def read_own_record(path: Path) -> Mapping[str, Any]:
    """Return the record of the weights in a folder from a run's or a card's metrics.json.

    A card's file has one record per run: the one of the published seed is returned.

    Raises:
        InputError: if the file cannot be read, is not JSON, or lacks the run whose weights these are.
    """
    return _own_run(read_record(path), path)


def _own_run(content: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    if "runs" not in content:
        return content
    run = content["runs"].get(str(content.get("seed")))
    if run is None:
        raise InputError(f"{path}: expected 'seed', and a run of this seed in 'runs'")
    return run


def _build_model(
    path: Path, find: Callable[[], Path | None], published: PublishedModel | None
) -> tuple[Config, WindowClassifier, Path | None]:
    """Build the model of a config, with the weights that ``find`` returns once the model is built."""
    config = read_config(path) if published is None else read_config_bytes(published.read(path), path)
    if config.get("classifier") is not None:
        kind = config.classifier.type
        if getattr(CLASSIFIERS.get(kind), "fitted", None) is None:
            raise InputError(f"{path}: a {kind} keeps nothing, so that it predicts no other rasters")
        weights = find()
        return config, read_kept(weights or path.parent / KEPT, config.classifier.to_dict()), weights
    if "model" not in config:
        raise InputError(f"{path}: has no 'model', expected the config of a training")
    model = MODELS.build(config.model)
    if not isinstance(model, WindowClassifier):
        raise InputError(f"{path}: model is a {type(model).__name__}, expected a WindowClassifier")
    weights = find()
    if weights is not None:
        load_weights(model, weights, None if published is None else published.read(weights))
    return config, model, weights


def _window(config: Config, path: Path) -> int:
    if config.get("classifier") is not None:
        return TILE
    evaluation = (config.get("test_dataloader") or {}).get("dataset") or {}
    window = evaluation.get("window", config.model.get("window"))
    if window is None:
        raise InputError(f"{path}: neither test_dataloader.dataset nor model has a 'window'")
    return int(window)


def _recipe(config: Config, model: WindowClassifier) -> Recipe | None:
    """Return what makes the features that a model reads."""
    dataset = (config.get("test_dataloader") or {}).get("dataset") or {}
    recipe = Recipe.of_source(dataset.get("source", config.get("source")))
    return recipe if recipe is not None and recipe.name in model.in_channels else None


def _with_statistics(known: KnownBands, modality: str, model: WindowClassifier) -> KnownBands:
    """Take mean and deviation of the training pixels from the weights, if a record does not have them."""
    preprocessor = model.data_preprocessor
    if known.mean or not isinstance(preprocessor, RasterPreprocessor) or not preprocessor.fitted:
        return known
    first = next(iter(preprocessor.steps_of(modality)), None)
    if not isinstance(first, Standardize):
        return known
    return replace(known, mean=tuple(first.mean.tolist()), std=tuple(first.std.tolist()))


class _Record(NamedTuple):
    """The metrics.json of a run or a card; nothing is known where it is absent."""

    path: Path
    content: Mapping[str, Any] | None

    @classmethod
    def read(cls, path: Path, published: PublishedModel | None) -> _Record:
        if not path.is_file():
            return cls(path, None)
        return cls(path, read_record(path, None if published is None else published.read(path)))

    def tags(self) -> dict[str, str]:
        """Return a map's tags on what the model was trained on."""
        own = _own_run(self.content, self.path) if self.content is not None else {}
        if "dataset" not in own or "name" not in own.get("split", {}):
            return {}
        return {"TRAINED_ON": own["dataset"], "SPLIT": own["split"]["name"]}

    def describe(
        self, model: WindowClassifier, recipe: Recipe | None
    ) -> tuple[tuple[LandClass, ...], dict[str, KnownBands]]:
        """Return the class table and what is known of the bands.

        Raises:
            InputError: if it has other numbers of classes or bands than the model.
        """
        count = model.num_classes
        if self.content is None:
            plain = {m: _with_statistics(KnownBands(n), m, model) for m, n in model.in_channels.items()}
            return tuple(LandClass(f"class {k + 1}", safe_color(k)) for k in range(count)), plain
        classes = [
            LandClass(entry["name"], tuple(entry.get("color") or safe_color(k)))  # type: ignore[arg-type]
            for k, entry in enumerate(_own_run(self.content, self.path).get("per_class", []))
        ]
        if len(classes) != count:
            raise InputError(f"{self.path}: names {len(classes)} classes, but the model has {count}")
        inputs = {m: KnownBands.from_json(entry) for m, entry in self.content.get("inputs", {}).items()}
        bands = {m: inputs[m] for m in model.in_channels if m in inputs}
        of_encoder = bands[recipe.name].read_from if recipe and recipe.name in bands else ()
        beside = {m: inputs[m] for m in of_encoder if m not in bands and m in inputs}
        bands = {m: bands.get(m) or KnownBands(count) for m, count in model.in_channels.items()}
        bands = {m: _with_statistics(known, m, model) for m, known in bands.items()}
        for modality, known in bands.items():
            if known.count != model.in_channels[modality]:
                raise InputError(
                    f"{self.path}: 'inputs' has {known.count} bands of '{modality}', but the model has "
                    f"{model.in_channels[modality]}"
                )
        return tuple(classes), {**bands, **beside}
