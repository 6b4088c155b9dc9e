"""Baselines to compare M3amba with: networks written from their papers, and classical pixel classifiers."""

from m3amba_zoo.models.baselines.backbone_classifier import BackboneClassifier
from m3amba_zoo.models.baselines.classical import (
    SVM,
    PixelClassifier,
    Position,
    RandomForest,
    ShrinkageLDA,
    SpectralClassifier,
)
from m3amba_zoo.models.baselines.endnet import EndNet
from m3amba_zoo.models.baselines.exvit import ExViT
from m3amba_zoo.models.baselines.fusatnet import FusAtNet
from m3amba_zoo.models.baselines.mamba_hsi import MambaHSI
from m3amba_zoo.models.baselines.mft import MFT
from m3amba_zoo.models.baselines.msfmamba import MSFMamba
from m3amba_zoo.models.baselines.s2enet import S2ENet
from m3amba_zoo.models.baselines.spectra import PixelSpectra
from m3amba_zoo.models.baselines.spectralformer import SpectralFormer
from m3amba_zoo.models.baselines.two_branch_cnn import TwoBranchCNN

__all__ = [
    "MFT",
    "SVM",
    "BackboneClassifier",
    "EndNet",
    "ExViT",
    "FusAtNet",
    "MSFMamba",
    "MambaHSI",
    "PixelClassifier",
    "PixelSpectra",
    "Position",
    "RandomForest",
    "S2ENet",
    "ShrinkageLDA",
    "SpectralClassifier",
    "SpectralFormer",
    "TwoBranchCNN",
]
