"""The tests of significance against published and hand-computed values."""

import math

import numpy as np
import pytest

from workshop.leaderboard.significance import mcnemar, wilcoxon_signed_rank


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
