"""One battery over every registered maker, with and without validation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_scenes import CLASSES, make_scene, patchy
from mmengine.config import Config
from scipy.spatial import KDTree

from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import SPLITS
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits import PARTS, build_split, hold_out_validation, leaked_pixels
from m3amba_zoo.splits.stratify import class_counts, grid, hold_out

MAKERS = {
    "official": {},
    "per_class": {"k": 12, "seed": 3},
    "blocks": {"size": 16, "guard": 4, "seed": 3},
    "by_scene": {"seed": 3},
    "file": {"path": "saved.npz"},
}
NAMES = {
    "official": "official",
    "per_class": "per_class-k12-seed3",
    "blocks": "blocks-size16-guard4-seed3",
    "by_scene": "by_scene-seed3",
    "file": "official",
}


@pytest.fixture(params=["one_scene", "many_scenes"])
def scenes(request):
    return request.getfixturevalue(request.param)


def make(maker, scenes, tmp_path, **changes):
    config = {"type": maker, **MAKERS[maker], **changes}
    if maker == "file":
        config["path"] = str(tmp_path / "saved.npz")
        build_split({"type": "official"}, scenes).save(config["path"])
    if maker == "by_scene" and len(scenes) == 1:
        pytest.skip("one scene cannot be split by scene")
    return build_split(Config({"split": config}).split, scenes)


def gap(split, scenes, part, other):
    """Smallest Chebyshev distance between pixels of two parts, by brute force."""
    found = [np.inf]
    for scene in scenes:
        first, second = (np.argwhere(split.masks[scene.name][p]) for p in (part, other))
        if len(first) and len(second):
            found.append(KDTree(first).query(second, p=np.inf)[0].min())
    return min(found)


def counts(split, scenes, part):
    return class_counts(scenes, [mask for _, mask in split.parts(scenes, part)])


def test_the_battery_knows_every_maker():
    assert set(MAKERS) == set(SPLITS.names())


@pytest.mark.parametrize("val", [None, {"fraction": 0.25, "guard": 3, "seed": 1}], ids=["plain", "val"])
@pytest.mark.parametrize("maker", MAKERS)
def test_every_maker(maker, val, scenes, tmp_path):
    split = make(maker, scenes, tmp_path, **({"val": val} if val else {}))

    assert split.name == NAMES[maker] + ("+val0.25-guard3-seed1" if val else "")
    assert split.sha256 == make(maker, scenes, tmp_path, **({"val": val} if val else {})).sha256
    for scene in scenes:
        stacked = np.sum([split.masks[scene.name][part] for part in PARTS], axis=0)
        assert stacked.max() <= 1
        assert not stacked[scene.labels == 0].any()
    assert counts(split, scenes, "train").all()
    assert counts(split, scenes, "test").all()
    if maker == "blocks":
        assert gap(split, scenes, "train", "test") > 4
        assert gap(split, scenes, "val", "test") > 4
    if maker == "by_scene":
        assert gap(split, scenes, "train", "test") == np.inf
    if val:
        assert gap(split, scenes, "train", "val") > 3
        plain = make(maker, scenes, tmp_path)
        share = counts(split, scenes, "val").sum() / counts(plain, scenes, "train").sum()
        assert maker == "per_class" or 0.1 < share < 0.4
        assert (counts(split, scenes, "test") == counts(plain, scenes, "test")).all()
    else:
        assert split.count("val") == 0


@pytest.mark.parametrize("maker", ["per_class", "blocks", "by_scene"])
def test_another_seed_gives_another_split(maker, many_scenes, tmp_path):
    made = {make(maker, many_scenes, tmp_path, seed=seed).sha256 for seed in range(4)}
    assert len(made) == 4


@pytest.mark.parametrize("maker", MAKERS)
def test_the_random_counterpart_keeps_pixels_and_counts_but_not_the_places(maker, scenes, tmp_path):
    split = make(maker, scenes, tmp_path)
    random = make(maker, scenes, tmp_path, random={"seed": 1})
    assert random.name == f"{split.name}+random-seed1"
    for part in PARTS:
        np.testing.assert_array_equal(counts(random, scenes, part), counts(split, scenes, part))
    for name, parts in split.masks.items():
        used = np.any(list(parts.values()), axis=0)
        np.testing.assert_array_equal(np.any(list(random.masks[name].values()), axis=0), used)
    assert leaked_pixels(random, scenes, 5) > leaked_pixels(split, scenes, 5) or maker == "per_class"
    again, other = (make(maker, scenes, tmp_path, random={"seed": seed}) for seed in (1, 2))
    assert random.sha256 == again.sha256 != other.sha256


def test_the_random_counterpart_keeps_what_validation_reached(scenes, tmp_path):
    val = {"fraction": 0.25, "guard": 3}
    split, random = (make("blocks", scenes, tmp_path, val=val, **more) for more in ({}, {"random": {}}))
    assert random.held_out == split.held_out is not None


def test_per_class_takes_what_is_asked_for(many_scenes):
    available = class_counts(many_scenes, [scene.labelled for scene in many_scenes])
    by_k = build_split({"type": "per_class", "k": 7}, many_scenes)
    by_fraction = build_split({"type": "per_class", "fraction": 0.1}, many_scenes)
    by_counts = build_split({"type": "per_class", "counts": (5, 6, 7, 8)}, many_scenes)
    assert counts(by_k, many_scenes, "train").tolist() == [7, 7, 7, 7]
    assert counts(by_k, many_scenes, "test").tolist() == (available - 7).tolist()
    assert counts(by_fraction, many_scenes, "train").tolist() == np.round(0.1 * available).tolist()
    assert counts(by_counts, many_scenes, "train").tolist() == [5, 6, 7, 8]


def test_blocks_and_scenes_give_each_class_about_its_share(one_scene, many_scenes):
    for config, scenes, share in (
        ({"type": "blocks", "size": 8, "guard": 0, "test_fraction": 0.3}, one_scene, 0.3),
        ({"type": "by_scene", "train_fraction": 0.6}, many_scenes, 0.4),
    ):
        split = build_split(config, scenes)
        labelled = class_counts(scenes, [scene.labelled for scene in scenes])
        assert counts(split, scenes, "test") / labelled == pytest.approx(share, abs=0.1)


def test_whole_blocks_test(one_scene):
    split = build_split({"type": "blocks", "size": 16, "guard": 4}, one_scene)
    (scene,) = one_scene
    test = split.masks["town"]["test"]
    tested = np.isin(grid(scene.shape, 16), grid(scene.shape, 16)[test])
    assert (test == (tested & scene.labelled)).all()


def test_a_class_of_two_scenes_is_on_both_sides_and_one_of_one_scene_trains():
    values = [1, 1, 2, 2, 3, 3, 4]
    scenes = [make_scene(f"plot{n}", np.full((4, 4), value, np.uint8)) for n, value in enumerate(values)]
    for seed in range(10):
        split = build_split({"type": "by_scene", "seed": seed}, scenes)
        assert counts(split, scenes, "train").tolist() == [16, 16, 16, 16]
        assert counts(split, scenes, "test").tolist() == [16, 16, 16, 0]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 99),
    size=st.integers(1, 20),
    guard=st.integers(0, 9),
    fraction=st.floats(0.05, 0.95),
    floor=st.sampled_from([0.0, 0.3]),
)
def test_hold_out_leaves_every_class_enough_and_keeps_the_guard(seed, size, guard, fraction, floor):
    scenes = [make_scene("a", patchy(seed, (30, 24), 4)), make_scene("b", patchy(seed + 1, (9, 17), 3))]
    masks = [scene.labelled for scene in scenes]
    groups = [grid(scene.shape, size) for scene in scenes]
    kept, held = hold_out(scenes, masks, groups, fraction, guard, seed, floor)
    for mask, mine, theirs in zip(masks, kept, held, strict=True):
        assert not (mine & theirs).any()
        assert not ((mine | theirs) & ~mask).any()
        if mine.any() and theirs.any():
            assert KDTree(np.argwhere(mine)).query(np.argwhere(theirs), p=np.inf)[0].min() > guard
    total = class_counts(scenes, masks)
    assert (class_counts(scenes, kept) > floor * total)[total > 0].all()


def test_validation_takes_whole_scenes_only_where_the_split_is_by_scene(many_scenes):
    by_scene = build_split({"type": "by_scene", "val": {"fraction": 0.3, "guard": 0}}, many_scenes)
    for parts in by_scene.masks.values():
        assert sum(bool(parts[part].any()) for part in PARTS) == 1
    official = build_split({"type": "official", "val": {"fraction": 0.3, "guard": 0}}, many_scenes)
    assert any(parts["train"].any() and parts["val"].any() for parts in official.masks.values())


def test_validation_keeps_small_regions_whole():
    """Fields of two halves 4 pixels apart: with a guard of 8 each stays whole, and no pixel is dropped."""
    labels = np.zeros((60, 100), np.uint8)
    for row in range(0, 60, 20):
        for column in range(3):
            labels[row : row + 6, 20 * column : 20 * column + 10] = column + 1
    labels[0:6, 60:70] = 4
    labels[:, 3::20] = labels[:, 4::20] = labels[:, 5::20] = 0
    labels[50:, 90:] = 1
    train = (labels > 0) & (np.arange(100) < 90)
    scenes = [Scene("fields", {}, labels, CLASSES, official={"train": train, "test": (labels > 0) & ~train})]
    split = build_split({"type": "official", "val": {"fraction": 0.3, "guard": 8}}, scenes)
    assert counts(split, scenes, "train").tolist() == [84, 84, 84, 42]
    assert counts(split, scenes, "val").tolist() == [42, 42, 42, 0]


def test_no_class_pays_for_validation_with_most_of_its_training_pixels():
    """A class of one field across a block border: to hold out half would leave a fifth to train on."""
    labels = np.zeros((40, 200), np.uint8)
    for column in range(10):
        labels[:8, 20 * column : 20 * column + 8] = column % 3 + 1
    labels[30:34, 18:46] = 4
    test = np.zeros(labels.shape, dtype=bool)
    test[:, 190:] = labels[:, 190:] = True
    official = {"train": (labels > 0) & ~test, "test": test}
    scenes = [Scene("fields", {}, labels, CLASSES, official=official)]
    for seed in range(5):
        val = {"fraction": 0.2, "guard": 8, "seed": seed}
        split = build_split({"type": "official", "val": val}, scenes)
        before = build_split({"type": "official"}, scenes)
        assert (counts(split, scenes, "train") > 0.4 * counts(before, scenes, "train")).all()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "type=NAME is expected, one of blocks, by_scene, file, official, per_class"),
        ({"type": "block"}, "did you mean 'blocks'"),
        ({"type": "blocks", "size": 8}, "missing a required argument: 'guard'; its options are size, guard"),
        ({"type": "blocks", "size": 8, "gard": 2, "guard": 1}, "unexpected keyword argument 'gard'"),
        ({"type": "blocks", "size": 0, "guard": 1}, "size is 0; a whole number of 1 or more"),
        ({"type": "blocks", "size": "8", "guard": 1}, "size is '8'"),
        ({"type": "blocks", "size": 8, "guard": -1}, "guard is -1"),
        ({"type": "blocks", "size": 8, "guard": 1, "seed": -1}, "seed is -1"),
        ({"type": "blocks", "size": 8, "guard": 1, "test_fraction": 1.0}, "test_fraction is 1.0"),
        ({"type": "blocks", "size": 200, "guard": 1}, "no test pixel"),
        ({"type": "by_scene"}, r"scenes with labels form 1 group\(s\); two or more"),
        ({"type": "per_class"}, "got no amount; exactly one of k, fraction and counts"),
        ({"type": "per_class", "k": 3, "fraction": 0.1}, "got k and fraction"),
        ({"type": "per_class", "k": 10**6}, "wants 1000000 training pixels of class 'water', which has"),
        ({"type": "per_class", "counts": [1, 2]}, r"counts is \[1, 2\]; a number for each of 4"),
        (
            {"type": "per_class", "counts": [9, 9, 0, 9]},
            r"class 'crops' \(0 train, 0 validation and \d+ test",
        ),
        ({"type": "per_class", "counts": [0, 0, 0, 0]}, "no labelled training pixel"),
        ({"type": "file", "path": "absent.npz"}, "absent.npz: no such file"),
        ({"type": "official", "val": 0.2}, "val is 0.2; a dict of options"),
        ({"type": "official", "val": {"fraction": 0.2}}, "missing a required argument: 'guard'"),
        ({"type": "official", "val": {"fraction": 2, "guard": 1}}, "fraction is 2"),
        ({"type": "official", "val": {"fraction": 0.2, "guard": 99}}, "a smaller guard is expected"),
    ],
)
def test_bad_input(config, message, one_scene):
    with pytest.raises(InputError, match=message):
        build_split(config, one_scene)


def test_more_bad_input(one_scene, many_scenes):
    with pytest.raises(InputError, match="scene 'bare' has no official split"):
        build_split({"type": "official"}, [make_scene("bare", patchy(0, (9, 9), 3))])
    split = build_split({"type": "official", "val": {"fraction": 0.2, "guard": 2}}, one_scene)
    with pytest.raises(InputError, match="validation pixels already"):
        hold_out_validation(split, one_scene, 0.2, 2)
    with pytest.raises(InputError, match="masks for 'town', which is not among the 14 scenes"):
        split.check(many_scenes)
    with pytest.raises(InputError, match="no masks for scene 'plot0'"):
        split.check([*one_scene, *many_scenes])
    smaller = make_scene("town", one_scene[0].labels[:-1])
    with pytest.raises(InputError, match="mask has shape"):
        split.check([smaller])
    unlabelled = make_scene("town", np.zeros_like(one_scene[0].labels))
    with pytest.raises(InputError, match="carry no label"):
        split.check([unlabelled])
