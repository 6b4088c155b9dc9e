"""Data in motion: windows over scenes, and their augmentation. Importing registers the parts."""

from m3amba_zoo.datasets.augmentation import FlipRotate
from m3amba_zoo.datasets.scene_windows import SceneWindows
from m3amba_zoo.datasets.train_windows import Draw, DrawSampler, TrainWindows

__all__ = ["Draw", "DrawSampler", "FlipRotate", "SceneWindows", "TrainWindows"]
