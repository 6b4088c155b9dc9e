"""Raster files and arrays: opened by one code for training and for prediction, and written."""

from m3amba_zoo.rasters.raster import Raster

__all__ = ["Raster"]
