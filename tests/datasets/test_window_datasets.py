"""Windows: what trains, what is evaluated, and that neither sees what it must not."""

import numpy as np
import pytest

from m3amba_zoo.datasets import Draw, SceneWindows, TrainWindows
from m3amba_zoo.datasets.windows import cut_labels, cut_raster
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation import SceneLogits
from m3amba_zoo.rasters import Raster
from m3amba_zoo.registry import TRANSFORMS
from m3amba_zoo.splits import leaked_pixels, load_scene_data

COMMON = {"source": {"type": "tiny"}, "split": {"type": "official"}, "modalities": ("hsi", "sar")}


def train_windows(**options):
    return TrainWindows(**{**COMMON, "window": 7, "windows_per_epoch": 64, **options})


def test_a_draw_names_one_window_and_epochs_differ():
    dataset = train_windows(augmentation=[{"type": "FlipRotate"}])
    first, again, other = (dataset[draw] for draw in (Draw(0, 0, 5), Draw(0, 0, 5), Draw(0, 1, 5)))
    assert first["inputs"]["hsi"].shape == (6, 7, 7)
    np.testing.assert_array_equal(first["inputs"]["sar"], again["inputs"]["sar"])
    assert not np.array_equal(first["inputs"]["sar"], other["inputs"]["sar"])


def test_windows_are_turned_and_mirrored_in_all_eight_ways():
    square = np.arange(9.0, dtype=np.float32).reshape(1, 3, 3)
    turned = [np.rot90(square, turns, (-2, -1)) for turns in range(4)]
    ways = [way.tolist() for kept in turned for way in (kept, kept[..., ::-1])]
    found = []
    flip_rotate = TRANSFORMS.build({"type": "FlipRotate"})
    for seed in range(60):
        draws = np.random.default_rng(seed)
        expected = ways[2 * draws.integers(4) + draws.integers(2)]
        inputs, labels = flip_rotate({"hsi": square}, square[0], np.random.default_rng(seed))
        assert inputs["hsi"].tolist() == expected == [labels.tolist()]
        found.append(expected)
    assert all(way in found for way in ways)


def test_windows_of_one_pixel_are_the_training_pixels():
    dataset = train_windows(window=1, augmentation=[{"type": "FlipRotate"}])
    items = [dataset[Draw(0, 0, position)] for position in range(9)]  # some of them flipped
    assert {item["inputs"]["hsi"].shape for item in items} == {(6, 1, 1)}
    assert [int(item["labels"].item()) for item in items] == [1, 2, 3] * 3


def test_only_training_labels_are_shown_and_classes_are_balanced():
    dataset = train_windows()
    data = load_scene_data(COMMON["source"], COMMON["split"])
    seen = np.zeros(4, int)
    for position in range(60):
        item = dataset[Draw(0, 0, position)]
        labels = item["labels"].numpy()
        assert labels[3, 3] > 0, "the window is anchored at a training pixel"
        seen[labels[3, 3]] += 1
        # each label must be that of a training pixel with just these SAR values
        for label in np.unique(labels[labels > 0]):
            shown = item["inputs"]["sar"].numpy()[:, labels == label].T
            trains = np.concatenate(
                [
                    scene.rasters["sar"].data[:, mask & (scene.labels == label)].T
                    for scene, mask in data.split.parts(data.scenes, "train")
                ]
            )
            assert (shown[:, None] == trains[None]).all(-1).any(1).all()
    assert seen[1:].tolist() == [20, 20, 20]


@pytest.mark.parametrize("window", [1, 6, 7, 18, 20])
def test_training_windows_show_just_the_test_pixels_that_the_leak_meter_counts(window):
    data = load_scene_data(COMMON["source"], COMMON["split"])
    shown = 0
    for scene, mask in data.split.parts(data.scenes, "train"):
        covered = np.zeros(scene.shape, bool)
        place = Raster(np.arange(mask.size).reshape(1, *mask.shape))
        for row, column in np.argwhere(mask):
            seen = cut_raster(place, row - window // 2, column - window // 2, window)
            covered.ravel()[seen.astype(int)] = True
        shown += int((covered & data.split.masks[scene.name]["test"]).sum())
    assert leaked_pixels(data.split, data.scenes, window) == shown


@pytest.mark.parametrize(("window", "overlap"), [(7, 0.0), (7, 0.5), (20, 0.0), (32, 0.5)])
def test_evaluation_windows_cover_every_pixel_and_lie_where_they_say(window, overlap):
    dataset = SceneWindows(**COMMON, window=window, overlap=overlap, mirror_small_scenes=True)
    scenes = dataset.data.scenes
    stitched = [SceneLogits(2, scene.shape) for scene in scenes]
    for position in range(len(dataset)):
        item = dataset[position]
        stitched[item["scene"]].add(item["inputs"]["sar"].numpy(), item["row"], item["column"])
    for scene, logits in zip(scenes, stitched, strict=True):
        np.testing.assert_allclose(logits.mean(), scene.rasters["sar"].data, rtol=1e-6)


def test_windows_of_a_part_alone_cover_that_part():
    dataset = SceneWindows(**COMMON, window=5, whole_scenes=False)
    whole = SceneWindows(**COMMON, window=5)
    assert len(dataset) < len(whole)
    covered = [np.zeros(scene.shape, bool) for scene in dataset.data.scenes]
    for position in range(len(dataset)):
        item = dataset[position]
        covered[item["scene"]][item["row"] : item["row"] + 5, item["column"] : item["column"] + 5] = True
    for (_, mask), seen in zip(dataset.data.split.parts(dataset.data.scenes, "test"), covered, strict=True):
        assert (seen | ~mask).all()


def test_an_epoch_with_fewer_windows_than_classes_goes_on_where_the_last_one_ended():
    dataset = train_windows(window=1, windows_per_epoch=2)
    drawn = [dataset[Draw(0, epoch, turn)]["labels"].item() for epoch in range(3) for turn in range(2)]
    assert drawn == [1, 2, 3, 1, 2, 3]


@pytest.mark.parametrize(("window", "margin"), [(1, 0), (6, 0), (7, 0), (7, 3), (32, 0)])
@pytest.mark.parametrize("balanced", [False, True])
def test_frequencies_are_those_of_the_labels_that_all_windows_show(window, margin, balanced):
    dataset = train_windows(window=window, balanced=balanced, mirror_small_scenes=True)
    parts = list(dataset.data.split.parts(dataset.data.scenes, "train"))
    of_class = sum(np.bincount(scene.labels[mask], minlength=4) for scene, mask in parts)
    shown = np.zeros(4)
    for scene, mask in parts:
        labels = np.where(mask, scene.labels, 0)
        for row, column in np.argwhere(mask):
            cut = cut_labels(labels, row - window // 2, column - window // 2, window)
            inner = cut[margin : window - margin, margin : window - margin]
            weight = 1 / of_class[labels[row, column]] if balanced else 1
            shown += weight * np.bincount(inner.ravel(), minlength=4)
    np.testing.assert_allclose(dataset.label_frequencies(margin), shown[1:] / shown[1:].sum(), rtol=1e-9)
    if balanced and window - 2 * margin == 1:
        np.testing.assert_allclose(dataset.label_frequencies(margin), 1 / 3)


def test_nodata_becomes_nan_in_windows_and_in_training_pixels():
    dataset = train_windows(window=20, mirror_small_scenes=True)
    pixels, labels = dataset.training_pixels()
    assert len(labels) == dataset.data.split.count("train")
    missing = np.isnan(pixels["hsi"])
    assert missing.all(axis=1).sum() == missing.any(axis=1).sum() == 3  # one pixel per scene
    assert np.nanmin(pixels["hsi"]) > 0
    assert not np.isnan(pixels["sar"]).any()
    windows = SceneWindows(**COMMON, window=5)
    assert np.isnan(windows[0]["inputs"]["hsi"].numpy()[:, 0, 0]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 32}, r"window of 32 x 32 pixels is larger than scene 'tiny0' \(20 x 21\)"),
        ({"modalities": ("hsi", "lidar")}, r"no modality 'lidar' \(it has: hsi, sar\)"),
        ({"augmentation": [{"type": "FlipRotat"}]}, "did you mean 'FlipRotate'"),
        ({"source": {"type": "houston"}}, "no source is registered as 'houston'; did you mean"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        train_windows(**options)


@pytest.mark.parametrize("name", TRANSFORMS.names())
def test_every_augmentation_keeps_shapes_and_follows_its_generator(name):
    transform = TRANSFORMS.build({"type": name})
    inputs = {m: np.random.default_rng(0).random((4, 5, 5), np.float32) for m in ("hsi", "sar")}
    labels = np.arange(25).reshape(5, 5)
    changed = False
    for seed in range(20):
        first, moved = transform(dict(inputs), labels, np.random.default_rng(seed))
        second, _ = transform(dict(inputs), labels, np.random.default_rng(seed))
        assert sorted(moved.ravel()) == list(range(25))
        for modality, given in inputs.items():
            assert first[modality].shape == (4, 5, 5)
            np.testing.assert_array_equal(first[modality], second[modality])
            changed |= not np.array_equal(first[modality], given)
    assert changed
