"""The classical classifiers, registered in ``CLASSIFIERS``: random forest, shrinkage LDA, SVM, position.

A config writes ``classifier=dict(type="ShrinkageLDA", mean=3)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from m3amba_zoo.models.baselines.spectra import PixelSpectra
from m3amba_zoo.registry import CLASSIFIERS
from m3amba_zoo.splits.build import hold_out_validation
from m3amba_zoo.splits.scene_data import SceneData

# share of the training pixels, and guard in pixels, for a search without validation pixels
HELD_OUT, HELD_OUT_GUARD = 0.3, 4


class PixelClassifier(ABC):
    """A classifier of single pixels. The data's ``modalities`` are given to it if its config names none.

    Attributes:
        probabilistic: whether it estimates probabilities; otherwise the predicted class gets 1.
        selection: the rule that chose its settings, in words.
        modalities: the rasters that it reads.
        window: side of the square that it reads around a pixel, in pixels.
        settings: of the fitted classifier, for ``metrics.json``.
    """

    probabilistic: bool = True
    selection: str = "settings fixed beforehand"
    modalities: tuple[str, ...] = ()
    window: int = 1

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}

    @property
    def warning(self) -> str:
        """After ``fit``, a sentence on the training pixels that users should read; empty if there is none."""
        return ""

    @abstractmethod
    def fit(self, data: SceneData, seed: int) -> None:
        """Fit on the training pixels of the split.

        Raises:
            InputError: if the data lacks a raster that the classifier reads.
        """

    @abstractmethod
    def probabilities(self, data: SceneData, index: int, start: int, stop: int) -> NDArray[np.float64]:
        """Return the class probabilities of some rows of a scene, ``((stop - start) * W, K)``, row-major."""


class SpectralClassifier(PixelClassifier):
    """A scikit-learn estimator on the bands of each pixel.

    Args:
        modalities, mean, pretreatment: as for ``PixelSpectra``.

    Raises:
        InputError: as for ``PixelSpectra``.
    """

    def __init__(
        self,
        modalities: Sequence[str],
        mean: int = 1,
        pretreatment: Mapping[str, Sequence[dict]] | None = None,
    ) -> None:
        super().__init__()
        self.spectra = PixelSpectra(modalities, mean, pretreatment)
        self.modalities, self.window = self.spectra.modalities, mean
        self.estimator: Any = None

    @property
    def warning(self) -> str:
        """Which classes have next to no data in a modality."""
        return self.spectra.warning

    @abstractmethod
    def build(self, seed: int) -> ClassifierMixin:
        """Return the estimator, not fitted."""

    def fit(self, data: SceneData, seed: int) -> None:
        """Fit on all training pixels."""
        pixels, labels = self.spectra.fit(data)
        self.estimator = self.build(seed).fit(pixels, labels)

    def probabilities(self, data: SceneData, index: int, start: int, stop: int) -> NDArray[np.float64]:
        """Return the estimator's probabilities, or 1 for the class that it predicts."""
        assert self.estimator is not None, "fit first"
        pixels = self.spectra.of_rows(data.scenes[index], start, stop)
        if not self.probabilistic:
            return _certain(self.estimator.predict(pixels), len(data.classes))
        found = np.zeros((len(pixels), len(data.classes)))
        found[:, self.estimator.classes_ - 1] = self.estimator.predict_proba(pixels)
        return found


@CLASSIFIERS.register_module()
class RandomForest(SpectralClassifier):
    """Random forest of fully grown trees (Breiman, Machine Learning 45:5, 2001).

    Args:
        trees: number of trees.
        **kwargs: modalities, mean and pretreatment, as for every ``SpectralClassifier``.
    """

    def __init__(self, trees: int = 200, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settings = {"trees": trees}

    def build(self, seed: int) -> ClassifierMixin:
        """Return the forest; its trees grow on torch's number of threads."""
        return RandomForestClassifier(
            self.settings["trees"], random_state=seed, n_jobs=torch.get_num_threads()
        )


@CLASSIFIERS.register_module()
class ShrinkageLDA(SpectralClassifier):
    """Linear discriminant analysis, its covariance shrunk by Ledoit and Wolf (JMVA 88:365, 2004)."""

    def build(self, seed: int) -> ClassifierMixin:
        """Return the discriminant; nothing in it is random."""
        self.settings = {"solver": "lsqr", "shrinkage": "auto"}
        return LinearDiscriminantAnalysis(**self.settings)


@CLASSIFIERS.register_module()
class SVM(SpectralClassifier):
    """Support vector machine with a radial basis function, on standardised bands.

    C and gamma are those with the best overall accuracy on validation pixels: the split's, or if it has none,
    pixels held out of the training pixels (whole scenes or regions). Then it is fitted again on the training
    pixels.

    Args:
        costs: values of C to try.
        gammas: values of gamma to try, times the number of bands.
        most_pixels: larger sets of training pixels are thinned at random to about this number, because
            libsvm's time grows with the square of it.
        most_search_pixels: likewise for the training and the validation pixels of the search.
        **kwargs: modalities, mean and pretreatment, as for every ``SpectralClassifier``.
    """

    probabilistic = False

    def __init__(
        self,
        costs: Sequence[float] = (1.0, 10.0, 100.0, 1000.0),
        gammas: Sequence[float] = (0.01, 0.03, 0.1, 0.3, 1.0),
        most_pixels: int = 12_000,
        most_search_pixels: int = 4_000,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.costs, self.gammas = list(costs), list(gammas)
        self.most_pixels, self.most_search_pixels = most_pixels, most_search_pixels

    def build(self, seed: int) -> Pipeline:
        """Return the machine before C and gamma are chosen."""
        return make_pipeline(StandardScaler(), SVC(cache_size=500))

    def fit(self, data: SceneData, seed: int) -> None:
        """Choose C and gamma, then fit on the training pixels."""
        search = data
        if data.split.count("val"):
            self.selection = "C and gamma by overall accuracy on the split's validation pixels"
        else:
            held_out = hold_out_validation(data.split, data.scenes, HELD_OUT, HELD_OUT_GUARD, seed)
            search = replace(data, split=held_out)
            self.selection = "C and gamma by overall accuracy on pixels held out of the training pixels"
        generator = np.random.default_rng(seed)
        machine = self.build(seed)
        chosen = self._choose(machine, search, generator)
        pixels, labels = _thin(*self.spectra.fit(data), self.most_pixels, generator)
        self.estimator = clone(machine).set_params(**chosen).fit(pixels, labels)
        self.settings = {
            "C": chosen["svc__C"],
            "gamma": chosen["svc__gamma"],
            "training_pixels": len(labels),
        }

    def _choose(
        self, machine: Pipeline, search: SceneData, generator: np.random.Generator
    ) -> dict[str, float]:
        train, train_labels = _thin(*self.spectra.fit(search), self.most_search_pixels, generator)
        of_val = self.spectra.of_part(search, "val")
        val, val_labels = _thin(*of_val, self.most_search_pixels, generator)
        bands = train.shape[1]
        fold = (np.arange(len(train)), np.arange(len(train), len(train) + len(val)))
        grid = {"svc__C": self.costs, "svc__gamma": [factor / bands for factor in self.gammas]}
        found = GridSearchCV(machine, grid, scoring="accuracy", cv=[fold], refit=False)
        found.fit(np.concatenate([train, val]), np.concatenate([train_labels, val_labels]))
        return found.best_params_


@CLASSIFIERS.register_module()
class Position(PixelClassifier):
    """The class of the nearest training pixel by row and column: the accuracy that needs no band at all.

    In a scene without training pixels every pixel gets the most frequent training class.

    Args:
        modalities: of the data; none is read.
    """

    probabilistic = False

    def __init__(self, modalities: Sequence[str] = ()) -> None:
        super().__init__()

    def fit(self, data: SceneData, seed: int) -> None:
        """Remember the places of the training pixels and their classes."""
        parts = list(data.split.parts(data.scenes, "train"))
        labels = np.concatenate([scene.labels[mask] for scene, mask in parts])
        self._most_frequent = int(np.bincount(labels).argmax())
        self._nearest = [
            KNeighborsClassifier(1).fit(np.argwhere(mask), scene.labels[mask]) if mask.any() else None
            for scene, mask in parts
        ]

    def probabilities(self, data: SceneData, index: int, start: int, stop: int) -> NDArray[np.float64]:
        """Return 1 for the class of the nearest training pixel of the scene."""
        rows, columns = np.mgrid[start:stop, : data.scenes[index].shape[1]]
        positions = np.stack([rows.ravel(), columns.ravel()], axis=1)
        nearest = self._nearest[index]
        labels = (
            np.full(len(positions), self._most_frequent) if nearest is None else nearest.predict(positions)
        )
        return _certain(labels, len(data.classes))


def _certain(labels: NDArray, num_classes: int) -> NDArray[np.float64]:
    """Return probability 1 for each predicted class 1..K, ``(n, K)``."""
    return np.eye(num_classes)[labels.astype(np.int64) - 1]


def _thin(
    pixels: NDArray[np.float32], labels: NDArray[np.int64], most: int, generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Keep about ``most`` random pixels: the same share of each class, but at least one pixel."""
    if len(labels) <= most:
        return pixels, labels
    order = generator.permutation(len(labels))
    kept = []
    for label in np.unique(labels):
        members = order[labels[order] == label]
        kept.append(members[: max(1, round(most / len(labels) * len(members)))])
    chosen = np.sort(np.concatenate(kept))
    return pixels[chosen], labels[chosen]
