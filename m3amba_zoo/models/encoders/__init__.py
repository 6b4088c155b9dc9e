"""Frozen pretrained encoders; importing registers them in ``BACKBONES``."""

from m3amba_zoo.models.encoders.clip import ClipImageEncoder
from m3amba_zoo.models.encoders.encoder import Encoder, NeededBand, Needs
from m3amba_zoo.models.encoders.galileo import GalileoEncoder

__all__ = ["ClipImageEncoder", "Encoder", "GalileoEncoder", "NeededBand", "Needs"]
