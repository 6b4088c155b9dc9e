"""A model zoo for pixel classification of multi-modal remote-sensing imagery, around M3amba.

Names are imported at first use, so that ``import m3amba_zoo`` is fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from m3amba_zoo.hub import get_model, list_models
    from m3amba_zoo.inference import Predictor
    from m3amba_zoo.models.m3amba import m3amba  # the function, not the module of this name

    __version__: str

__all__ = ["Predictor", "__version__", "get_model", "list_models", "m3amba"]

# where each public name is defined
_DEFINED_IN = {
    "Predictor": "m3amba_zoo.inference",
    "get_model": "m3amba_zoo.hub",
    "list_models": "m3amba_zoo.hub",
    "m3amba": "m3amba_zoo.models",
}
_SUBPACKAGES = ("hub", "ops")


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("m3amba_zoo")
    elif name in _SUBPACKAGES:
        value = import_module(f"{__name__}.{name}")
    elif name in _DEFINED_IN:
        value = getattr(import_module(_DEFINED_IN[name]), name)
    else:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
