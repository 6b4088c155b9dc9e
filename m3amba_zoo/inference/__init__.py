"""Rasters in, map out."""

from m3amba_zoo.inference.prediction import Prediction
from m3amba_zoo.inference.predictor import Predictor

__all__ = ["Prediction", "Predictor"]
