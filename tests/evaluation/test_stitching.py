"""Stitching windows to scenes, and the protocol: each test pixel once, none forgotten."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score

from m3amba_zoo.datasets.windows import WindowGrid
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation import SceneLogits, SceneMetric, evaluate_scenes, predict_scenes
from m3amba_zoo.scenes.scene import LandClass, Scene
from m3amba_zoo.splits import Split, build_split
from m3amba_zoo.splits.scene_data import SceneData

CLASSES = tuple(LandClass(name, (0, 0, 0)) for name in ("water", "trees", "built"))
SHAPES = ((20, 20), (31, 17))
# side and overlap: strides of 8, 3, 10, 16 and 45 pixels; the last two are larger than a scene
WINDOWS = ((8, 0.0), (8, 0.625), (20, 0.5), (32, 0.5), (45, 0.0))


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(0)
    scenes = [
        Scene(f"plot{i}", {}, generator.integers(0, 4, shape).astype(np.uint8), CLASSES)
        for i, shape in enumerate(SHAPES)
    ]
    return SceneData("plots", scenes, build_split({"type": "per_class", "k": 20}, scenes), CLASSES)


def windows(shape, side, overlap, seed):
    """Random logits ``(K, side, side)`` with the row and column of their upper left corner."""
    generator = np.random.default_rng(seed)
    for row, column in WindowGrid(shape, side, overlap):
        yield generator.standard_normal((len(CLASSES), side, side), dtype=np.float32), row, column


def mean_by_pixel(placed, shape):
    """Average pixel by pixel, in plain loops."""
    mean = np.full((len(CLASSES), *shape), np.nan)
    for y, x in np.ndindex(shape):
        over = [
            logits[:, y - row, x - column]
            for logits, row, column in placed
            if 0 <= y - row < logits.shape[1] and 0 <= x - column < logits.shape[2]
        ]
        if over:
            mean[:, y, x] = np.mean(over, axis=0)
    return mean


@pytest.mark.parametrize(("side", "overlap"), WINDOWS)
@pytest.mark.parametrize("shape", SHAPES)
def test_overlapping_windows_average(shape, side, overlap):
    placed = list(windows(shape, side, overlap, seed=side))
    stitched = SceneLogits(len(CLASSES), shape)
    for window in placed:
        stitched.add(*window)
    expected = mean_by_pixel(placed, shape)
    np.testing.assert_allclose(stitched.mean(), expected, rtol=1e-5, atol=1e-6)
    assert (stitched.class_map() == expected.argmax(0) + 1).all()


@pytest.mark.parametrize(("side", "overlap"), WINDOWS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_strip_that_moves_down_gives_the_whole_scene_bit_for_bit(shape, side, overlap):
    whole = SceneLogits(len(CLASSES), shape)
    strip = SceneLogits(len(CLASSES), (min(side, shape[0]), shape[1]))
    parts = []
    for logits, row, column in windows(shape, side, overlap, seed=side):
        whole.add(logits, row, column)
        if row > strip.top:
            parts.append(strip.take_above(row))
        strip.add(logits, row, column)
    parts.append(strip)
    assert [part.top for part in parts] == [0, *np.cumsum([len(part.count) for part in parts[:-1]])]
    np.testing.assert_array_equal(np.concatenate([part.count for part in parts]), whole.count)
    np.testing.assert_array_equal(np.concatenate([part.total for part in parts], axis=1), whole.total)


def test_pixels_without_window_have_no_class():
    stitched = SceneLogits(len(CLASSES), (10, 10))
    stitched.add(np.ones((3, 4, 4), np.float32), -2, 8)
    stitched.add(np.ones((3, 4, 4), np.float32), 10, 0)  # outside altogether
    expected = np.zeros((10, 10), bool)
    expected[:2, 8:] = True
    assert ((stitched.class_map() > 0) == expected).all()
    assert (np.isnan(stitched.mean()).any(0) == ~expected).all()


def test_a_class_map_has_255_classes_at_most():
    last = SceneLogits(255, (1, 1))
    last.add(np.arange(255, dtype=np.float32)[:, None, None], 0, 0)
    assert last.class_map() == 255
    with pytest.raises(InputError, match="the model: 256 classes; 255 at most are expected"):
        SceneLogits(256, (1, 1))


@pytest.mark.parametrize(("side", "overlap"), WINDOWS)
def test_each_test_pixel_counts_once(data, side, overlap):
    stitched, truth, predicted = [], [], []
    for index, (scene, mask) in enumerate(data.split.parts(data.scenes, "test")):
        placed = list(windows(scene.shape, side, overlap, seed=index))
        logits = SceneLogits(len(CLASSES), scene.shape)
        for window in placed:
            logits.add(*window)
        stitched.append(logits)
        truth.append(scene.labels[mask])
        predicted.append(mean_by_pixel(placed, scene.shape).argmax(0)[mask] + 1)

    found = evaluate_scenes(stitched, data.scenes, data.split, "test").scores

    assert found["pixels"] == sum(c["support"] for c in found["per_class"]) == data.split.count("test")
    assert found["oa"] == pytest.approx(accuracy_score(np.concatenate(truth), np.concatenate(predicted)))


def test_a_missing_window_is_noticed(data):
    stitched = [SceneLogits(len(CLASSES), scene.shape) for scene in data.scenes]
    for index, scene in enumerate(data.scenes):
        for window in list(windows(scene.shape, 8, 0.0, seed=index))[: -1 if index else None]:
            stitched[index].add(*window)
    last = data.split.masks["plot1"]["test"] & (stitched[1].count == 0)
    assert last.any()
    with pytest.raises(RuntimeError, match=f"{last.sum()} test pixels of scene 'plot1' were not predicted"):
        evaluate_scenes(stitched, data.scenes, data.split, "test")


def test_a_missing_scene_is_noticed(data):
    stitched = SceneLogits(len(CLASSES), SHAPES[0])
    stitched.add(np.ones((len(CLASSES), *SHAPES[0]), np.float32), 0, 0)
    first, both = data.split.masks["plot0"]["test"].sum(), data.split.count("test")
    assert 0 < first < both
    with pytest.raises(RuntimeError, match=f"{first} pixels were scored, but the split has {both} test"):
        evaluate_scenes([stitched], data.scenes[:1], data.split, "test")


def test_only_scenes_with_scored_pixels_are_predicted_if_whole_scenes_are_not_wanted(data):
    class Asked:
        def __init__(self):
            self.scenes = set()

        def probabilities(self, data, index, start, stop):
            self.scenes.add(index)
            pixels = (stop - start) * data.scenes[index].shape[1]
            return np.tile([0.2, 0.7, 0.1], (pixels, 1))

    unscored = {part: np.zeros(SHAPES[0], bool) for part in ("train", "val", "test")}
    split = Split("some", {**data.split.masks, "plot0": unscored})
    given = replace(data, split=split)
    for part, expected in ((None, {0, 1}), ("test", {1})):
        classifier = Asked()
        found = evaluate_scenes(predict_scenes(classifier, given, part), data.scenes, split, "test")
        assert classifier.scenes == expected
        assert found.class_maps.keys() == {f"plot{index}" for index in expected}
        assert (found.class_maps["plot1"] == 2).all()


def test_the_metric_scores_batches_of_windows(data):
    """Batches that mix scenes give the scores of the stitched scenes; a second loop starts anew."""
    placed = [(i, *w) for i, s in enumerate(data.scenes) for w in windows(s.shape, 8, 0.375, seed=i)]
    stitched = [SceneLogits(len(CLASSES), scene.shape) for scene in data.scenes]
    for index, *window in placed:
        stitched[index].add(*window)
    metric = SceneMetric()
    metric.dataset_meta = {"data": data, "part": "test"}
    for _ in range(2):
        for start in range(0, len(placed), 7):
            batch = placed[start : start + 7]
            place = {key: [w[i] for w in batch] for key, i in (("scene", 0), ("row", 2), ("column", 3))}
            metric.process(place, [torch.from_numpy(w[1]) for w in batch])
        found = metric.evaluate(len(placed))
        expected = evaluate_scenes(stitched, data.scenes, data.split, "test").scores
        assert found == {name: expected[name] for name in ("oa", "aa", "kappa")}
