"""Lets MMEngine find installed packages on a Python without pkg_resources."""

from __future__ import annotations

from importlib.metadata import packages_distributions
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import mmengine.config.config
import mmengine.utils.package_utils


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
