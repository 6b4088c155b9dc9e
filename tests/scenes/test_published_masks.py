"""Files that hosts really publish, where at hand: masks, Trento's LiDAR, Augsburg's surface model."""

import logging
from typing import Any

import numpy as np
import pytest

from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.standard_scene import StandardScene

REAL = {"houston2013": (2832, 12197), "augsburg": (761, 77533)}


@pytest.mark.parametrize("name", REAL)
def test_real_masks(name: str, caplog: pytest.LogCaptureFixture) -> None:
    source = real(name)
    train, test = REAL[name]
    with caplog.at_level(logging.WARNING):
        (scene,) = source.load(rasters=False)
    assert caplog.text == ""
    assert scene.name == name
    assert scene.official is not None
    assert (scene.official["train"].sum(), scene.official["test"].sum()) == (train, test)
    for part, counts in (("train", source.train_counts), ("test", source.test_counts)):
        assert np.bincount(scene.labels[scene.official[part]])[1:].tolist() == list(counts)


def test_real_trento_and_augsburg_rasters() -> None:
    trento = real("trento", modalities=["lidar"])
    (scene,) = trento.load()
    expected = np.add(trento.train_counts, trento.test_counts)
    np.testing.assert_array_equal(np.bincount(scene.labels.ravel())[1:], expected)
    assert scene.official is None
    assert scene.rasters["lidar"].data.shape == (2, 166, 600)
    (scene,) = real("augsburg", modalities=["dsm"]).load()
    dsm = scene.rasters["dsm"].data
    assert dsm.shape == (1, 332, 485)
    assert 450 < dsm.min() < dsm.max() < 700  # metres above the sea, as the city lies


def real(name: str, **arguments: Any) -> StandardScene:
    source = SOURCES.build({"type": name, **arguments})
    if source.simulated or not source.root.is_dir():
        pytest.skip(f"no real data of {name} in {source.root} (set M3AMBA_DATA)")
    return source
