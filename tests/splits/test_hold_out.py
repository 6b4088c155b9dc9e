"""The search for a division, and what validation reaches."""

import logging
from itertools import product

import numpy as np
import pytest
from label_scenes import make_scene, patchy

from m3amba_zoo.registry import SOURCES
from m3amba_zoo.splits import build_split
from m3amba_zoo.splits.stratify import class_counts, hold_out


def best_by_trying_everything(labels, size, fraction, guard):
    """How well the best of all divisions of a row of pixels into blocks serves the classes."""
    place = np.arange(labels.size)
    total = np.bincount(labels, minlength=5)[1:]
    best = 0.0
    for bits in product((False, True), repeat=-(-labels.size // size)):
        held = np.repeat(bits, size)[: labels.size]
        near = np.array([held[max(0, p - guard) : p + guard + 1].any() for p in place])
        kept, out = (np.bincount(labels[mask], minlength=5)[1:] for mask in (~near, held))
        if (kept > 0)[total > 0].all():
            shares = np.minimum(kept / (1 - fraction), out / fraction) / np.maximum(total, 1)
            best = max(best, np.sqrt(shares).sum())
    return best


def test_the_search_is_about_as_good_as_trying_everything():
    found = possible = 0.0
    for draw in range(12):
        labels = np.kron(np.random.default_rng(draw).integers(1, 5, 16), np.ones(2, int)).astype(np.uint8)
        scene = make_scene("row", labels[None])
        blocks = [np.arange(32)[None] // 4]
        kept, held = hold_out([scene], [scene.labelled], blocks, 0.3, 1, draw)
        total, *sides = (class_counts([scene], part) for part in ([scene.labelled], kept, held))
        found += np.sqrt(np.minimum(sides[0] / 0.7, sides[1] / 0.3) / np.maximum(total, 1)).sum()
        possible += best_by_trying_everything(labels, 4, 0.3, 1)
    assert 0.95 * possible < found <= possible + 1e-9


def test_a_class_of_three_scenes_keeps_two_so_that_one_can_validate():
    values = [1, 1, 1, 2, 2, 2, 3, 3, 4]
    scenes = [make_scene(f"plot{n}", np.full((4, 4), value, np.uint8)) for n, value in enumerate(values)]
    for seed in range(5):
        split = build_split({"type": "by_scene", "train_fraction": 0.2, "seed": seed}, scenes)
        trains = class_counts(scenes, [mask for _, mask in split.parts(scenes, "train")])
        assert (trains / 16).tolist() == [2, 2, 1, 1]
        val = build_split({"type": "by_scene", "val": {"fraction": 0.3, "guard": 0}, "seed": seed}, scenes)
        assert val.held_out.classes_without == ("crops", "built")


def test_tight_training_regions_still_validate_every_class():
    """The official-style masks of the simulated scene: 22 of 1,965 pixels of 4 classes once."""
    scenes = SOURCES.build({"type": "simulated", "height": 128, "width": 256}).load(rasters=False)
    plain = build_split({"type": "official"}, scenes)
    before = class_counts(scenes, [mask for _, mask in plain.parts(scenes, "train")])
    for seed in range(3):
        split = build_split({"type": "official", "val": {"fraction": 0.3, "guard": 8, "seed": seed}}, scenes)
        train, val = (class_counts(scenes, [m for _, m in split.parts(scenes, p)]) for p in ("train", "val"))
        assert (val > 0).all()
        assert 0.22 < val.sum() / before.sum() < 0.38
        assert (train > 0.35 * before).all()
        (parts,) = split.masks.values()
        first, second = (np.argwhere(parts[part]) for part in ("train", "val"))
        assert np.abs(first[:, None] - second[None]).max(axis=2).min() > 8
        assert split.held_out.share == val.sum() / before.sum()
        assert split.held_out.classes_without == ()


def test_little_validation_is_said(caplog, one_scene):
    labels = patchy(1, (40, 40), 5)
    labels[labels == 4] = 0
    labels[:3, :3] = 4  # one small region: half of it cannot be further than the guard from the rest
    test = np.zeros((40, 40), bool)
    test[30:] = True
    scene = make_scene("field", labels)
    official = {"train": scene.labelled & ~test, "test": scene.labelled & test}
    scenes = [type(scene)("field", {}, labels, scene.classes, official=official)]
    with caplog.at_level(logging.WARNING):
        split = build_split({"type": "official", "val": {"fraction": 0.25, "guard": 2}}, scenes)
    assert split.held_out.classes_without == ("built",)
    share = split.count("val") / official["train"].sum()
    assert split.held_out.share == pytest.approx(share)
    (record,) = caplog.records
    assert f"{100 * share:.1f} % of the training pixels, 25 % were asked" in record.getMessage()
    assert record.getMessage().endswith("built")
    caplog.clear()
    build_split({"type": "blocks", "size": 16, "guard": 2, "val": {"fraction": 0.3, "guard": 2}}, one_scene)
    assert not caplog.records
