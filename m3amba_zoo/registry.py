"""The zoo's registries: children of MMEngine's, so that configs can mix parts of the zoo and of mmpretrain.

``BACKBONES``, ``NECKS`` and ``HEADS`` are names for one registry, because MMEngine allows one child per scope
and parent (mmpretrain does the same). ``ADAPTERS``, ``SOURCES``, ``SPLITS`` and ``CLASSIFIERS`` (classical
models, which need no Runner) have no parent.

A decorator such as ``@ADAPTERS.register_module()`` registers your own class, if its module is imported. Its
module may be imported already, or be named in a config's ``custom_imports`` or by an entry point of the group
``m3amba_zoo.plugins``.
"""

from __future__ import annotations

from importlib.metadata import entry_points
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
from mmengine.registry import Registry

from m3amba_zoo.errors import InputError, close_names

SCOPE = "m3amba_zoo"
PLUGIN_GROUP = "m3amba_zoo.plugins"

_loaded_plugins: set[str] = set()


def load_plugins() -> None:
    """Import each module that an entry point of the group ``m3amba_zoo.plugins`` names, once.

    Raises:
        InputError: if a plugin cannot be imported; the message names the plugin and the reason.
    """
    for plugin in entry_points(group=PLUGIN_GROUP):
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


def _child(parent: Registry, *locations: str) -> ZooRegistry:
    return ZooRegistry(
        parent.name, parent=parent, scope=SCOPE, locations=[f"{SCOPE}.{place}" for place in locations]
    )


MODELS = _child(MMENGINE_MODELS, "models")
BACKBONES = NECKS = HEADS = MODELS
DATASETS = _child(MMENGINE_DATASETS, "datasets")
DATA_SAMPLERS = _child(MMENGINE_DATA_SAMPLERS, "datasets")
TRANSFORMS = _child(MMENGINE_TRANSFORMS, "datasets")
METRICS = _child(MMENGINE_METRICS, "evaluation")
HOOKS = _child(MMENGINE_HOOKS, "engine")
LOOPS = _child(MMENGINE_LOOPS, "engine")
RUNNERS = _child(MMENGINE_RUNNERS, "engine")
OPTIM_WRAPPERS = _child(MMENGINE_OPTIM_WRAPPERS, "engine")
OPTIM_WRAPPER_CONSTRUCTORS = _child(MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS, "engine")

ADAPTERS = ZooRegistry("adapter", scope=SCOPE, locations=[f"{SCOPE}.models"])
SOURCES = ZooRegistry("source", scope=SCOPE, locations=[f"{SCOPE}.scenes"])
SPLITS = ZooRegistry("split", scope=SCOPE, locations=[f"{SCOPE}.splits"])
CLASSIFIERS = ZooRegistry("classifier", scope=SCOPE, locations=[f"{SCOPE}.models"])
