"""Splits by scene whose scenes are named."""

import numpy as np
import pytest
from label_scenes import make_scene, on_the_map, placed

from m3amba_zoo.cli.split import main
from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.source import Source
from m3amba_zoo.splits import Split, build_split

STRIPES = np.tile(np.array([1, 2, 3, 4], np.uint8).repeat(3), (10, 1))
NAMES = ("north", "south", "east", "west")


@pytest.fixture
def scenes():
    return [make_scene(name, STRIPES) for name in NAMES]


def sides(split):
    parts = {part: {name for name, of in split.masks.items() if of[part].any()} for part in ("train", "test")}
    return parts["train"], parts["test"]


@pytest.mark.parametrize(
    ("named", "train", "test"),
    [
        ({"test": ["south"]}, {"north", "east", "west"}, {"south"}),
        ({"train": ["south", "west"]}, {"south", "west"}, {"north", "east"}),
        ({"train": ["north"], "test": ["south"]}, {"north"}, {"south"}),
    ],
)
def test_named_scenes_train_and_test(scenes, named, train, test):
    split = build_split({"type": "by_scene", **named}, scenes)
    assert sides(split) == (train, test)
    for scene in scenes:  # whole scenes
        parts = split.masks[scene.name]
        assert (parts["train"] | parts["test"]).sum() in (0, scene.labelled.sum())


def test_the_name_says_which(scenes):
    split = build_split({"type": "by_scene", "test": ["south", "north"]}, scenes)
    assert split.name == "by_scene-train_east+west-test_north+south"
    many = [make_scene(f"a_plot_with_a_long_name_{n}", STRIPES) for n in range(9)]
    split = build_split({"type": "by_scene", "test": [many[0].name], "step": 2}, many)
    assert split.name == "by_scene-train_8scenes-test_a_plot_with_a_long_name_0-step2"


def test_validation_takes_other_scenes_than_the_named_ones():
    scenes = [make_scene(f"plot{n}", STRIPES) for n in range(8)]
    split = build_split({"type": "by_scene", "test": ["plot3"], "val": {"fraction": 0.2, "guard": 0}}, scenes)
    held = {name for name, parts in split.masks.items() if parts["val"].any()}
    assert held
    assert sides(split) == ({scene.name for scene in scenes} - held - {"plot3"}, {"plot3"})


def test_training_pixels_keep_the_guard_to_named_test_scenes():
    size = STRIPES.shape
    scenes = [
        placed("north", STRIPES, 0, 0),
        placed("south", STRIPES, size[0], 0),
        placed("far", STRIPES, 500, 0),
    ]
    split = build_split({"type": "by_scene", "test": ["south"], "guard": 30}, scenes)  # three pixels of 10 m
    assert split.count("test") == STRIPES.size
    assert split.masks["far"]["train"].all()
    rows = on_the_map(scenes[0], split.masks["north"]["train"])[:, 0]
    assert rows.max() == size[0] - 1 - 3


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"test": ["sout"]}, "test: no scene is named 'sout'; did you mean 'south'"),
        ({"train": ["zzz"]}, "train: no scene is named 'zzz'; the scenes are north, south, east, west"),
        ({"train": ["north"], "test": ["north"]}, "'north' is to train and to test"),
        ({"test": "south"}, "test is 'south'; a list of names"),
        ({"train": list(NAMES)}, "no scene is left to test"),
        ({"train": []}, "no scene is left to train"),
        ({"test": ["south"], "train_fraction": 0.5}, "train_fraction chooses nothing"),
    ],
)
def test_bad_names(scenes, named, message):
    with pytest.raises(InputError, match=message):
        build_split({"type": "by_scene", **named}, scenes)


def test_the_command_takes_names(scenes, tmp_path):
    class Towns(Source):
        def load(self, rasters=True):
            return scenes

    SOURCES.register_module(name="towns_of_test", module=Towns)
    try:
        out = tmp_path / "named.npz"
        arguments = ["--split", "by_scene", "--train", "north", "west", "--test", "south"]
        assert main(["make", "towns_of_test", *arguments, "--out", str(out)]) == 0
    finally:
        SOURCES.module_dict.pop("towns_of_test")
    assert sides(Split.read(out)) == ({"north", "west"}, {"south"})
