"""Reads config files, with a dataset for recipes; works without pkg_resources."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from types import ModuleType

import mmengine.config.config
from mmengine.config import Config

from m3amba_zoo.config.completion import complete
from m3amba_zoo.config.options import apply_options, require_read, set_seed
from m3amba_zoo.errors import InputError, close_names, one_line

DATASET_VARIABLE = "M3AMBA_DATASET"
"""Recipes contain ``{{$M3AMBA_DATASET:...}}`` in place of the dataset's file."""
SCENE_VARIABLE = "M3AMBA_SCENE"
DATASET_FOLDER = Path("_base_", "datasets")
SHARED = ("windows", "hyperspectral")  # what datasets inherit from
OWN_SCENE = "own_scene"  # the dataset that reads a scene.yaml
CHECKOUT_CONFIGS = Path(__file__).resolve().parents[2] / "configs"
_READING = threading.RLock()  # a file is read with variables of the process


def read_config(
    path: Path, data: str | Path | None = None, options: Sequence[str] = (), seed: int | None = None
) -> Config:
    """Read a config, change it, and complete it from its source and model.

    Args:
        path: the config file.
        data: the dataset of a recipe: a name in ``_base_/datasets``, a dataset's file, or a user's own
            ``scene.yaml``. None takes the recipe's default.
        options: ``KEY=VALUE`` changes.
        seed: of the run, its validation pixels and random splits (``set_seed``); None keeps the config's.

    Raises:
        InputError: if the file or the dataset does not exist or cannot be read, if ``data`` is given for a
            config that has its own dataset, or as ``apply_options`` and ``complete`` do.
    """
    config = read_raw(path, data)
    apply_options(config, options)
    if seed is not None:
        set_seed(config, seed)
    require_read(config, options, complete(config))
    return config


def read_raw(path: Path, data: str | Path | None = None) -> Config:
    """Read a config as its files state it, without completing it.

    Raises:
        InputError: as ``read_config`` does.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such config")
    environment = {} if data is None else _dataset_variables(path, str(data))
    try:
        with _mmengine_for_reading(environment):
            config = Config.fromfile(path)
    except InputError:
        raise
    except Exception as error:  # a config is Python code and may raise anything
        raise InputError(f"{path}: the config cannot be read: {one_line(error)}") from error
    if environment and environment[DATASET_VARIABLE] not in config.text:
        raise InputError(f"--data {data}: {path} has its own dataset, expected a recipe such as m3amba.py")
    if data is not None:  # "-", so that no leaf config has the same name
        file = Path(str(data))
        config.experiment_name = (
            f"{path.stem}-{file.resolve().parent.name if file.stem == 'scene' else file.stem}"
        )
    return config


def _dataset_variables(config: Path, data: str) -> dict[str, str]:
    """Return the environment variables that give a recipe its dataset."""
    if set(data) & set("\\'\""):  # MMEngine puts the path between quotes
        raise InputError(f"--data {data}: a path without backslashes and quotes is expected")
    if Path(data).suffix in (".yaml", ".yml"):
        if not Path(data).is_file():
            raise InputError(f"--data {data}: no such scene file")
        return {DATASET_VARIABLE: str(_find_dataset(config, OWN_SCENE)), SCENE_VARIABLE: data}
    if Path(data).suffix == ".py":
        if not Path(data).is_file():
            raise InputError(f"--data {data}: no such dataset file")
        return {DATASET_VARIABLE: str(Path(data).resolve())}
    return {DATASET_VARIABLE: str(_find_dataset(config, data))}


def _find_dataset(config: Path, name: str) -> Path:
    folders = [folder / DATASET_FOLDER for folder in (*config.resolve().parents, CHECKOUT_CONFIGS)]
    folder = next((folder for folder in folders if folder.is_dir()), None)
    if folder is None:
        raise InputError(f"--data {name}: no folder {DATASET_FOLDER} beside or above {config}")
    known = sorted(path.stem for path in folder.glob("*.py") if path.stem not in (*SHARED, OWN_SCENE))
    if name not in (*known, OWN_SCENE):
        hint = close_names(name, known) or f"known: {', '.join(known)}"
        raise InputError(f"--data {name}: no such dataset in {folder}; {hint}")
    return folder / f"{name}.py"


@contextmanager
def _mmengine_for_reading(environment: dict[str, str]) -> Iterator[None]:
    """Set the dataset's variables, and let MMEngine find packages without pkg_resources, for a while.

    MMEngine 0.10 needs pkg_resources, which setuptools has dropped, for configs that inherit from packages
    (``mmpretrain::_base_/default_runtime.py``). At the end MMEngine and the environment are as before.
    """
    module = mmengine.config.config
    ours = {"get_installed_path": installed_path, "is_installed": is_installed}
    with _READING:
        yield from _exchanged(module, ours, environment)


def _exchanged(module: ModuleType, ours: dict[str, Callable], environment: dict[str, str]) -> Iterator[None]:
    theirs = {name: getattr(module, name) for name in ours}
    before = {name: os.environ.pop(name, None) for name in (DATASET_VARIABLE, SCENE_VARIABLE)}
    disabled = logging.root.manager.disable
    try:
        logging.disable(max(disabled, logging.INFO))  # MMEngine logs every variable that it reads
        os.environ.update(environment)
        for name, function in ours.items():
            setattr(module, name, function)
        yield
    finally:
        logging.disable(disabled)
        for name, function in theirs.items():
            setattr(module, name, function)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def installed_path(package: str) -> str:
    """Return the folder of an installed package.

    Args:
        package: the name of its module or of its distribution.

    Raises:
        ModuleNotFoundError: if it is not installed.
    """
    named = (module for module, owners in packages_distributions().items() if package in owners)
    for module in chain([package], named):
        spec = find_spec(module) if module.isidentifier() else None
        if spec is not None and spec.origin is not None:
            return str(Path(spec.origin).parent)
    raise ModuleNotFoundError(f"{package} is not installed")


def is_installed(package: str) -> bool:
    """Return whether a package can be imported."""
    try:
        installed_path(package)
    except ModuleNotFoundError:
        return False
    return True
