"""The networks that M3amba is compared with, written from their papers; importing registers them."""

from m3amba_zoo.models.baselines.backbone_classifier import BackboneClassifier
from m3amba_zoo.models.baselines.endnet import EndNet
from m3amba_zoo.models.baselines.exvit import ExViT
from m3amba_zoo.models.baselines.fusatnet import FusAtNet
from m3amba_zoo.models.baselines.mamba_hsi import MambaHSI
from m3amba_zoo.models.baselines.mft import MFT
from m3amba_zoo.models.baselines.msfmamba import MSFMamba
from m3amba_zoo.models.baselines.s2enet import S2ENet
from m3amba_zoo.models.baselines.spectralformer import SpectralFormer
from m3amba_zoo.models.baselines.two_branch_cnn import TwoBranchCNN

__all__ = [
    "MFT",
    "BackboneClassifier",
    "EndNet",
    "ExViT",
    "FusAtNet",
    "MSFMamba",
    "MambaHSI",
    "S2ENet",
    "SpectralFormer",
    "TwoBranchCNN",
]
