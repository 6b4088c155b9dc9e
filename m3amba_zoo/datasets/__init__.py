"""Data in motion: windows over scenes, pretreatment, augmentation. Importing registers the parts."""

from m3amba_zoo.datasets.augmentation import BandNoise, FlipRotate, Illumination
from m3amba_zoo.datasets.preprocessor import RasterPreprocessor
from m3amba_zoo.datasets.pretreatment import (
    PCA,
    CenteredLog,
    Derivative,
    Discriminants,
    SelectBands,
    Standardize,
    UnitNorm,
    WindowShift,
)
from m3amba_zoo.datasets.scene_data import SceneData, load_scene_data
from m3amba_zoo.datasets.scene_windows import SceneWindows
from m3amba_zoo.datasets.train_windows import Draw, DrawSampler, TrainWindows

__all__ = [
    "PCA",
    "BandNoise",
    "CenteredLog",
    "Derivative",
    "Discriminants",
    "Draw",
    "DrawSampler",
    "FlipRotate",
    "Illumination",
    "RasterPreprocessor",
    "SceneData",
    "SceneWindows",
    "SelectBands",
    "Standardize",
    "TrainWindows",
    "UnitNorm",
    "WindowShift",
    "load_scene_data",
]
