"""Weights: published models by name, trained models from files, the authors' checkpoints in our names."""

from m3amba_zoo.hub.reference_checkpoint import convert_reference
from m3amba_zoo.hub.resolve import find_card, find_model, get_model, list_models
from m3amba_zoo.hub.trained_model import TrainedModel

__all__ = ["TrainedModel", "convert_reference", "find_card", "find_model", "get_model", "list_models"]
