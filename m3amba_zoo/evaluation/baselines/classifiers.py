"""The classical classifiers by name: random forest, shrinkage LDA, SVM, and the position alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from m3amba_zoo.datasets.scene_data import SceneData
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.baselines.spectra import PixelSpectra
from m3amba_zoo.splits import hold_out_validation

JOBS = 2
TREES = 200
SVM_PIXELS = 12_000  # libsvm's time grows with the square of the pixels
SVM_SEARCH_PIXELS = 4_000
SVM_COSTS = (1.0, 10.0, 100.0, 1000.0)
SVM_GAMMAS = (0.01, 0.03, 0.1, 0.3, 1.0)  # over the number of bands
HELD_OUT, HELD_OUT_GUARD = 0.3, 4


class PixelClassifier(ABC):
    """A classifier of single pixels.

    Attributes:
        name: as in ``BASELINES``.
        probabilistic: whether its probabilities mean something; else the predicted class has all of it.
        selection: the rule that chose its settings, in words.
        modalities: which rasters it reads.
        window: side of the square that it reads around a pixel, in pixels.
        settings: of the fitted classifier, for ``metrics.json``.
    """

    name: str
    probabilistic: bool = True
    selection: str = "settings fixed beforehand"
    modalities: tuple[str, ...] = ()
    window: int = 1

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}

    @abstractmethod
    def fit(self, data: SceneData, seed: int) -> None:
        """Fit on the training pixels of the split.

        Raises:
            InputError: the data lacks what the classifier reads.
        """

    @abstractmethod
    def probabilities(self, data: SceneData, index: int, start: int, stop: int) -> NDArray[np.float64]:
        """Return the class probabilities of some rows of a scene, ``((stop - start) * W, K)``, row-major."""


class SpectralClassifier(PixelClassifier):
    """A scikit-learn estimator on the bands of each pixel; missing values take the training mean.

    Args:
        spectra: what it reads.
    """

    def __init__(self, spectra: PixelSpectra) -> None:
        super().__init__()
        self.spectra = spectra
        self.modalities, self.window = spectra.modalities, spectra.mean
        self.estimator: Pipeline | None = None

    @abstractmethod
    def build(self, seed: int) -> Pipeline:
        """Return the estimator, not fitted."""

    def fit(self, data: SceneData, seed: int) -> None:
        """Fit on all training pixels."""
        self.spectra.check(data)
        pixels, labels = self.spectra.of_part(data, "train")
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


class RandomForest(SpectralClassifier):
    """Random forest (Breiman, Machine Learning 45:5, 2001)."""

    name = "random_forest"

    def build(self, seed: int) -> Pipeline:
        """Return a forest of fully grown trees."""
        self.settings = {"trees": TREES}
        forest = RandomForestClassifier(TREES, random_state=seed, n_jobs=JOBS)
        return make_pipeline(SimpleImputer(), forest)


class ShrinkageLDA(SpectralClassifier):
    """Linear discriminant analysis, its covariance shrunk by Ledoit and Wolf (JMVA 88:365, 2004)."""

    name = "lda"

    def build(self, seed: int) -> Pipeline:
        """Return the discriminant; nothing in it is random."""
        self.settings = {"solver": "lsqr", "shrinkage": "auto"}
        return make_pipeline(SimpleImputer(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"))


class SVM(SpectralClassifier):
    """Support vector machine with a radial basis function, on standardised bands.

    C and gamma are those with the best overall accuracy on validation pixels: the split's, or pixels held
    out of the training pixels (whole scenes or regions) where it has none. Then it is fitted once more on
    the training pixels. Larger sets of training pixels are thinned at random.
    """

    name = "svm"
    probabilistic = False

    def build(self, seed: int) -> Pipeline:
        """Return the machine before C and gamma are chosen."""
        return make_pipeline(SimpleImputer(), StandardScaler(), SVC(cache_size=500))

    def fit(self, data: SceneData, seed: int) -> None:
        """Choose C and gamma, then fit on the training pixels."""
        self.spectra.check(data)
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
        pixels, labels = _thin(*self.spectra.of_part(data, "train"), SVM_PIXELS, generator)
        self.estimator = clone(machine).set_params(**chosen).fit(pixels, labels)
        self.settings = {
            "C": chosen["svc__C"],
            "gamma": chosen["svc__gamma"],
            "training_pixels": len(labels),
        }

    def _choose(
        self, machine: Pipeline, search: SceneData, generator: np.random.Generator
    ) -> dict[str, float]:
        train, train_labels = _thin(*self.spectra.of_part(search, "train"), SVM_SEARCH_PIXELS, generator)
        val, val_labels = _thin(*self.spectra.of_part(search, "val"), SVM_SEARCH_PIXELS, generator)
        bands = train.shape[1]
        fold = (np.arange(len(train)), np.arange(len(train), len(train) + len(val)))
        grid = {"svc__C": SVM_COSTS, "svc__gamma": [factor / bands for factor in SVM_GAMMAS]}
        found = GridSearchCV(machine, grid, scoring="accuracy", cv=[fold], refit=False)
        found.fit(np.concatenate([train, val]), np.concatenate([train_labels, val_labels]))
        return found.best_params_


class Position(PixelClassifier):
    """The class of the nearest training pixel by row and column: what a split gives away without any band.

    In a scene without training pixels every pixel is taken for the most frequent training class.
    """

    name = "position"
    probabilistic = False

    def fit(self, data: SceneData, seed: int) -> None:
        """Remember where each class trains."""
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


SPECTRAL: tuple[type[SpectralClassifier], ...] = (RandomForest, ShrinkageLDA, SVM)
BASELINES = (*(kind.name for kind in SPECTRAL), Position.name)


def build_baseline(name: str, modalities: Sequence[str], mean: int = 1) -> PixelClassifier:
    """Build a classifier by name.

    Args:
        name: one of ``BASELINES``.
        modalities: which rasters it reads (``position`` reads none).
        mean: side of the square over which each band is averaged, in pixels.

    Raises:
        InputError: no such classifier, or a wrong ``mean``.
    """
    if name == Position.name:
        return Position()
    for kind in SPECTRAL:
        if name == kind.name:
            return kind(PixelSpectra(modalities, mean))
    raise InputError(f"no baseline is called '{name}'; expected one of {', '.join(BASELINES)}")


def _certain(labels: NDArray, num_classes: int) -> NDArray[np.float64]:
    """Give each predicted class 1..K all of the probability: ``(n, K)``."""
    return np.eye(num_classes)[labels.astype(np.int64) - 1]


def _thin(
    pixels: NDArray[np.float32], labels: NDArray[np.int64], most: int, generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Keep at most about ``most`` random pixels: the same share of each class, one pixel at least."""
    if len(labels) <= most:
        return pixels, labels
    order = generator.permutation(len(labels))
    kept = []
    for label in np.unique(labels):
        members = order[labels[order] == label]
        kept.append(members[: max(1, round(most / len(labels) * len(members)))])
    chosen = np.sort(np.concatenate(kept))
    return pixels[chosen], labels[chosen]
