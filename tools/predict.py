"""Predict a map from rasters: ``python tools/predict.py MODEL --raster MODALITY=FILE --out MAP``."""

from m3amba_zoo.cli.main import run

run("m3amba_zoo.cli.predict")
