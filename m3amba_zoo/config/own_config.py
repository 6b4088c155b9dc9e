"""The config of a user's own scene: a recipe, sized for the data."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m3amba_zoo.config.reading import DATASET_VARIABLE, read_config, read_raw
from m3amba_zoo.config.shipped import SCHEME, find_config, recipes
from m3amba_zoo.errors import InputError

REFERENCE_WINDOW = 16
"""The side of the windows for which recipes state their batch and their number of windows."""
PASSES = 5
"""How often a training should show each training pixel. A recipe's number of windows shows most of hundreds
of thousands of pixels less than once."""
MOST = 4
"""A training has at most so many times the recipe's windows."""
FEWEST_OF_CLASS = 16
"""Windows per epoch around pixels of each class; classes are drawn in turn."""
MOST_BANDS, COMPONENTS = 32, 30
"""A network that reads hundreds of bands takes minutes more; the zoo's own configs read 30 components."""
ENCODED = "encoded"  # the source that adds an encoder's features


@dataclass(frozen=True)
class Recipe:
    """What a recipe says of its training.

    Attributes:
        name: as given.
        base: what a config inherits from.
        window: side of a training window where the model fixes it (a patch), else None.
        classical: whether it is a classical classifier, which is fitted at once.
        batch, windows, epochs: windows at once, windows per epoch, epochs; 0 of classical classifiers.
    """

    name: str
    base: str
    window: int | None
    classical: bool
    batch: int = 0
    windows: int = 0
    epochs: int = 0


@dataclass(frozen=True)
class Training:
    """The size of a training: windows at once, windows per epoch, epochs; and the reason, for people."""

    batch: int
    windows: int
    epochs: int
    reason: str

    def changed(self, batch: int | None, windows: int | None, epochs: int | None) -> Training:
        """Return a training with other numbers; None keeps one."""
        if batch is windows is epochs is None:
            return self
        batch, windows = batch or self.batch, windows or self.windows
        return Training(batch, windows, epochs or self.epochs, f"{-(-windows // batch)} steps an epoch")


def read_recipe(name: str) -> Recipe:
    """Read a recipe of the zoo by its name, or a user's own by its path.

    Raises:
        InputError: if there is no such recipe, or the config has a dataset of its own or needs an encoder's
            features; the message names those that will do.
    """
    path, base = _find(name)
    raw = read_raw(path)
    if DATASET_VARIABLE not in raw.text:
        raise InputError(f"--model {name}: {path.name} has its own dataset, expected {_those_that_can()}")
    if (raw.get("source") or {}).get("type") == ENCODED:
        raise InputError(
            f"--model {name}: reads features that an encoder makes of certain sensors' bands, which "
            f"'m3amba new scene' does not set up (docs/galileo.md has such a config); expected "
            f"{_those_that_can()}"
        )
    config = read_config(path)
    if config.get("model") is None:
        return Recipe(name, base, None, classical=True)
    patch = "patch" in config.model or config.test_dataloader.dataset.get("margin") is not None
    loader = config.train_dataloader
    return Recipe(
        name,
        base,
        int(loader.dataset.window) if patch else None,
        False,
        int(loader.batch_size),
        int(loader.dataset.windows_per_epoch),
        int(config.train_cfg.max_epochs),
    )


def size_training(recipe: Recipe, window: int, pixels: int, shown: float, classes: int) -> Training:
    """Size a training.

    Args:
        recipe: of a network.
        window: side of the training windows in pixels.
        pixels: number of training pixels.
        shown: how many of them a window teaches on average.
        classes: number of classes.
    """
    # windows of another size come in such a number that a step sees as many pixels
    area = 1.0 if recipe.window else (REFERENCE_WINDOW / window) ** 2
    batch = max(1, round(recipe.batch * area))
    windows = batch * (recipe.windows // recipe.batch)
    passes = windows * recipe.epochs * shown / pixels
    factor = min(MOST, max(1, -(-PASSES // passes), -(-FEWEST_OF_CLASS * classes // windows)))
    windows *= int(factor)
    reason = (
        f"{windows // batch} steps an epoch, each training pixel is shown about {passes * factor:,.0f} times"
    )
    return Training(batch, windows, recipe.epochs, reason)


def config_text(
    recipe: Recipe,
    name: str,
    title: str,
    split_comment: Sequence[str],
    modalities: Mapping[str, int],
    window: int,
    window_comment: str,
    training: Training | None,
    pixels: int,
) -> str:
    """Return the text of a config that lies beside ``scene.yaml`` and ``split.npz``.

    Args:
        recipe: what it inherits from.
        name: of the runs' work dir.
        title: the docstring.
        split_comment: lines on the split.
        modalities: bands by modality.
        window: side of the training windows in pixels.
        window_comment: why.
        training: its size; None for a classical classifier.
        pixels: number of training pixels.
    """
    lines = [
        f'"""{title}"""',
        "",
        f"_base_ = {_quoted(recipe.base)}",
        f"experiment_name = {_quoted(name)}  # results go to work_dirs/{name}",
        "",
        "# _delete_: nothing of the recipe's own dataset stays",
        'source = dict(_delete_=True, type="manifest", path="{{ fileDirname }}/scene.yaml")',
        *(f"# {line}" for line in split_comment),
        'split = dict(_delete_=True, type="file", path="{{ fileDirname }}/split.npz")',
        f"modalities = {_quoted(list(modalities))}",
    ]
    if training is not None:
        drawn = f"dict(windows_per_epoch={training.windows})"
        lines += _pretreatment(modalities, pixels)
        lines += [] if recipe.window else [f"# {window_comment}", f"window = {window}"]
        lines += [
            f"# {training.reason}",
            f"train_dataloader = dict(batch_size={training.batch}, dataset={drawn})",
            *([] if recipe.window else [f"test_dataloader = dict(batch_size={training.batch})"]),
            f"train_cfg = dict(max_epochs={training.epochs})",
        ]
    return "\n".join(lines) + "\n"


def _pretreatment(modalities: Mapping[str, int], pixels: int) -> list[str]:
    """Return the lines on the bands' pretreatment."""
    wide = [name for name, bands in modalities.items() if bands > MOST_BANDS]
    components = min(COMPONENTS, pixels - 1)
    if not wide:  # what the recipe says of its own dataset does not hold
        return [
            "# each band is standardised: mean 0 and deviation 1 over the training pixels",
            "pretreatment = dict(_delete_=True)",
        ]
    return [
        f"# bands are standardised; of more than {MOST_BANDS} the network reads {components} components",
        "pretreatment = dict(",
        "    _delete_=True,",
        *(
            f'    {name}=[dict(type="Standardize"), dict(type="PCA", components={components})],'
            for name in wide
        ),
        ")",
    ]


def _find(name: str) -> tuple[Path, str]:
    """Return a recipe's file, and what a config writes to inherit from it."""
    try:
        path = find_config(name)
    except InputError as error:
        raise InputError(f"--model {error}") from error
    return path, os.path.abspath(name) if Path(name).is_file() else f"{SCHEME}{name}"


def _those_that_can() -> str:
    return f"one of {', '.join(recipes())}, or a recipe of yours"


def _quoted(value: Any) -> str:
    """Write a text or a list of texts as Python with double quotes."""
    return json.dumps(value, ensure_ascii=False)
