"""Weights: the authors' checkpoints in our names."""

from m3amba_zoo.hub.convert_reference import convert_reference

__all__ = ["convert_reference"]
