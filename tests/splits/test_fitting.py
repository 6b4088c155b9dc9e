"""Windows and blocks that suit the labels."""

import numpy as np
import pytest
from label_scenes import make_scene

from m3amba_zoo.splits import leaked_pixels
from m3amba_zoo.splits.fitting import (
    FEWEST_BLOCKS,
    find_undivided,
    fit_blocks,
    patch_width,
    suitable_windows,
)
from m3amba_zoo.splits.stratify import class_counts, grid


def fields(side, shape=(240, 320), gap=1, seed=0):
    """Label square fields of four classes."""
    step = side + gap
    values = np.random.default_rng(seed).integers(1, 5, [-(-n // step) for n in shape])
    labels = np.kron(values, np.ones((step, step), int))[: shape[0], : shape[1]].astype(np.uint8)
    for first in range(gap):
        labels[first::step] = labels[:, first::step] = 0
    return make_scene("fields", labels)


@pytest.mark.parametrize(
    ("side", "gap", "windows"),
    [(3, 9, [8]), (6, 6, [8]), (10, 2, [16, 8]), (20, 1, [32, 16, 8]), (60, 1, [32, 16, 8])],
)
def test_windows_are_about_twice_as_wide_as_the_patches(side, gap, windows):
    scene = fields(side, gap=gap)
    assert patch_width([scene]) == pytest.approx(side, abs=1 + side // 10)
    assert suitable_windows([scene]) == windows


def test_windows_fit_the_smallest_scene():
    large = fields(40)
    assert suitable_windows([large, make_scene("strip", large.labels[:20])]) == [16, 8]
    assert suitable_windows([large, make_scene("plot", large.labels[:6, :9])]) == [6]


@pytest.mark.parametrize("side", [8, 20, 60])
def test_blocks_are_large_and_serve_every_class(side):
    scenes = [fields(side)]
    made = fit_blocks(scenes, suitable_windows(scenes))
    assert made.guard == made.window // 2
    assert made.size >= 2 * made.guard
    assert len(np.unique(grid(scenes[0].shape, made.size)[scenes[0].labelled])) >= FEWEST_BLOCKS
    assert made.served.min() >= 0.5
    assert leaked_pixels(made.split, scenes, made.window) == 0
    total = class_counts(scenes, [scenes[0].labelled])
    parts = [made.split.masks["fields"][part] for part in ("train", "test")]
    kept, held = (class_counts(scenes, [mask]) for mask in parts)
    np.testing.assert_allclose(made.served, np.minimum(kept / (0.7 * total), held / (0.3 * total)).clip(0, 1))


def test_a_class_that_a_wide_guard_would_leave_on_one_side_narrows_the_window():
    labels = fields(40).labels.copy()
    labels[labels == 4] = 1
    for row in (100, 114, 128):  # 14 rows apart: further than a guard of 8, but not of 16
        labels[row : row + 3, 150:153] = 4
    scenes = [make_scene("fields", labels)]
    assert suitable_windows(scenes)[0] == 32
    made = fit_blocks(scenes, [32, 16, 8])
    assert made.window < 32
    assert not find_undivided(scenes, made)


def test_what_cannot_be_divided_is_counted_in_places():
    labels = fields(40).labels.copy()
    labels[labels == 4] = 1
    labels[100:102, 150:155] = 4
    scenes = [make_scene("fields", labels)]
    made = fit_blocks(scenes, [32, 16, 8])
    (lacking,) = find_undivided(scenes, made)
    assert (lacking.name, lacking.pixels, lacking.places, made.window) == ("built", 10, 1, 8)
    assert not find_undivided(scenes, made, ["built"])
    assert fit_blocks(scenes, [32, 16, 8], untested=["built"]).window == 32


def test_what_is_fixed_stays():
    scenes = [fields(20)]
    made = fit_blocks(scenes, [16], size=40, guard=3, seed=2, test_fraction=0.4)
    assert made.split.name == "blocks-size40-guard3-seed2-test_fraction0.4"
