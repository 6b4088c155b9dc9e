"""Raster files and arrays: opened by one code for training and for prediction, and written."""

from m3amba_zoo.rasters.raster import Raster
from m3amba_zoo.system import forbid_servers

forbid_servers()  # before anything of this package asks GDAL for its drivers

__all__ = ["Raster"]
