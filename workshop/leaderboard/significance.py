"""Whether two models differ by more than chance: McNemar over pixels, Wilcoxon over seeds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, chi2, wilcoxon

FEWEST_FOR_CHI2 = 25  # discordant pixels; below, the exact test


class McNemar(NamedTuple):
    """The test's result.

    Attributes:
        first_only: pixels that only the first model has right.
        second_only: pixels that only the second model has right.
        p: two-sided p value.
    """

    first_only: int
    second_only: int
    p: float


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """Compare which pixels two models have right, in pairs (McNemar, Psychometrika 12:153, 1947).

    With fewer than 25 pixels on which they differ the binomial test is exact; else chi squared with Edwards'
    correction for continuity (Psychometrika 13:185, 1948). The test takes pixels for independent, which
    neighbours are not: its p values are too small.

    Args:
        first: whether the first model has each pixel right, ``(n,)``.
        second: likewise the second, the same pixels.
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    differ = only_first + only_second
    if differ == 0:
        p = 1.0
    elif differ < FEWEST_FOR_CHI2:
        p = float(binomtest(only_first, differ).pvalue)
    else:
        p = float(chi2.sf((abs(only_first - only_second) - 1) ** 2 / differ, 1))
    return McNemar(only_first, only_second, p)


def wilcoxon_signed_rank(first: NDArray[np.floating], second: NDArray[np.floating]) -> float | None:
    """Return the two-sided p value of Wilcoxon's signed-rank test (Biometrics Bulletin 1:80, 1945) by scipy.

    Five pairs can reach no less than 0.0625.

    Args:
        first: a score of the first model for each seed, ``(n,)``.
        second: likewise the second model, the same seeds in the same order.

    Returns:
        None with fewer than two pairs, and 1 where all pairs are equal.
    """
    if len(first) < 2:
        return None
    if np.array_equal(first, second):
        return 1.0
    return float(wilcoxon(first, second).pvalue)
