"""Reads config files, also those that inherit from installed packages on a Python without pkg_resources."""

from __future__ import annotations

from importlib.metadata import packages_distributions
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import mmengine.config.config
import mmengine.utils.package_utils
from mmengine.config import Config

from m3amba_zoo.errors import InputError, one_line


def read_config_file(path: Path) -> Config:
    """Read a config; ``model.in_channels`` comes in the order of the dataset's modalities.

    MMEngine sorts the keys of a config that it writes, but to a network the order of its modalities matters:
    the first is the spectral one, and bands are laid side by side.

    Raises:
        InputError: there is no such file, or it cannot be read.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such config")
    mend_installed_path()
    try:
        config = Config.fromfile(path)
    except InputError:
        raise
    except Exception as error:  # a config is Python: anything may happen
        raise InputError(f"{path}: the config cannot be read: {one_line(error)}") from error
    _order_modalities(config)
    return config


def _order_modalities(config: Config) -> None:
    plain = config._cfg_dict.to_dict()
    bands = _within(plain, "model", "in_channels")
    modalities = _within(plain, "test_dataloader", "dataset", "modalities")
    if isinstance(bands, dict) and isinstance(modalities, (list, tuple)) and {*bands} == {*modalities}:
        config.model.in_channels = {modality: bands[modality] for modality in modalities}


def _within(node: Any, *keys: str) -> Any:
    for key in keys:
        node = node.get(key) if isinstance(node, dict) else None
    return node


def installed_path(package: str) -> str:
    """Return the folder of an installed package, given by its module's or its distribution's name.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    named = (module for module, owners in packages_distributions().items() if package in owners)
    for module in chain([package], named):
        spec = find_spec(module) if module.isidentifier() else None
        if spec is not None and spec.origin is not None:
            return str(Path(spec.origin).parent)
    raise ModuleNotFoundError(f"{package} is not installed")


def is_installed(package: str) -> bool:
    """Whether a package can be imported."""
    try:
        installed_path(package)
    except ModuleNotFoundError:
        return False
    return True


def mend_installed_path() -> None:
    """Replace MMEngine 0.10's functions, which need the vanished pkg_resources, by these.

    Configs that inherit from other packages (``mmpretrain::_base_/default_runtime.py``) use them.
    """
    for module in (mmengine.config.config, mmengine.utils.package_utils):
        module.get_installed_path = installed_path
        module.is_installed = is_installed
