"""Finds the modules of users that a config names, for every command alike.

They are looked for in the config's folder and in the folders that a training wrote into the config of its
work dir, after all that is installed; never in the working directory, which may be a stranger's folder.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from m3amba_zoo.config.options import IMPORTS_FROM, dicts_in
from m3amba_zoo.errors import InputError, one_line

CUSTOM_IMPORTS = "custom_imports"


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
    folders = list(map(Path, dict.fromkeys(map(str, _folders(config, path)))))
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
