"""The zoo's registries: children of MMEngine's, so that configs can mix parts of the zoo and of mmpretrain.

``BACKBONES``, ``NECKS`` and ``HEADS`` are kinds of parts of one registry, ``MODELS``, because MMEngine allows
one child per scope and parent (mmpretrain does the same). ``ADAPTERS``, ``SOURCES``, ``SPLITS`` and
``CLASSIFIERS`` (classical models, which need no Runner) have no parent.

A decorator such as ``@ADAPTERS.register_module()`` registers your own class, if its module is imported. Its
module may be imported already, or be named in a config's ``custom_imports`` or by an entry point of the group
``m3amba_zoo.plugins``.
"""

from __future__ import annotations

import inspect
import numbers
import os
import reprlib
import sys
import types
import typing
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import RUNNERS as MMENGINE_RUNNERS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import VISBACKENDS as MMENGINE_VISBACKENDS
from mmengine.registry import Registry

from m3amba_zoo.errors import InputError, close_names

SCOPE = "m3amba_zoo"
PLUGIN_GROUP = "m3amba_zoo.plugins"

PLAIN: dict[Any, tuple[type, ...]] = {
    int: (numbers.Integral,),
    float: (numbers.Real,),
    str: (str,),
    bool: (bool,),
    Path: (str, Path),
    type(None): (type(None),),
}
"""The annotations of arguments that are compared with what is given, and the types that they accept."""
UNIONS = (typing.Union, types.UnionType)
STARRED = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)

_NAMED = os.environ.get("PYTHONPATH", "").split(os.pathsep)
_INSTALLED = [path for path in sys.path if path and (path != os.getcwd() or path in _NAMED)]
_loaded_plugins: set[str] = set()


def load_plugins() -> None:
    """Import each module that an entry point of the group ``m3amba_zoo.plugins`` names, once.

    Packages announce plugins where Python is installed, or where ``PYTHONPATH`` says; not in the working
    directory or beside a config.

    Raises:
        InputError: if a plugin cannot be imported; the message names the plugin and the reason.
    """
    announced = (plugin for found in distributions(path=_INSTALLED) for plugin in found.entry_points)
    for plugin in announced:
        if plugin.group != PLUGIN_GROUP:
            continue
        if plugin.value in _loaded_plugins:
            continue
        _loaded_plugins.add(plugin.value)
        try:
            plugin.load()
        except Exception as error:
            raise InputError(
                f"plugin '{plugin.name}' ({plugin.value}) of the group {PLUGIN_GROUP} cannot be "
                f"imported: {type(error).__name__}: {error}"
            ) from error


class ZooRegistry(Registry):
    """A registry that loads plugins before a lookup and suggests close names."""

    def import_from_location(self) -> None:
        """Import the zoo's modules of this registry and the installed plugins."""
        super().import_from_location()
        load_plugins()

    def names(self) -> list[str]:
        """Return the names registered here, sorted, without those of parents."""
        self.import_from_location()
        return sorted(self.module_dict)

    def build(self, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        """Build an object from ``dict(type=name, ...)``.

        Raises:
            InputError: if no part of that name exists; the message lists close names.
        """
        if isinstance(cfg, dict) and isinstance(cfg.get("type"), str):
            self.check(cfg["type"])
        return super().build(cfg, *args, **kwargs)

    def check(self, name: str) -> None:
        """Raise InputError with close names if ``name`` is not registered here or in a parent."""
        if self.get(name) is not None:
            return
        hint = close_names(name, self.names()) or f"known: {', '.join(self.names())}"
        raise InputError(f"no {self.name} is registered as '{name}'; {hint}")


class Kind:
    """One kind of a registry's parts: it registers, finds and builds them there, and lists its own alone.

    Args:
        registry: holds the parts of all kinds.
        name: of one part of the kind, for messages.
    """

    def __init__(self, registry: ZooRegistry, name: str) -> None:
        self.registry, self.name = registry, name
        self._parts: set[Any] = set()

    def register_module(self, name: Any = None, force: bool = False, module: Any = None) -> Any:
        """Register a part, as a decorator or a function; as ``Registry.register_module``."""
        if module is None:
            return lambda part: self.register_module(name, force, part)
        self.registry.register_module(name, force, module)
        self._parts.add(module)
        return module

    def names(self) -> list[str]:
        """Return the names of the parts of this kind, sorted; those of other kinds are found, too."""
        return [name for name in self.registry.names() if self.module_dict[name] in self._parts]

    def build(self, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        """Build a part from ``dict(type=name, ...)``.

        Raises:
            InputError: if no part of that name exists; the message lists close names.
        """
        if isinstance(cfg, dict) and isinstance(cfg.get("type"), str):
            self.check(cfg["type"])
        return self.registry.build(cfg, *args, **kwargs)

    def check(self, name: str) -> None:
        """Raise InputError with close names if the registry or a parent has no part of this name."""
        if self.get(name) is None:
            hint = close_names(name, self.names()) or f"known: {', '.join(self.names())}"
            raise InputError(f"no {self.name} is registered as '{name}'; {hint}")

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self.registry, attribute)


class SourceRegistry(ZooRegistry):
    """A registry that compares what a config states of a part with the part's arguments."""

    def build(self, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        """Build a source from ``dict(type=name, ...)``.

        Raises:
            InputError: if there is no such source; or it has no such argument, needs another one, or takes a
                number, a text or a truth value where something else is given.
        """
        if isinstance(cfg, dict) and isinstance(cfg.get("type"), str):
            self.check(cfg["type"])
            part = self.get(cfg["type"])
            if inspect.isclass(part):
                _check_arguments(
                    f"{self.name} '{cfg['type']}'", part, {k: v for k, v in cfg.items() if k != "type"}
                )
        return super().build(cfg, *args, **kwargs)


def _check_arguments(whose: str, part: type, given: dict[str, Any]) -> None:
    takes = inspect.signature(part).parameters
    open_end = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in takes.values())
    for name in given:
        if name not in takes and not open_end:
            hint = close_names(str(name), takes) or f"known: {', '.join(takes) or 'none'}"
            raise InputError(f"{whose} takes no '{name}'; {hint}")
    for name, parameter in takes.items():
        needed = parameter.default is inspect.Parameter.empty and parameter.kind not in STARRED
        if needed and name not in given:
            raise InputError(f"{whose} needs '{name}'")
    hints = typing.get_type_hints(part.__init__)  # type: ignore[misc]
    for name, value in given.items():
        of_type: Any = hints.get(name)
        kinds: set[Any] = set(typing.get_args(of_type)) if typing.get_origin(of_type) in UNIONS else {of_type}
        if not kinds <= PLAIN.keys():
            continue
        fits = tuple(kind for plain in kinds for kind in PLAIN[plain])
        if not isinstance(value, fits) or (isinstance(value, bool) and bool not in kinds):
            words = " or ".join(sorted("None" if plain is type(None) else plain.__name__ for plain in kinds))
            raise InputError(f"{whose}: {name} is {reprlib.repr(value)}, expected {words}")


def _child(parent: Registry, *locations: str) -> ZooRegistry:
    return ZooRegistry(
        parent.name, parent=parent, scope=SCOPE, locations=[f"{SCOPE}.{place}" for place in locations]
    )


MODELS = _child(MMENGINE_MODELS, "models")
BACKBONES, NECKS, HEADS = (Kind(MODELS, name) for name in ("backbone", "neck", "head"))
DATASETS = _child(MMENGINE_DATASETS, "datasets")
DATA_SAMPLERS = _child(MMENGINE_DATA_SAMPLERS, "datasets")
TRANSFORMS = _child(MMENGINE_TRANSFORMS, "datasets")
METRICS = _child(MMENGINE_METRICS, "evaluation")
HOOKS = _child(MMENGINE_HOOKS, "engine")
VISBACKENDS = _child(MMENGINE_VISBACKENDS, "engine")
LOOPS = _child(MMENGINE_LOOPS, "engine")
RUNNERS = _child(MMENGINE_RUNNERS, "engine")
OPTIM_WRAPPERS = _child(MMENGINE_OPTIM_WRAPPERS, "engine")
OPTIM_WRAPPER_CONSTRUCTORS = _child(MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS, "engine")

ADAPTERS = ZooRegistry("adapter", scope=SCOPE, locations=[f"{SCOPE}.models"])
SOURCES = SourceRegistry("source", scope=SCOPE, locations=[f"{SCOPE}.scenes"])
SPLITS = ZooRegistry("split", scope=SCOPE, locations=[f"{SCOPE}.splits"])
CLASSIFIERS = ZooRegistry("classifier", scope=SCOPE, locations=[f"{SCOPE}.models"])
