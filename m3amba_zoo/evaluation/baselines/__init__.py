"""Classical pixel classifiers under the networks' protocol: what a network must be ahead of."""

from m3amba_zoo.evaluation.baselines.classifiers import (
    SVM,
    PixelClassifier,
    Position,
    RandomForest,
    ShrinkageLDA,
    SpectralClassifier,
)
from m3amba_zoo.evaluation.baselines.prediction import predict_scenes
from m3amba_zoo.evaluation.baselines.spectra import PixelSpectra

__all__ = [
    "SVM",
    "PixelClassifier",
    "PixelSpectra",
    "Position",
    "RandomForest",
    "ShrinkageLDA",
    "SpectralClassifier",
    "predict_scenes",
]
