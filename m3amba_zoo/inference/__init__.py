"""Rasters in, map out."""

from m3amba_zoo.inference.map_files import Prediction
from m3amba_zoo.inference.predictor import Predictor

__all__ = ["Prediction", "Predictor"]
