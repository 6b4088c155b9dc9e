"""Weights of a trained model as the start of another: other bands, classes, modalities."""

from m3amba_zoo.transfer.facts import ModalityFacts, ModelFacts, describe_model
from m3amba_zoo.transfer.hook import InitFromHook
from m3amba_zoo.transfer.report import TransferReport
from m3amba_zoo.transfer.resampling import resampling_matrix
from m3amba_zoo.transfer.weights import transfer_weights

__all__ = [
    "InitFromHook",
    "ModalityFacts",
    "ModelFacts",
    "TransferReport",
    "describe_model",
    "resampling_matrix",
    "transfer_weights",
]
