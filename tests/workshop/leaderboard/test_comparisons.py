"""Comparisons between models: significance, differences over shared seeds, and what fusion adds."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from m3amba_zoo.errors import InputError
from workshop.leaderboard.page import fusion
from workshop.leaderboard.summary import Entry, mcnemar, mean_difference, wilcoxon_signed_rank


def entry(model, modalities, oa, split="one"):
    runs = [SimpleNamespace(seed=seed, dataset="plots") for seed in range(3)]
    records = {
        seed: {"oa": value, "aa": value / 2, "model": {"modalities": modalities}, "split": {"sha256": split}}
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


def test_a_mean_difference_is_over_shared_seeds():
    other = entry("other", ["hsi"], {1: 0.7, 2: 0.6, 5: 0.1}, split="random")
    assert mean_difference(WHOLE, other, "oa") == pytest.approx(0.2)
    assert mean_difference(WHOLE, entry("none", ["hsi"], {}), "oa") is None


def paired(both, first_only, second_only, neither):
    counts = (both, first_only, second_only, neither)
    return (np.repeat(values, counts) for values in ([True, True, False, False], [True, False, True, False]))


def test_mcnemar_with_many_differences():
    # Agresti, Categorical Data Analysis, table 10.1 (approval of the prime minister): 794, 150, 86, 570;
    # (|150 - 86| - 1)^2 / 236 = 16.818, whose upper tail of chi squared (1 df) is erfc(sqrt(x / 2))
    found = mcnemar(*paired(794, 150, 86, 570))
    assert found[:2] == (150, 86)
    assert found.p == pytest.approx(math.erfc(math.sqrt(63**2 / 236 / 2)), rel=1e-9)


def test_mcnemar_with_few_differences_is_the_binomial_test():
    found = mcnemar(*paired(50, 7, 2, 10))
    assert found.p == pytest.approx(2 * sum(math.comb(9, k) for k in (0, 1, 2)) / 2**9)
    assert mcnemar(*paired(50, 0, 0, 10)).p == 1


def test_wilcoxon_over_seeds():
    # Darwin's Zea mays, 15 pairs, as in scipy's documentation: W = 24, p = 0.04126
    differences = np.array([6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75.0])
    assert wilcoxon_signed_rank(differences, np.zeros(15)) == pytest.approx(0.04126, abs=1e-5)
    assert wilcoxon_signed_rank(np.arange(1.0, 6.0), np.zeros(5)) == 0.0625
    assert wilcoxon_signed_rank(np.ones(5), np.ones(5)) == 1
    assert wilcoxon_signed_rank(np.ones(1), np.zeros(1)) is None
