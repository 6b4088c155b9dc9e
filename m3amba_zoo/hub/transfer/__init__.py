"""Weights of a trained model as the start of another: other bands, classes, modalities."""

from m3amba_zoo.hub.transfer.facts import ModalityFacts, ModelFacts, describe_model
from m3amba_zoo.hub.transfer.hook import InitFromHook
from m3amba_zoo.hub.transfer.report import TransferReport
from m3amba_zoo.hub.transfer.resampling import resampling_matrix
from m3amba_zoo.hub.transfer.weights import transfer_weights

__all__ = [
    "InitFromHook",
    "ModalityFacts",
    "ModelFacts",
    "TransferReport",
    "describe_model",
    "resampling_matrix",
    "transfer_weights",
]
