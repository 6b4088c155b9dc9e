"""Windows over scenes, for training and evaluation. Importing registers the datasets and augmentations."""

from m3amba_zoo.datasets.scene_windows import SceneWindows
from m3amba_zoo.datasets.train_windows import Draw, DrawSampler, FlipRotate, ModalityDropout, TrainWindows

__all__ = ["Draw", "DrawSampler", "FlipRotate", "ModalityDropout", "SceneWindows", "TrainWindows"]
