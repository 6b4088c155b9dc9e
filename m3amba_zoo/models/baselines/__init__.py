"""The networks that M3amba is compared with, written from their papers; importing registers them."""

from m3amba_zoo.models.baselines.backbone_classifier import BackboneClassifier
from m3amba_zoo.models.baselines.exvit import ExViT
from m3amba_zoo.models.baselines.mamba_hsi import MambaHSI
from m3amba_zoo.models.baselines.mft import MFT
from m3amba_zoo.models.baselines.msfmamba import MSFMamba
from m3amba_zoo.models.baselines.spectralformer import SpectralFormer

__all__ = ["MFT", "BackboneClassifier", "ExViT", "MSFMamba", "MambaHSI", "SpectralFormer"]
