"""Comparisons between models: differences over shared seeds, and what fusion adds."""

from types import SimpleNamespace

import pytest

from m3amba_zoo.errors import InputError
from workshop.leaderboard.summary import Entry, bands_added, fusion, mean_difference


def entry(model, modalities, oa, split="one"):
    runs = [SimpleNamespace(seed=seed, dataset="plots") for seed in range(3)]
    records = {
        seed: {
            "oa": value,
            "aa": value / 2,
            "kappa": value / 4,
            "model": {"modalities": modalities},
            "split": {"sha256": split},
        }
        for seed, value in oa.items()
    }
    return Entry(model, runs, {}, records)


WHOLE = entry("net", ["hsi", "sar"], {0: 0.70, 1: 0.80, 2: 0.90})


def test_fusion_is_measured_against_the_better_modality_on_the_seeds_of_all():
    alone = [
        entry("net_sar", ["sar"], {0: 0.2, 1: 0.3, 2: 0.99}),
        entry("net_hsi", ["hsi"], {0: 0.69, 1: 0.77}),
        entry("net_hsi_small", ["hsi"], {0: 0.1, 1: 0.1}),  # other variants
        entry("net_concat", ["hsi", "sar"], {0: 0.99}),
        entry("net_lidar", [], {}),  # not run yet
    ]
    head, line = fusion([WHOLE, entry("one", ["hsi"], {0: 0.5})], alone)
    assert head[1:4] == ["all, OA", "hsi alone, OA", "sar alone, OA"]
    assert line == ["net", "75.0", "73.0", "25.0", "+2.0", "+1.0", "2 of 3"]
    assert fusion([WHOLE], alone[:1]) == []  # the better one may be still to come


def test_fusion_is_not_measured_across_different_test_pixels():
    with pytest.raises(InputError, match="seed 0: net was tested on split one, net_hsi on two"):
        fusion([WHOLE], [entry(f"net_{m}", [m], {0: 0.5}, split="two") for m in ("hsi", "sar")])


def test_bands_that_are_added_are_measured_on_the_seeds_of_both():
    before = [entry("net", ["hsi", "sar"], {1: 0.7, 2: 0.6}), entry("other", ["hsi"], {0: 0.9})]
    head, line = bands_added([WHOLE, entry("new", ["hsi"], {0: 0.1})], before)
    assert line == ["net", "65.0", "85.0", "+20.0", "+10.0", "+5.0", "2 of 3"]
    assert len(head) == len(line)
    assert bands_added([WHOLE], []) == []


def test_a_mean_difference_is_over_shared_seeds():
    other = entry("other", ["hsi"], {1: 0.7, 2: 0.6, 5: 0.1}, split="random")
    assert mean_difference(WHOLE, other, "oa") == pytest.approx(0.2)
    assert mean_difference(WHOLE, entry("none", ["hsi"], {}), "oa") is None
