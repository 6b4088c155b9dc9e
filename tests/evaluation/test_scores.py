"""Scores against scikit-learn's, their values where nothing is to be divided, and packed predictions."""

import numpy as np
import pytest
from sklearn import metrics

from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation import confusion_matrix, expected_calibration_error, scores
from m3amba_zoo.evaluation.scores import pack_predicted, unpack_predicted


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
    iou = metrics.jaccard_score(truth, predicted, labels=classes, average=None, zero_division=0)
    assert [c["iou"] for c in of_class] == pytest.approx(iou.tolist())
    assert found["mean_f1"] == pytest.approx(f1[:-1].mean())  # of the classes that have pixels
    assert found["mean_iou"] == pytest.approx(iou[:-1].mean())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("confusion", "oa", "aa", "mean_f1", "mean_iou"),
    [([[0, 0], [0, 0]], 0, 0, 0, 0), ([[5, 0], [0, 0]], 1, 1, 1, 1), ([[0, 5], [0, 0]], 0, 0, 0, 0)],
    ids=["empty", "one class, right", "one class, wrong"],
)
def test_scores_are_defined_where_nothing_can_be_divided(confusion, oa, aa, mean_f1, mean_iou):
    found = scores(np.array(confusion), ["none", "landslide"])
    expected = {"oa": oa, "aa": aa, "kappa": 0, "mean_f1": mean_f1, "mean_iou": mean_iou}
    assert {name: found[name] for name in expected} == expected
    assert found["per_class"][1]["accuracy"] is None


def test_calibration_error_is_the_gap_weighted_by_the_bins_pixels():
    # 0.9 and 1.0 fall into the last two of ten bins, 0.35 into the fourth
    confidence = np.array([0.35, 0.35, 0.95, 1.0, 1.0])
    correct = np.array([True, False, False, True, True])
    gaps = 2 * abs(0.35 - 0.5) + 3 * abs((0.95 + 1 + 1) / 3 - 2 / 3)
    assert expected_calibration_error(confidence, correct, bins=10) == pytest.approx(gaps / 5)


@pytest.mark.parametrize("pixels", [1, 1001])
def test_predictions_come_back_and_damage_is_noticed(pixels):
    predicted = np.random.default_rng(pixels).integers(1, 256, pixels)
    packed = pack_predicted(predicted)
    np.testing.assert_array_equal(unpack_predicted(packed, pixels), predicted)
    with pytest.raises(InputError, match=f"are of {pixels} pixels, expected {pixels + 1}"):
        unpack_predicted(packed, pixels + 1)
    with pytest.raises(InputError, match="damaged"):
        unpack_predicted(packed[:-6] + "!!!", pixels)
