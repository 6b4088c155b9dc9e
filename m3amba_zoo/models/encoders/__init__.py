"""Frozen pretrained encoders; importing registers them in ``BACKBONES``."""

from m3amba_zoo.models.encoders.backbones import MMPretrainEncoder, TimmEncoder
from m3amba_zoo.models.encoders.clip import ClipImageEncoder, text_features, zero_shot
from m3amba_zoo.models.encoders.encoder import Encoder, ImageEncoder, NeededBand, Needs
from m3amba_zoo.models.encoders.files import load_network
from m3amba_zoo.models.encoders.galileo import GalileoEncoder

__all__ = [
    "ClipImageEncoder",
    "Encoder",
    "GalileoEncoder",
    "ImageEncoder",
    "MMPretrainEncoder",
    "NeededBand",
    "Needs",
    "TimmEncoder",
    "load_network",
    "text_features",
    "zero_shot",
]
