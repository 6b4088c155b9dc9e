"""Starts a model from another's weights although bands, classes or modalities differ."""

from m3amba_zoo.rasters.resampling import resampling_matrix
from m3amba_zoo.transfer.facts import ModalityFacts, ModelFacts, describe_model
from m3amba_zoo.transfer.init_from import InitFromHook, open_source
from m3amba_zoo.transfer.weights import TransferReport, transfer_weights

__all__ = [
    "InitFromHook",
    "ModalityFacts",
    "ModelFacts",
    "TransferReport",
    "describe_model",
    "open_source",
    "resampling_matrix",
    "transfer_weights",
]
