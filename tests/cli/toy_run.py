"""A model, a dataset and a metric that train in a second; configs import this module by custom_imports."""

import os
from types import SimpleNamespace

import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from torch import nn
from torch.utils.data import Dataset

from m3amba_zoo.registry import DATASETS, METRICS, MODELS

CONFIG = """
_base_ = ["{runtime}"]
custom_imports = dict(imports=["toy_run"])
bands = 4
split = dict(type="blocks", seed=0)
model = dict(type="ToyModel", bands=bands)
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(type="ToyDataset", bands=bands, split=split),
)
test_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(type="ToyDataset", bands=bands, split=split),
)
test_evaluator = dict(type="ToyAccuracy")
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=3)
test_cfg = dict(type="TestLoop")
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=0.01), clip_grad=dict(max_norm=1.0))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, end=1, convert_to_iter_based=True),
    dict(type="CosineAnnealingLR", begin=1, convert_to_iter_based=True),
]
"""


def no_pixels(part: str) -> int:
    """The toy split's count of pixels; a function that MMEngine can pickle."""
    return 0


@DATASETS.register_module()
class ToyDataset(Dataset):
    """Points of two classes; noise from torch's global generator, as a careless augmentation has it."""

    noise = 0.1

    def __init__(self, bands: int, split: dict) -> None:
        generator = torch.Generator().manual_seed(split["seed"])
        self.labels = torch.arange(24) % 2
        split_made = SimpleNamespace(name="toy", sha256=f"seed{split['seed']}", count=no_pixels)
        self.metainfo = {"data": SimpleNamespace(name="toy", split=split_made, scenes=[]), "window": 1}
        self.points = torch.randn(24, bands, generator=generator) + self.labels[:, None]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict:
        return {"x": self.points[index] + self.noise * torch.randn(()), "label": self.labels[index]}


@MODELS.register_module()
class ToyModel(BaseModel):
    """Two linear layers with batch norm (buffers) and dropout (chance)."""

    interrupt_after = -1  # steps until Ctrl-C cuts into one; below 0 it never does
    steps = 0  # in this process
    asked = None  # the step in which a signal comes, its number, and os.kill or os.killpg

    def __init__(self, bands: int, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = factor
        self.layers = nn.Sequential(
            nn.Linear(bands, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2)
        )

    def train_step(self, data, optim_wrapper):
        ToyModel.steps += 1  # not in forward(), which would be compiled anew for each number
        if self.asked and ToyModel.steps == self.asked[0]:
            self.asked[2](0 if self.asked[2] is os.killpg else os.getpid(), self.asked[1])
        return super().train_step(data, optim_wrapper)

    def forward(self, x, label, mode="tensor"):
        logits = self.layers(torch.stack(list(x)))
        if mode == "loss":
            if ToyModel.interrupt_after == 0:
                raise KeyboardInterrupt
            if ToyModel.interrupt_after > 0:
                ToyModel.interrupt_after -= 1
            return {
                "loss": self.factor * nn.functional.cross_entropy(logits.float(), torch.stack(list(label)))
            }
        return list(logits)


@METRICS.register_module()
class ToyAccuracy(BaseMetric):
    default_prefix = "toy"

    def process(self, data_batch, data_samples) -> None:
        right = [int(x.argmax() == label) for x, label in zip(data_samples, data_batch["label"], strict=True)]
        self.results.extend(right)

    def compute_metrics(self, results) -> dict:
        return {"oa": sum(results) / len(results)}
