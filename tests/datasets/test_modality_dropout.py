"""Modality dropout: which modalities are dropped, how often, and that networks train with it."""

import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper
from tiny_networks import build

from m3amba_zoo.datasets import Draw, ModalityDropout, TrainWindows
from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import MODELS, TRANSFORMS

CHANNELS = {"hsi": 6, "sar": 2}


def patterns(inputs, probability, draws=4000):
    """Return which modalities are missing in each draw, ``(draws, M)``."""
    drop = ModalityDropout(probability)
    generator = np.random.default_rng(0)
    labels = np.zeros((2, 2), np.int64)
    found = [drop(inputs, labels, generator)[0] for _ in range(draws)]
    return np.array([[np.isnan(x).all() for x in one.values()] for one in found])


def test_each_modality_is_dropped_with_its_probability_and_never_all():
    inputs = {name: np.ones((1, 2, 2), np.float32) for name in ("hsi", "sar", "dem")}
    missing = patterns(inputs, 0.4)
    assert not missing.all(axis=1).any()
    np.testing.assert_allclose(missing.mean(axis=0), 0.4 - 0.4**3 / 3, atol=0.03)
    assert not patterns(inputs, 0.0).any()
    assert all((x == 1).all() for x in inputs.values()), "the windows given stay as they are"


def test_the_only_modality_with_values_is_never_dropped():
    inputs = {"hsi": np.ones((1, 2, 2), np.float32), "sar": np.full((1, 2, 2), np.nan, np.float32)}
    assert not patterns(inputs, 0.9)[:, 0].any()


@pytest.mark.parametrize("probability", [1, -0.1, "half", True])
def test_a_probability_out_of_range_is_named(probability):
    with pytest.raises(InputError, match=r"ModalityDropout: probability is .* expected 0 to below 1"):
        TRANSFORMS.build({"type": "ModalityDropout", "probability": probability})


@pytest.mark.parametrize("name", ["M3amba", "MFT", "TwoBranchCNN"])
def test_networks_of_windows_and_of_pairs_train_with_it(name):
    if name == "M3amba":
        config = {"type": name, "in_channels": CHANNELS, "num_classes": 3, "window": 8, "embed_dim": 16}
        config |= {
            "adapter": {"type": "LinearAdapter"},
            "neck": {"type": "CrossMamba", "depth": 1, "d_state": 4},
        }
        model = MODELS.build({**config, "data_preprocessor": {"type": "RasterPreprocessor"}})
    else:
        model = build(name, CHANNELS, data_preprocessor={"type": "RasterPreprocessor"})
    windows = TrainWindows(
        source={"type": "tiny"},
        split={"type": "official"},
        modalities=tuple(CHANNELS),
        window=8 if name == "M3amba" else model.patch,
        windows_per_epoch=16,
        augmentation=[{"type": "FlipRotate"}, {"type": "ModalityDropout", "probability": 0.5}],
    )
    model.data_preprocessor.fit(*windows.training_pixels())
    items = [windows[Draw(0, 0, position)] for position in range(16)]
    missing = torch.tensor([[bool(x.isnan().all()) for x in item["inputs"].values()] for item in items])
    assert missing.any(0).all(), "both are missing in some window"
    batch = {
        "inputs": {m: torch.stack([item["inputs"][m] for item in items]) for m in CHANNELS},
        "labels": torch.stack([item["labels"] for item in items]),
    }
    treated = model.data_preprocessor(batch, True)["inputs"]
    for index, m in enumerate(CHANNELS):
        assert (treated[m][missing[:, index]] == 0).all(), "as a modality that no raster shows"
    losses = model.train_step(batch, OptimWrapper(torch.optim.SGD(model.parameters(), 0.1)))
    assert torch.isfinite(losses["loss"])
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
