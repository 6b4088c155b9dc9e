"""Rasters in, map out."""

from m3amba_zoo.inference.predictor import Predictor
from m3amba_zoo.inference.raster_files import Prediction

__all__ = ["Prediction", "Predictor"]
