import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from label_scenes import make_scene, on_the_map, patchy, placed
from scipy.io import loadmat

from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.scene import LandClass, Scene, mirrored_indices
from m3amba_zoo.scenes.source import data_roots
from m3amba_zoo.splits import Split, audit, build_split, leaked_pixels

REPOSITORY = Path(__file__).parents[2]


def make_split(masks):
    """A split without validation pixels from (train, test) by scene."""
    return Split("made", {n: {"train": a, "val": np.zeros_like(a), "test": b} for n, (a, b) in masks.items()})


@pytest.fixture(scope="module")
def sparse():
    """A scene with few random training pixels, so that windows rarely touch."""
    scene = make_scene("field", patchy(5, (31, 26), 4))
    train = scene.labelled & (np.random.default_rng(0).random(scene.shape) < 0.03)
    return [scene], make_split({"field": (train, scene.labelled & ~train)})


@pytest.mark.parametrize("window", [1, 2, 3, 6, 11, 40])
def test_leaked_pixels_are_those_in_any_training_window(sparse, window):
    scenes, split = sparse
    seen = np.zeros(scenes[0].shape, dtype=bool)
    for row, column in np.argwhere(split.masks["field"]["train"]):
        height, width = seen.shape
        rows = mirrored_indices(row - window // 2, window, height)
        seen[np.ix_(rows, mirrored_indices(column - window // 2, window, width))] = True
    expected = int((seen & split.masks["field"]["test"]).sum())
    assert leaked_pixels(split, scenes, window) == expected
    assert audit(split, scenes, window).leaked_share == expected / split.count("test")


def test_distances_and_counts(sparse):
    scenes, split = sparse
    found = audit(split, scenes, 11)
    train = np.argwhere(split.masks["field"]["train"])
    for index, (name, distances) in enumerate(found.distances.items()):
        test = np.argwhere(split.masks["field"]["test"] & (scenes[0].labels == index + 1))
        nearest = np.abs(test[:, None] - train[None]).max(axis=2).min(axis=1)
        assert (distances.min, distances.max) == (nearest.min(), nearest.max())
        assert distances.median == np.median(nearest)
        assert distances.p5 == np.percentile(nearest, 5)
        assert found.pixels["test"][name] == len(test)
    assert found.pixels["train"] == dict(
        zip(
            found.distances,
            np.bincount(scenes[0].labels[split.masks["field"]["train"]], minlength=5)[1:],
            strict=True,
        )
    )


def test_scenes_without_georeference_do_not_leak_into_each_other():
    """A scene that does not train gets the most frequent training class (2) and no distances."""
    left = make_scene("left", np.array([[1, 1, 2, 2, 2, 3]], np.uint8))
    right = make_scene("right", np.array([[2, 2, 2, 1, 1, 4]], np.uint8))
    train = np.array([[1, 0, 1, 1, 0, 0]], bool)
    nothing = np.zeros_like(train)
    split = make_split({"left": (train, ~train), "right": (nothing, ~nothing)})
    found = audit(split, [left, right], 3)
    assert (found.leaked_pixels, found.test_pixels, found.apart_pixels) == (2, 9, 6)
    assert found.distances["built"] is None
    assert found.distances["crops"].min == 2
    # left: column 1 may go to class 1 or is tied with none nearer than column 0 and 2; 4 is right, 5 is wrong
    assert found.position_oa in (pytest.approx((1 + 1 + 3) / 9), pytest.approx((0 + 1 + 3) / 9))


@pytest.fixture(scope="module")
def overlapping():
    """Two scenes of one CRS that share ten columns; the right one trains in few pixels, the left in none."""
    whole, trees = patchy(7, (20, 50), 4), np.arange(1000).reshape(20, 50) // 3
    left = placed("left", whole[:, :30], 0, 0, objects=trees[:, :30])
    right = placed("right", whole[2:, 20:], 2, 20, objects=trees[2:, 20:])
    train = right.labelled & (np.random.default_rng(1).random(right.shape) < 0.05)
    nothing = np.zeros(left.shape, bool)
    split = make_split({"left": (nothing, left.labelled), "right": (train, right.labelled & ~train)})
    return [left, right], split, whole, trees


def test_scenes_of_one_crs_leak_where_their_windows_show_the_same_place(overlapping):
    scenes, split, whole, _ = overlapping
    right = scenes[1]
    shown = np.zeros(whole.shape, bool)
    for row, column in np.argwhere(split.masks["right"]["train"]):
        rows = mirrored_indices(row - 3, 6, right.shape[0]) + 2
        shown[np.ix_(rows, mirrored_indices(column - 3, 6, right.shape[1]) + 20)] = True
    in_left = int((shown[:, :30] & split.masks["left"]["test"]).sum())
    in_right = int((shown[2:, 20:] & split.masks["right"]["test"]).sum())
    assert in_left > 0
    assert leaked_pixels(split, scenes, 6) == in_left + in_right


def test_distances_objects_and_the_nearest_class_cross_scenes(overlapping):
    scenes, split, whole, trees = overlapping
    train = on_the_map(scenes[1], split.masks["right"]["train"]).astype(int)
    tests = [on_the_map(scene, mask).astype(int) for scene, mask in split.parts(scenes, "test")]
    test = np.concatenate(tests)
    away = np.abs(test[:, None] - train[None])
    labels = whole[tuple(test.T)]
    found = audit(split, scenes, 6)
    assert found.apart_pixels == 0
    for index, distances in enumerate(found.distances.values()):
        nearest = away.max(axis=2).min(axis=1)[labels == index + 1]
        assert (distances.min, distances.median, distances.max) == (
            nearest.min(),
            np.median(nearest),
            nearest.max(),
        )
    trained = set(trees[tuple(train.T)]) - {0}
    assert found.shared_object_pixels == sum(trees[tuple(place)] in trained for place in test) > 0
    squared = (away**2).sum(axis=2)
    of_train = whole[tuple(train.T)]
    candidates = [set(of_train[row == row.min()]) for row in squared]  # ties go either way
    surely = np.mean([c == {label} for c, label in zip(candidates, labels, strict=True)])
    maybe = np.mean([label in c for c, label in zip(candidates, labels, strict=True)])
    assert surely <= found.position_oa <= maybe
    assert maybe - surely < 0.1


def test_an_audit_is_told_and_saved(sparse):
    scenes, split = sparse
    found = audit(split, scenes, 11)
    saved = json.loads(json.dumps(asdict(found)))
    assert saved["sha256"] == split.sha256
    assert saved["distances"]["trees"]["median"] == found.distances["trees"].median
    assert "trees" in [row[0] for row in found.table()[1]]
    text = " ".join(found.sentences())
    assert f"{found.leaked_pixels} of {found.test_pixels} test pixels" in text
    assert f"{found.position_oa:.1%} OA" in text


def test_no_window_and_no_test(sparse):
    scenes, split = sparse
    with pytest.raises(InputError, match="window is 0"):
        leaked_pixels(split, scenes, 0)
    train = split.masks["field"]["train"]
    with pytest.raises(InputError, match="no test pixel"):
        audit(make_split({"field": (train, np.zeros_like(train))}), scenes, 11)


@pytest.mark.parametrize("window", [8, 9, 16])
def test_a_guard_of_half_the_window_leaks_nothing(one_scene, window):
    split = build_split({"type": "blocks", "size": 24, "guard": window // 2}, one_scene)
    assert leaked_pixels(split, one_scene, window) == 0


@pytest.fixture(scope="module")
def houston():
    folder = next((root / "houston2013" for root in data_roots() if (root / "houston2013").is_dir()), None)
    if folder is None:
        pytest.skip(
            "the official masks of Houston 2013 are not in a data root ($M3AMBA_DATA, ../shared/data)"
        )
    train, test = (loadmat(folder / f"{key}.mat")[key] for key in ("TRLabel", "TSLabel"))
    classes = tuple(LandClass(str(index), (0, 0, 0)) for index in range(1, 16))
    return [Scene("houston2013", {}, train + test, classes, official={"train": train > 0, "test": test > 0})]


@pytest.mark.parametrize("source", ["houston2013", "augsburg"])
def test_the_readme_says_what_the_shipped_windows_show(source):
    if not any((root / source).is_dir() for root in data_roots()):
        pytest.skip(f"the official masks of {source} are in no data root ($M3AMBA_DATA, ../shared/data)")
    scenes = SOURCES.build({"type": source}).load(rasters=False)
    split = build_split({"type": "official"}, scenes)
    found = [audit(split, scenes, window) for window in (11, 16, 32)]
    shown = " | ".join(f"{each.leaked_pixels:,} ({100 * each.leaked_share:.1f} %)" for each in found)
    line = f"| `{source}` | official | {found[0].test_pixels:,} | {shown} |"
    assert line in (REPOSITORY / "README.md").read_text().splitlines()


def test_houston_leaks_as_measured_before(houston):
    """FIELD's figures; half a point of tolerance for ties between equally near pixels, one for the draw."""
    official = build_split({"type": "official"}, houston)
    found = audit(official, houston, 11)
    assert found.position_oa == pytest.approx(0.627, abs=0.005)
    assert found.leaked_share == pytest.approx(0.15, abs=0.005)

    masks = official.masks["houston2013"]
    swapped = make_split({"houston2013": (masks["test"], masks["train"])})
    assert audit(swapped, houston, 11).position_oa == pytest.approx(0.767, abs=0.005)

    counts = tuple(found.pixels["train"].values())
    drawn = audit(build_split({"type": "per_class", "counts": counts, "seed": 0}, houston), houston, 11)
    assert drawn.position_oa == pytest.approx(0.989, abs=0.01)
    assert drawn.leaked_share == pytest.approx(0.97, abs=0.01)
