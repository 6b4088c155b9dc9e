"""Scenes that belong together, and the guard between scenes of one CRS."""

import numpy as np
import pytest
from label_scenes import CLASSES, METRES, make_scene, on_the_map, patchy, placed
from rasterio.transform import from_origin
from scipy.spatial import KDTree

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits import PARTS, Split, build_split, hold_out_validation
from m3amba_zoo.splits.places import group_scenes
from m3amba_zoo.splits.reach import reach

SIDE = 8  # pixels of a tile


@pytest.fixture(scope="module")
def tiles():
    """12 x 9 tiles of one CRS that all touch."""
    whole = patchy(0, (9 * SIDE, 12 * SIDE), 5)
    return [
        placed(f"{row}_{column}", whole[row : row + SIDE, column : column + SIDE], row, column)
        for row in range(0, 9 * SIDE, SIDE)
        for column in range(0, 12 * SIDE, SIDE)
    ]


def gap(split, scenes, part, other):
    """Smallest Chebyshev distance on the map between pixels of two parts, in pixels."""
    first, second = (
        np.concatenate([on_the_map(scene, mask) for scene, mask in split.parts(scenes, name)])
        for name in (part, other)
    )
    return KDTree(first).query(second, p=np.inf)[0].min()


def members(numbers):
    together = {}
    for name, number in numbers.items():
        together.setdefault(number, set()).add(name)
    return sorted(map(sorted, together.values()))


def test_close_scenes_and_scenes_of_one_object_are_one_group():
    labels = np.ones((4, 4), np.uint8)
    tree = np.zeros((4, 4), np.int64)
    tree[0, 0] = 7
    scenes = [
        placed("a", labels, 0, 0),
        placed("b", labels, 0, 6),  # 20 m right of a
        placed("c", labels, 7, 13),  # 30 m right of and 30 m below b: 42 m
        placed("d", labels, 100, 0, objects=tree),
        placed("e", labels, 200, 0, objects=tree),
        placed("f", labels, 0, 6, crs="EPSG:32618"),  # the same numbers in another zone
    ]
    assert members(group_scenes(scenes).numbers) == [["a"], ["b"], ["c"], ["d", "e"], ["f"]]
    assert members(group_scenes(scenes, 20.1).numbers) == [["a", "b"], ["c"], ["d", "e"], ["f"]]
    assert members(group_scenes(scenes, 42).numbers) == [["a", "b"], ["c"], ["d", "e"], ["f"]]
    assert members(group_scenes(scenes, 43).numbers) == [["a", "b", "c"], ["d", "e"], ["f"]]


def test_one_crs_may_be_spelt_in_two_ways():
    labels = np.ones((4, 4), np.uint8)
    other = "+proj=utm +zone=17 +datum=WGS84 +units=m +no_defs"  # EPSG:32617
    scenes = [placed("a", labels, 0, 0), placed("b", labels, 0, 4, crs=other)]
    assert members(group_scenes(scenes, 1).numbers) == [["a", "b"]]


def test_map_units_hold_for_pixels_that_are_not_square():
    def scene(name, x, y):
        transform = from_origin(500_000 + x, 4_000_000 - y, 10, 40)  # pixels 10 m wide and 40 m high
        return Scene(name, {}, np.ones((4, 4), np.uint8), CLASSES, crs="EPSG:32617", transform=transform)

    # each scene is 40 m wide and 160 m high
    apart = [scene("a", 0, 0), scene("30 m right", 70, 0), scene("40 m below", 0, 200)]
    assert members(group_scenes(apart, 35).numbers) == [["30 m right", "a"], ["40 m below"]]

    touching = [scene("a", 0, 0), scene("right", 40, 0), scene("below", 0, 160)]
    masks = [np.ones((4, 4), bool)] * 3
    numbers = [np.full(16, index) for index in range(3)]
    reached = np.zeros((3, 4, 4), bool)
    reached.ravel()[reach(touching, masks, numbers, guard=0, footprint=25)[0]] = True
    expected = np.zeros((3, 4, 4), bool)
    expected[0] = True
    expected[1][:, :2] = True  # centres 5 and 15 m from the border
    expected[2][:1] = True  # centres 20 m from the border
    np.testing.assert_array_equal(reached, expected)


def test_regions_of_touching_tiles_have_a_tile_between_them_and_training(tiles):
    region, tile = 3 * SIDE * METRES, SIDE * METRES
    split = build_split(
        {"type": "by_scene", "region": region, "guard": tile, "val": {"fraction": 0.3, "guard": 0}}, tiles
    )
    assert split.name == "by_scene-seed0-region240-guard80+val0.3-guard0-seed0"
    of_part = {p: {s.name for s, mask in split.parts(tiles, p) if mask.any()} for p in PARTS}
    assert not of_part["train"] & of_part["test"] | of_part["val"] & (of_part["train"] | of_part["test"])

    def place(scene):
        return np.round(on_the_map(scene, np.ones((1, 1), bool))[0] / SIDE).astype(int)

    places = {scene.name: place(scene) for scene in tiles}
    for part, other in (("train", "test"), ("val", "test"), ("train", "val")):
        apart = [np.abs(places[a] - places[b]).max() for a in of_part[part] for b in of_part[other]]
        assert min(apart) == 2
    # whole regions test: the map grid of the regions begins at 0
    cells = {s.name: (s.transform.c // region, (s.transform.f - 1) // region) for s in tiles}
    tested = {cells[name] for name in of_part["test"]}
    assert {name for name, cell in cells.items() if cell in tested} == of_part["test"]


def test_the_guard_of_validation_crosses_the_borders_of_tiles(tiles):
    trains = {scene.name: int(scene.name.split("_")[1]) < 7 * SIDE for scene in tiles}
    nothing = np.zeros((SIDE, SIDE), bool)
    split = Split(
        "made",
        {
            s.name: {
                "train": s.labelled if trains[s.name] else nothing,
                "val": nothing,
                "test": nothing if trains[s.name] else s.labelled,
            }
            for s in tiles
        },
    )
    for guard in (0, 3, 11):
        held = hold_out_validation(split, tiles, 0.3, guard)
        assert gap(held, tiles, "train", "val") > guard
        assert held.held_out.share > 0.15
    assert gap(hold_out_validation(split, tiles, 0.3, 0), tiles, "train", "val") == 1


def test_blocks_of_overlapping_scenes_keep_their_guard_on_the_map():
    whole = patchy(3, (40, 70), 6)
    scenes = [placed("left", whole[:, :40], 0, 0), placed("right", whole[3:, 30:], 3, 30)]
    split = build_split({"type": "blocks", "size": 8, "guard": 2}, scenes)
    assert gap(split, scenes, "train", "test") > 2


def test_step_thins_what_is_scored_and_nothing_else(tiles):
    plain = {"type": "by_scene", "region": 240.0, "val": {"fraction": 0.3, "guard": 0}}
    thin = {**plain, "step": 3, "val": {**plain["val"], "step": 2}}
    all_pixels, few = build_split(plain, tiles), build_split(thin, tiles)
    for scene in tiles:
        one, other = all_pixels.masks[scene.name], few.masks[scene.name]
        np.testing.assert_array_equal(other["train"], one["train"])
        for part, rows in (("test", [1, 4, 7]), ("val", [1, 3, 5, 7])):
            lattice = np.zeros((SIDE, SIDE), bool)
            lattice[np.ix_(rows, rows)] = True
            np.testing.assert_array_equal(other[part], one[part] & lattice)


def test_a_saved_split_keeps_its_groups(tiles, tmp_path):
    split = build_split({"type": "by_scene", "region": 240, "guard": 80}, tiles)
    split.save(tmp_path / "split.npz")
    read = Split.read(tmp_path / "split.npz")
    assert read.groups == split.groups
    assert hold_out_validation(read, tiles, 0.3, 0).sha256 == hold_out_validation(split, tiles, 0.3, 0).sha256


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"distance": 5}, "distance is in map units, but scene 'plot0' has no georeference"),
        ({"region": 0}, "region is 0; a number above 0"),
        ({"guard": -1}, "guard is -1; a number of 0 or more"),
        ({"step": 0}, "step is 0"),
    ],
)
def test_bad_options(option, message):
    scenes = [make_scene(f"plot{index}", patchy(index, (18, 20), 5)) for index in range(3)]
    with pytest.raises(InputError, match=message):
        build_split({"type": "by_scene", **option}, scenes)
