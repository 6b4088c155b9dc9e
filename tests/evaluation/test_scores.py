"""Scores against scikit-learn's, and the packed correctness of pixels."""

import numpy as np
import pytest
from sklearn import metrics

from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation import confusion_matrix, expected_calibration_error, scores
from m3amba_zoo.evaluation.scores import pack_correct, unpack_correct


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_scores_equal_scikit_learns(seed):
    generator = np.random.default_rng(seed)
    classes = np.arange(1, 8)
    truth = generator.choice(classes[:-1], 400).astype(np.uint8)  # the last class has no pixels
    predicted = np.where(generator.random(400) < 0.6, truth, generator.choice(classes, 400)).astype(np.uint8)

    confusion = confusion_matrix(truth, predicted, len(classes))
    found = scores(confusion, [f"class {k}" for k in classes])

    assert (confusion == metrics.confusion_matrix(truth, predicted, labels=classes)).all()
    assert found["oa"] == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert found["aa"] == pytest.approx(metrics.balanced_accuracy_score(truth, predicted))
    assert found["kappa"] == pytest.approx(metrics.cohen_kappa_score(truth, predicted))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truth, predicted, labels=classes, zero_division=0
    )
    of_class = found["per_class"]
    assert of_class[-1]["accuracy"] is None
    assert [c["accuracy"] for c in of_class[:-1]] == pytest.approx(recall[:-1].tolist())
    assert [c["precision"] for c in of_class] == pytest.approx(precision.tolist())
    assert [c["f1"] for c in of_class] == pytest.approx(f1.tolist())
    assert [c["support"] for c in of_class] == support.tolist()


def test_calibration_error_is_the_gap_weighted_by_the_bins_pixels():
    # 0.9 and 1.0 fall into the last two of ten bins, 0.35 into the fourth
    confidence = np.array([0.35, 0.35, 0.95, 1.0, 1.0])
    correct = np.array([True, False, False, True, True])
    gaps = 2 * abs(0.35 - 0.5) + 3 * abs((0.95 + 1 + 1) / 3 - 2 / 3)
    assert expected_calibration_error(confidence, correct, bins=10) == pytest.approx(gaps / 5)


@pytest.mark.parametrize("pixels", [1, 8, 1001])
def test_correctness_comes_back_and_damage_is_noticed(pixels):
    correct = np.random.default_rng(pixels).random(pixels) < 0.6
    packed = pack_correct(correct)
    np.testing.assert_array_equal(unpack_correct(packed, pixels), correct)
    with pytest.raises(InputError, match="bytes"):
        unpack_correct(packed, pixels + 8)
    with pytest.raises(InputError, match="damaged"):
        unpack_correct(packed[:-6] + "!!!", pixels)
