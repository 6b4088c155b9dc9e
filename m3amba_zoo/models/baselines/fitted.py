"""What fitted estimators of scikit-learn need to classify pixels, as plain arrays.

A pickled estimator can run code when it is read, and fits one version of scikit-learn. Arrays do neither.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

KERNEL_VALUES = 2**22  # of a machine's kernel at once: 32 MiB


class FittedRule(ABC):
    """A rule that gives pixels their classes, with scikit-learn's names.

    Attributes:
        arrays: all that it knows, by name.
        classes_: the classes, of 1..K, that had training pixels.

    Args:
        arrays: as ``of`` made them.

    Raises:
        KeyError: if one is absent.
    """

    def __init__(self, arrays: Mapping[str, NDArray]) -> None:
        self.arrays = dict(arrays)
        self.classes_: NDArray[np.int64] = arrays["classes"]

    @classmethod
    @abstractmethod
    def of(cls, estimator: Any) -> FittedRule:
        """Return the rule of an estimator that was fitted, or the rule itself."""


class FittedLinear(FittedRule):
    """Linear discriminants: a softmax over linear functions of the bands."""

    @classmethod
    def of(cls, estimator: Any) -> FittedRule:
        """Take scikit-learn's LinearDiscriminantAnalysis."""
        if isinstance(estimator, cls):
            return estimator
        coefficients = {"coef": estimator.coef_, "intercept": estimator.intercept_}
        return cls({"classes": estimator.classes_, **coefficients})

    def predict_proba(self, pixels: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability of each class ``(n, K')`` of pixels ``(n, C)``."""
        scores = pixels @ self.arrays["coef"].T + self.arrays["intercept"]
        if scores.shape[1] == 1:
            second = expit(scores)
            return np.hstack([1 - second, second])
        return softmax(scores, axis=1)


class FittedMachine(FittedRule):
    """A support vector machine with a radial basis function: each pair of classes votes for one of them."""

    @classmethod
    def of(cls, estimator: Any) -> FittedRule:
        """Take scikit-learn's pipeline of StandardScaler and SVC."""
        if isinstance(estimator, cls):
            return estimator
        scaler, machine = estimator[0], estimator[1]
        sign = -1 if len(machine.classes_) == 2 else 1  # scikit-learn turns the signs of two classes round
        return cls(
            {
                "classes": machine.classes_,
                "mean": scaler.mean_,
                "scale": scaler.scale_,
                "support": machine.support_vectors_,
                "counts": machine.n_support_,
                "dual": sign * machine.dual_coef_,
                "intercept": sign * machine.intercept_,
                "gamma": np.array([machine.gamma]),
            }
        )

    def predict(self, pixels: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the class ``(n,)`` of pixels ``(n, C)``; of classes with as many votes it is the first."""
        from sklearn.metrics.pairwise import rbf_kernel

        known = self.arrays
        bands = pixels.copy()
        bands -= known["mean"]
        bands /= known["scale"]
        found = np.empty(len(bands), np.int64)
        step = max(1, KERNEL_VALUES // max(1, len(known["support"])))
        for start in range(0, len(bands), step):
            strip = bands[start : start + step].astype(np.float64)
            votes = self._votes(rbf_kernel(strip, known["support"], float(known["gamma"][0])))
            found[start : start + step] = self.classes_[votes.argmax(axis=1)]
        return found

    def _votes(self, kernel: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the votes for each class ``(n, K')`` from the kernel with the support vectors ``(n, s)``."""
        dual, ends = self.arrays["dual"], np.cumsum(self.arrays["counts"])
        of_class = [slice(end - count, end) for end, count in zip(ends, self.arrays["counts"], strict=True)]
        votes = np.zeros((len(kernel), len(self.classes_)), np.int64)
        pairs = combinations(range(len(self.classes_)), 2)
        for (one, other), intercept in zip(pairs, self.arrays["intercept"], strict=True):
            a, b = of_class[one], of_class[other]
            decision = kernel[:, a] @ dual[other - 1, a] + kernel[:, b] @ dual[one, b] + intercept
            votes[:, one] += decision > 0
            votes[:, other] += decision <= 0
        return votes


class FittedForest(FittedRule):
    """A random forest: the mean of the class shares in the leaves that a pixel reaches.

    The nodes of all trees stand one behind the other, each tree's in depth-first order: the left child is the
    next node.
    """

    @classmethod
    def of(cls, estimator: Any) -> FittedRule:
        """Take scikit-learn's RandomForestClassifier."""
        if isinstance(estimator, cls):
            return estimator
        trees = [member.tree_ for member in estimator.estimators_]
        first = np.cumsum([0, *(tree.node_count for tree in trees)])
        feature = np.concatenate([tree.feature for tree in trees])
        inner = feature >= 0
        right = np.concatenate([tree.children_right + at for tree, at in zip(trees, first, strict=False)])
        left = np.concatenate([tree.children_left + at for tree, at in zip(trees, first, strict=False)])
        assert (left[inner] == np.flatnonzero(inner) + 1).all(), "the trees are not in depth-first order"
        counts = np.concatenate([tree.value[:, 0] for tree in trees])[~inner]
        shares, kind = np.unique(counts / counts.sum(axis=1, keepdims=True), axis=0, return_inverse=True)
        right[~inner] = kind.reshape(-1)  # a leaf has no child: the row of its shares
        return cls(
            {
                "classes": estimator.classes_,
                "first": first[:-1],
                "feature": np.where(inner, feature, -1).astype(np.int32),
                "threshold": _rounded_down(np.concatenate([tree.threshold for tree in trees])),
                "right": right.astype(np.int32),
                "shares": shares,
            }
        )

    def predict_proba(self, pixels: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability of each class ``(n, K')`` of pixels ``(n, C)``."""
        from m3amba_zoo.models.baselines.forest_kernel import mean_shares

        names = ("first", "feature", "threshold", "right", "shares")
        return mean_shares(np.ascontiguousarray(pixels), *(self.arrays[name] for name in names))


def _rounded_down(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 numbers that are not above: the same float32 numbers lie below them."""
    nearest = values.astype(np.float32)
    return np.where(nearest > values, np.nextafter(nearest, np.float32(-np.inf)), nearest)
