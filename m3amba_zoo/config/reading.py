"""Reads config files by path or name, with a dataset for recipes; works without pkg_resources.

Modules of users that a config names are looked for in the config's folder and in the folders that a training
wrote into the config of its work dir, after all that is installed; never in the working directory, which may
be a stranger's folder.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from itertools import accumulate, chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mmengine.config.config
from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from m3amba_zoo.config.completion import complete
from m3amba_zoo.config.options import (
    IMPORTS_FROM,
    apply_options,
    dicts_in,
    refuse_misspelt,
    require_read,
    set_seed,
)
from m3amba_zoo.config.shapes import require_shapes, require_types
from m3amba_zoo.config.shipped import (
    DATASET_FOLDER,
    DATASET_VARIABLE,
    OWN_SCENE,
    OWN_SPLIT,
    SCHEME,
    SHIPPED,
    dataset_configs,
    find_base,
    find_config,
)
from m3amba_zoo.errors import InputError, close_names, one_line

SCENE_VARIABLE, SPLIT_VARIABLE = "M3AMBA_SCENE", "M3AMBA_SPLIT"
SCENE_FILE, SPLIT_FILE, CONFIG_FILE = "scene.yaml", "split.npz", "config.py"
"""What ``m3amba new scene`` writes into a folder."""
OF_THE_DATA = ("modalities", "window", "pretreatment")
"""What a scene's own config says of its data, whatever the model."""
_READING = threading.RLock()  # a file is read with variables of the process
_MMENGINE_BASE_PATH = Config._get_cfg_path
CUSTOM_IMPORTS = "custom_imports"


def read_config(
    path: str | Path, data: str | Path | None = None, options: Sequence[str] = (), seed: int | None = None
) -> Config:
    """Read a config, change it, and complete it from its source and model.

    Args:
        path: the config file, or the name of one that comes with the package (``find_config``).
        data: the dataset of a recipe: a name in ``_base_/datasets``, a dataset's file, or a user's own
            ``scene.yaml`` or its folder. A ``split.npz`` beside it is its split, and what a ``config.py``
            there says of the data holds. None takes the recipe's default.
        options: ``KEY=VALUE`` changes.
        seed: of the run, its validation pixels and random splits (``set_seed``); None keeps the config's.

    Raises:
        InputError: if the file or the dataset does not exist or cannot be read, a module of the user cannot
            be imported, ``data`` is given for a config that has its own dataset, or as ``refuse_misspelt``,
            ``apply_options`` and ``complete`` do.
    """
    config = read_raw(path, data)
    require_shapes(config)
    require_types(config)
    refuse_misspelt(config)
    try:
        apply_options(config, options)
        require_shapes(config)
        if seed is not None:
            set_seed(config, seed)
        require_read(config, options, complete(config))
    except InputError as error:
        if str(config.filename) in str(error):
            raise
        raise type(error)(f"{config.filename}: {error}") from error
    return config


def read_config_bytes(content: bytes, path: Path) -> Config:
    """Read a config whose bytes were read already, such as a card's, of which the hash was compared.

    It is executed from a folder that only this user can write to, whatever happened to ``path`` since.

    Raises:
        InputError: as ``read_config``.
    """
    with TemporaryDirectory() as folder:
        copy = Path(folder, path.name)
        copy.write_bytes(content)
        try:
            config = read_config(copy)
        except InputError as error:
            raise InputError(str(error).replace(str(copy), str(path))) from error
    vars(config)["_filename"] = str(path)
    return config


def read_raw(path: str | Path, data: str | Path | None = None) -> Config:
    """Read a config as its files state it, without completing it; import the modules that it names.

    Raises:
        InputError: as ``read_config`` does.
    """
    path = find_config(path)
    data = None if data is None else _scene_of(str(data))
    environment = {} if data is None else _dataset_variables(path, data)
    try:
        with _mmengine_for_reading(environment):
            with importable(path.resolve().parent):
                config = Config.fromfile(path, import_custom_modules=False)
            import_custom(config, path)
    except InputError:
        raise
    except Exception as error:  # a config is Python code and may raise anything
        raise InputError(f"{path}: the config cannot be read: {one_line(error)}") from error
    if environment and (environment[DATASET_VARIABLE] not in config.text or _states_source(path)):
        raise InputError(f"--data {data}: {path} has its own dataset, expected a recipe such as m3amba.py")
    if SPLIT_VARIABLE in environment:
        _take_data(config, Path(environment[SPLIT_VARIABLE]).with_name(CONFIG_FILE))
    if data is not None:  # "-", so that no leaf config has the same name
        file = Path(data)
        config.experiment_name = (
            f"{path.stem}-{file.resolve().parent.name if file.stem == 'scene' else file.stem}"
        )
    return config


def _scene_of(data: str) -> str:
    """Return the ``scene.yaml`` in a folder; anything else as it is. A dataset's name goes before a folder's.

    Raises:
        InputError: if it is a split, which names no scene.
    """
    path = Path(data)
    if data not in dataset_configs() and (path / SCENE_FILE).is_file():
        return str(path / SCENE_FILE)
    if path.suffix == ".npz":
        raise InputError(f"--data {data}: is a split; expected the folder of its scene, or a {SCENE_FILE}")
    return data


def _take_data(config: Config, own: Path) -> None:
    """Take over what the config beside a split says of the data, if there is one."""
    if own.is_file():
        stated = read_raw(own)
        for key in OF_THE_DATA:
            # a name is of the pretreatments of the recipe's own dataset
            if stated.get(key) is not None and not isinstance(stated[key], str):
                config[key] = stated[key]


def _states_source(path: Path) -> bool:
    """Return whether a file states a source itself, which goes before that of the dataset it inherits."""
    return re.search(r"^source\s*=", path.read_text(encoding="utf-8"), re.MULTILINE) is not None


def _dataset_variables(config: Path, data: str) -> dict[str, str]:
    """Return the environment variables that give a recipe its dataset."""
    if set(data) & set("\\'\""):  # MMEngine puts the path between quotes
        raise InputError(f"--data {data}: a path without backslashes and quotes is expected")
    if Path(data).suffix in (".yaml", ".yml"):
        if not Path(data).is_file():
            raise InputError(f"--data {data}: no such scene file")
        split = Path(data).with_name(SPLIT_FILE)
        name, of_split = (OWN_SPLIT, {SPLIT_VARIABLE: str(split)}) if split.is_file() else (OWN_SCENE, {})
        return {DATASET_VARIABLE: str(_find_dataset(config, name)), SCENE_VARIABLE: data, **of_split}
    if Path(data).suffix == ".py":
        if not Path(data).is_file():
            raise InputError(f"--data {data}: no such dataset file")
        if {"model", "classifier"} & read_raw(data).keys():
            folder = Path(data).parent
            raise InputError(
                f"--data {data}: is the config of a whole training; expected a dataset's name, a scene's "
                f"folder or its {SCENE_FILE}"
                + (f", such as --data {folder}" if (folder / SCENE_FILE).is_file() else "")
            )
        return {DATASET_VARIABLE: str(Path(data).resolve())}
    return {DATASET_VARIABLE: str(_find_dataset(config, data))}


def _find_dataset(config: Path, name: str) -> Path:
    folders = [folder / DATASET_FOLDER for folder in (*config.resolve().parents, SHIPPED)]
    folder = next((folder for folder in folders if folder.is_dir()), None)
    if folder is None:
        raise InputError(f"--data {name}: no folder {DATASET_FOLDER} beside or above {config}")
    known = dataset_configs(folder)
    if name not in (*known, OWN_SCENE, OWN_SPLIT) and Path(name).is_dir():
        raise InputError(
            f"--data {name}: the folder has no {SCENE_FILE}; expected one that 'm3amba new scene' made"
        )
    if name not in (*known, OWN_SCENE, OWN_SPLIT):
        hint = close_names(name, known) or f"known: {', '.join(known)}"
        raise InputError(f"--data {name}: no such dataset in {folder}; {hint}")
    return folder / f"{name}.py"


@contextmanager
def _mmengine_for_reading(environment: dict[str, str]) -> Iterator[None]:
    """Set the dataset's variables, and let MMEngine find what configs inherit from, for a while.

    MMEngine 0.10 needs pkg_resources, which setuptools has dropped, for configs that inherit from packages
    (``mmpretrain::_base_/default_runtime.py``), and knows only packages of OpenMMLab. At the end MMEngine and
    the environment are as before.
    """
    ours = [
        (mmengine.config.config, "get_installed_path", installed_path),
        (mmengine.config.config, "is_installed", is_installed),
        (Config, "_get_cfg_path", staticmethod(_base_path)),
    ]
    with _READING:
        yield from _exchanged(ours, environment)


def _exchanged(ours: Sequence[tuple[Any, str, Any]], environment: dict[str, str]) -> Iterator[None]:
    theirs = [(owner, name, vars(owner)[name]) for owner, name, _ in ours]
    before = {name: os.environ.pop(name, None) for name in (DATASET_VARIABLE, SCENE_VARIABLE, SPLIT_VARIABLE)}
    disabled = logging.root.manager.disable
    try:
        logging.disable(max(disabled, logging.INFO))  # MMEngine logs every variable that it reads
        os.environ.update(environment)
        for owner, name, value in ours:
            setattr(owner, name, value)
        yield
    finally:
        logging.disable(disabled)
        for owner, name, value in theirs:
            setattr(owner, name, value)
        for variable, was in before.items():
            os.environ.pop(variable, None)
            if was is not None:
                os.environ[variable] = was


def _base_path(base: str, config: str) -> tuple[str, str | None]:
    """Return the path of a base and the scope of its package, as MMEngine asks for them."""
    return (str(find_base(base)), None) if base.startswith(SCHEME) else _MMENGINE_BASE_PATH(base, config)


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


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Let a config in this folder import from there, while it is read."""
    before = list(sys.path)
    _append([folder])
    try:
        yield
    finally:
        sys.path[:] = before


def import_custom(config: Config, path: Path) -> None:
    """Import what ``custom_imports`` names, and write the folders of a user's modules into the config.

    Where a user has modules, these folders stay on ``sys.path``: processes that load data, and types such as
    ``my_adapters.SpectralAdapter``, import later.

    Args:
        config: as its files state it.
        path: of its file.

    Raises:
        InputError: if a module cannot be imported; the message has the reason and the folders.
    """
    custom = config.get(CUSTOM_IMPORTS)
    folders = list(dict.fromkeys(_folders(config, path)))
    used = [str(folder) for folder in folders if any(_lies_in(folder, name) for name in _modules(config))]
    if used:
        config[IMPORTS_FROM] = used
    if used or custom:
        _append(folders)
    if not custom:
        return
    try:
        import_modules_from_strings(**custom)
    except ImportError as error:
        cause = error.__context__ or error  # MMEngine's own error has no reason
        looked = ", ".join(map(str, folders))
        raise InputError(
            f"{path}: custom_imports cannot be imported: {one_line(cause)} (looked for in {looked} and among "
            "what is installed)"
        ) from error
    except Exception as error:  # a user's module may raise anything
        raise InputError(f"{path}: custom_imports cannot be imported: {one_line(error)}") from error


def _folders(config: Config, path: Path) -> Iterator[Path]:
    yield path.resolve().parent
    recorded: Any = config.get(IMPORTS_FROM) or ()
    yield from map(Path, [recorded] if isinstance(recorded, str) else recorded)


def _append(folders: Iterable[Path]) -> None:
    sys.path.extend(folder for folder in map(str, folders) if folder not in sys.path)


def _modules(config: Config) -> list[str]:
    """Return the dotted names in ``custom_imports`` and in types of a config in which a module may stand."""
    named = (config.get(CUSTOM_IMPORTS) or {}).get("imports") or []
    types = (node.get("type") for node in dicts_in(config.to_dict()))
    names = [*([named] if isinstance(named, str) else named), *types]
    return [name for name in names if isinstance(name, str)]


def _lies_in(folder: Path, dotted: str) -> bool:
    """Return whether the module, or the package that holds it, is a file of a folder."""
    places = accumulate(dotted.split("."), Path.joinpath, initial=folder)
    next(places)
    return any(place.with_suffix(".py").is_file() or (place / "__init__.py").is_file() for place in places)
