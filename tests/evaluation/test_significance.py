"""The block bootstrap against what is known in closed form, Holm's adjustment, groups by rank."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score

from m3amba_zoo.evaluation.significance import FixedPart, difference, holm, rank_groups

BLOCKS, SIDE, CLASSES = 60, 25, 3
GENERATOR = np.random.default_rng(5)
PART = FixedPart(
    "0", GENERATOR.integers(1, CLASSES + 1, BLOCKS * SIDE), np.repeat(np.arange(BLOCKS) + 100, SIDE)
)


def model(share_right: float, whole_blocks: bool = False, seed: int = 0) -> np.ndarray:
    """Predictions of which a share is right: single pixels at random, or whole blocks at once."""
    generator = np.random.default_rng(seed)
    units = BLOCKS if whole_blocks else BLOCKS * SIDE
    right = np.repeat(generator.random(units) < share_right, SIDE if whole_blocks else 1)
    return np.where(right, PART.labels, PART.labels % CLASSES + 1)


def test_the_scores_of_the_whole_part_are_the_models():
    predicted = model(0.8)
    oa, aa, kappa = PART.scores(predicted, CLASSES)[0]
    assert oa == pytest.approx((predicted == PART.labels).mean())
    assert aa == pytest.approx(balanced_accuracy_score(PART.labels, predicted))
    assert kappa == pytest.approx(cohen_kappa_score(PART.labels, predicted))


@pytest.mark.parametrize("whole_blocks", [False, True])
def test_an_interval_is_as_wide_as_the_blocks_vary(whole_blocks):
    # OA is the mean of the blocks' OA, so its standard error is their standard deviation / sqrt(blocks)
    predicted = model(0.8, whole_blocks)
    of_blocks = (predicted == PART.labels).reshape(BLOCKS, SIDE).mean(1)
    error = of_blocks.std() / np.sqrt(BLOCKS)
    truth = PART.scores(PART.labels, CLASSES)
    found = difference(PART.scores(predicted, CLASSES), truth)["oa"]
    assert found.difference == pytest.approx(of_blocks.mean() - 1)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_errors_of_whole_blocks_are_not_counted_pixel_by_pixel():
    """Models that differ by luck in few blocks differ on many pixels, which are not independent."""
    lucky, unlucky = (PART.scores(model(0.8, True, seed), CLASSES) for seed in (1, 2))
    assert difference(lucky, unlucky)["oa"].p > 0.05
    better, worse = (PART.scores(model(share, False, 3), CLASSES) for share in (0.85, 0.8))
    assert difference(better, worse)["oa"].p < 0.01
    assert difference(better, better)["oa"].p == 1


def test_a_class_that_a_draw_lacks_does_not_count_in_its_aa():
    part = FixedPart("0", np.array([1, 1, 2, 2]), np.array([0, 0, 1, 1]))
    found = part.scores(np.array([1, 1, 1, 1]), 2)
    assert set(np.round(found[1:, 1], 6)) == {0.0, 0.5, 1.0}  # block 1 alone, both, block 0 alone
    assert found[0].tolist() == [0.5, 0.5, 0.0]


def test_holm():
    # Holm 1979 by hand: 0.01 * 3, 0.02 * 2, max(0.04, 0.03 * 1)
    assert holm([0.03, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([]) == []


def test_groups_are_of_models_that_cannot_be_told_from_their_leader():
    models = {
        name: PART.scores(model(share, seed=seed), CLASSES)
        for seed, (name, share) in enumerate({"a": 0.9, "b": 0.9, "c": 0.7, "d": 0.7, "e": 0.3}.items())
    }
    assert rank_groups(models) == {"a": 1, "b": 1, "c": 2, "d": 2, "e": 3}
    assert rank_groups({}) == {}
