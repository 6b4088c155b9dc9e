"""Plots and models that run in moments; configs import this module by custom_imports."""

import numpy as np
import torch
from torch import nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.baselines import ShrinkageLDA
from m3amba_zoo.models.window_classifier import WindowClassifier
from m3amba_zoo.rasters import Raster
from m3amba_zoo.registry import CLASSIFIERS, MODELS, SOURCES
from m3amba_zoo.scenes.scene import LandClass, Scene
from m3amba_zoo.scenes.source import Source

CLASSES = tuple(LandClass(name, (0, 0, 0)) for name in ("water", "trees", "built"))
SHAPE = (16, 16)


def make_scene(index: int) -> Scene:
    """Patches of three classes, five noisy bands."""
    generator = np.random.default_rng(index)
    land = np.kron(generator.permutation(np.arange(16) % 3).reshape(4, 4), np.ones((4, 4), int))
    means = np.random.default_rng(99).normal(size=(3, 5))
    bands = means[land].transpose(2, 0, 1) + 0.7 * generator.standard_normal((5, *SHAPE))
    return Scene(
        f"plot{index}", {"hsi": Raster(bands.astype(np.float32))}, (land + 1).astype(np.uint8), CLASSES
    )


@SOURCES.register_module(name="fake_plots")
class FakePlots(Source):
    """Nine plots; ``simulated`` as a stand-in's folder would say."""

    def __init__(self, simulated: bool = False) -> None:
        super().__init__()
        self.simulated = simulated

    def load(self, rasters: bool = True) -> list[Scene]:
        return [make_scene(index) for index in range(9)]


@CLASSIFIERS.register_module()
class Hasty(ShrinkageLDA):
    """An LDA that gives a share of the pixels the first class, by the seed."""

    def fit(self, data, seed):
        super().fit(data, seed)
        self.generator = np.random.default_rng(seed)

    def probabilities(self, data, index, start, stop):
        found = super().probabilities(data, index, start, stop)
        found[self.generator.random(len(found)) < 0.2] = [1, 0, 0]
        return found


@CLASSIFIERS.register_module()
class Broken(ShrinkageLDA):
    """Never fits."""

    def fit(self, data, seed):
        raise InputError(f"nothing fits with seed {seed}")


@MODELS.register_module()
class FakeNet(WindowClassifier):
    """A convolution of one pixel."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.layer = nn.Conv2d(sum(self.treated_channels.values()), self.num_classes, 1)

    def logits(self, inputs, clip_features=None):
        return {"fused": self.layer(torch.cat(list(inputs.values()), 1))}
