"""Weights: published models by name, trained models from files, the authors' checkpoints in our names.

Names are imported at first use, so that models are listed without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from m3amba_zoo.hub.reference_checkpoint import convert_reference
    from m3amba_zoo.hub.resolve import find_card, get_model, list_models, locate
    from m3amba_zoo.hub.trained_model import TrainedModel

__all__ = ["TrainedModel", "convert_reference", "find_card", "get_model", "list_models", "locate"]

# where each public name is defined
_DEFINED_IN = {
    "TrainedModel": "trained_model",
    "convert_reference": "reference_checkpoint",
    "find_card": "resolve",
    "get_model": "resolve",
    "list_models": "resolve",
    "locate": "resolve",
}


def __getattr__(name: str) -> Any:
    if name not in _DEFINED_IN:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_DEFINED_IN[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
