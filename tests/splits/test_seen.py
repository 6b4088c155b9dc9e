"""Pixels that no raster shows are unlabelled: in labels, in every split, and in a Predictor's map."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from m3amba_zoo.evaluation.scene_metric import SceneLogits, evaluate_scenes
from m3amba_zoo.inference.strips import RowClassifier
from m3amba_zoo.rasters import Raster
from m3amba_zoo.rasters.opening import open_raster
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.scene import seen_pixels
from m3amba_zoo.splits import PARTS, build_split, drop_unseen, load_scene_data


@SOURCES.register_module(name="half_seen")
class HalfSeen(SOURCES.get("tiny")):
    """Tiny scenes: `hsi` lacks columns 0 to 4 (one band of column 4 is there), `sar` columns 3 to 9."""

    def _scene(self, index, rasters):
        scene = super()._scene(index, rasters)
        if not rasters:
            return scene
        hsi, sar = (scene.rasters[m].data.copy() for m in ("hsi", "sar"))
        hsi[:, :, :4] = hsi[1:, :, 4] = -9999
        sar[:, :, 3:10] = -1
        return replace(scene, rasters={"hsi": Raster(hsi, nodata=-9999), "sar": Raster(sar, nodata=-1)})


UNSEEN = np.zeros((20, 21), bool)
UNSEEN[:, 3] = True


@pytest.fixture
def scenes():
    return SOURCES.build({"type": "half_seen"}).load()


def test_labels_and_official_masks_lose_what_no_raster_shows(scenes):
    kept, count = drop_unseen(scenes)
    assert count == sum((scene.labelled & UNSEEN).sum() for scene in scenes) == 3 * 16
    for scene, before in zip(kept, scenes, strict=True):
        np.testing.assert_array_equal(seen_pixels(before), ~UNSEEN)
        np.testing.assert_array_equal(scene.labels, np.where(UNSEEN, 0, before.labels))
        assert scene.labels.dtype == before.labels.dtype
        for part, mask in scene.official.items():
            np.testing.assert_array_equal(mask, before.official[part] & ~UNSEEN)
    of_labels = [replace(scene, rasters={}) for scene in scenes]
    assert drop_unseen(of_labels) == (of_labels, 0)


def test_a_predictor_maps_the_same_pixels_to_0(scenes):
    class Model:
        margin, num_classes, in_channels = 0, 2, ("hsi", "sar")

        def parameters(self):
            return iter(())

        def test_step(self, data):
            return torch.zeros(len(data["inputs"]["hsi"]), 2, 8, 8)

    opened = {m: open_raster(raster, m) for m, raster in scenes[1].rasters.items()}
    strips = RowClassifier(Model(), opened, window=8, overlap=0.5, batch_size=4).classify()
    class_map = np.concatenate([strip.class_map for strip in strips])
    np.testing.assert_array_equal(class_map == 0, UNSEEN)


@pytest.mark.parametrize(
    ("modalities", "hidden"), [(None, [3]), (["hsi"], [0, 1, 2, 3]), (["sar"], range(3, 10))]
)
def test_the_maps_of_a_run_agree_with_a_predictor(scenes, modalities, hidden):
    split = build_split({"type": "official"}, drop_unseen(scenes)[0])
    stitched = [SceneLogits(3, scene.shape) for scene in scenes]
    for logits in stitched:
        logits.add(np.stack([np.ones((20, 21)), np.zeros((20, 21)), np.zeros((20, 21))]), 0, 0)
    found = evaluate_scenes(stitched, scenes, split, "test", modalities)
    unseen = np.zeros((20, 21), bool)
    unseen[:, list(hidden)] = True
    for scene in scenes:
        scored = split.masks[scene.name]["test"]
        np.testing.assert_array_equal(found.class_maps[scene.name] == 0, unseen & ~scored)


@pytest.mark.parametrize(
    "config",
    [
        {"type": "official"},
        {"type": "per_class", "k": 20},
        {"type": "blocks", "size": 5, "guard": 0},
        {"type": "by_scene"},
        {"type": "official", "random": {"seed": 1}, "val": {"fraction": 0.3, "guard": 0}},
    ],
)
def test_no_part_of_a_split_holds_them_even_if_it_was_made_from_labels_alone(config, tmp_path):
    data = load_scene_data({"type": "half_seen"}, config)
    assert data.unseen == 48
    assert data.note == "48 labelled pixels are left out, no raster shows them"
    of_labels = build_split(config, SOURCES.build({"type": "half_seen"}).load(rasters=False))
    of_labels.save(tmp_path / "labels.npz")
    read = load_scene_data({"type": "half_seen"}, {"type": "file", "path": str(tmp_path / "labels.npz")})
    for scene in data.scenes:
        for part in PARTS:
            assert not (data.split.masks[scene.name][part] & UNSEEN).any()
            expected = of_labels.masks[scene.name][part] & ~UNSEEN
            np.testing.assert_array_equal(read.split.masks[scene.name][part], expected)
    if config["type"] == "per_class":
        assert data.split.count("train") == 60, "drawn from the pixels that can train"
