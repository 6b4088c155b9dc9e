"""The classical classifiers, registered in ``CLASSIFIERS``: random forest, shrinkage LDA, SVM, position.

A config writes ``classifier=dict(type="ShrinkageLDA", mean=3)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from m3amba_zoo.models.baselines.fitted import FittedForest, FittedLinear, FittedMachine, FittedRule
from m3amba_zoo.models.baselines.spectra import PixelSpectra
from m3amba_zoo.registry import CLASSIFIERS
from m3amba_zoo.splits.places import NearestTraining
from m3amba_zoo.splits.scene_data import SceneData

PRETREATMENT, ESTIMATOR = "pretreatment", "estimator"  # what the names of kept arrays start with
SMALLEST_PROBABILITY = 1e-12  # keeps the logarithm of a tree's zero finite


def log_probabilities(probabilities: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the logarithms of probabilities, which are a classifier's logits."""
    return np.log(np.maximum(probabilities, SMALLEST_PROBABILITY)).astype(np.float32)


class PixelClassifier(ABC):
    """A classifier of single pixels. The data's ``modalities`` are given to it if its config names none.

    Attributes:
        probabilistic: whether it estimates probabilities; otherwise the predicted class gets 1.
        random: whether its fit depends on the seed.
        selection: the rule that chose its settings, in words.
        modalities: the rasters that it reads.
        window: side of the square that it reads around a pixel, in pixels.
        settings: of the fitted classifier, for ``metrics.json``.
    """

    probabilistic: bool = True
    random: bool = True
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

    def state(self) -> dict[str, NDArray] | None:
        """After ``fit``, return what it found as plain arrays by name; None if that cannot be kept."""
        return None


class SpectralClassifier(PixelClassifier):
    """A scikit-learn estimator on the bands of each pixel.

    Args:
        modalities, mean, pretreatment: as for ``PixelSpectra``.
        balanced: whether each class weighs as much as the others, instead of by its number of pixels.
        most_pixels: larger sets of training pixels are thinned at random to about this number; None: never.

    Raises:
        InputError: as for ``PixelSpectra``.
    """

    fitted: ClassVar[type[FittedRule] | None] = None  # the estimator's form when it is kept

    def __init__(
        self,
        modalities: Sequence[str],
        mean: int = 1,
        pretreatment: Mapping[str, Sequence[dict]] | None = None,
        balanced: bool = False,
        most_pixels: int | None = None,
    ) -> None:
        super().__init__()
        self.balanced, self.most_pixels = balanced, most_pixels
        self.spectra = PixelSpectra(modalities, mean, pretreatment)
        self.modalities, self.window = self.spectra.modalities, mean
        self.estimator: Any = None

    @property
    def warning(self) -> str:
        """Which classes have next to no data in a modality."""
        return self.spectra.warning

    @abstractmethod
    def build(self, seed: int, classes: int) -> ClassifierMixin:
        """Return the estimator, not fitted, for a number of classes in the training pixels."""

    def fit(self, data: SceneData, seed: int) -> None:
        """Fit on the training pixels, thinned if there are many."""
        pixels, labels = self.training_pixels(data, seed)
        self.estimator = self.build(seed, len(np.unique(labels))).fit(pixels, labels)

    def training_pixels(self, data: SceneData, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the training pixels to fit on, ``(n, C)``, and their classes ``(n,)``."""
        pixels, labels = self.spectra.fit(data)
        if self.most_pixels is not None:
            pixels, labels = _thin(pixels, labels, self.most_pixels, np.random.default_rng(seed))
            self.settings["training_pixels"] = len(labels)
        return pixels, labels

    def probabilities(self, data: SceneData, index: int, start: int, stop: int) -> NDArray[np.float64]:
        """Return the estimator's probabilities, or 1 for the class that it predicts."""
        return self.of_pixels(self.spectra.of_rows(data.scenes[index], start, stop), len(data.classes))

    def of_pixels(self, pixels: NDArray[np.float32], num_classes: int) -> NDArray[np.float64]:
        """Return the class probabilities ``(n, K)`` of pretreated pixels ``(n, C)``."""
        assert self.estimator is not None, "fit first"
        if not self.probabilistic:
            return _certain(self.estimator.predict(pixels), num_classes)
        found = np.zeros((len(pixels), num_classes))
        found[:, self.estimator.classes_ - 1] = self.estimator.predict_proba(pixels)
        return found

    def state(self) -> dict[str, NDArray] | None:
        """Return the arrays of pretreatment and estimator."""
        if self.fitted is None:
            return None
        parts = {PRETREATMENT: self.spectra.state(), ESTIMATOR: self.fitted.of(self.estimator).arrays}
        return {f"{part}.{name}": value for part, of_part in parts.items() for name, value in of_part.items()}

    def restore(self, state: Mapping[str, NDArray], in_channels: Mapping[str, int]) -> None:
        """Take the place of a fit: use what ``state`` returned.

        Args:
            state: the arrays.
            in_channels: bands by modality, as the scenes held them.

        Raises:
            KeyError, ValueError, RuntimeError: if the arrays are those of another classifier.
        """
        assert self.fitted is not None, "nothing is kept of such a classifier"
        parts: dict[str, dict[str, NDArray]] = {PRETREATMENT: {}, ESTIMATOR: {}}
        for key, value in state.items():
            part, _, name = key.partition(".")
            parts[part][name] = value
        self.spectra.restore(parts[PRETREATMENT], in_channels)
        self.estimator = self.fitted(parts[ESTIMATOR])


@CLASSIFIERS.register_module()
class RandomForest(SpectralClassifier):
    """Random forest (Breiman, Machine Learning 45:5, 2001).

    Args:
        trees: number of trees.
        leaf: the fewest training pixels in a leaf.
        most_pixels: as for every ``SpectralClassifier``; a fully grown forest's memory grows with it.
        **kwargs: modalities, mean, pretreatment and balanced, as for every ``SpectralClassifier``.
    """

    fitted = FittedForest

    def __init__(self, trees: int = 200, leaf: int = 1, most_pixels: int = 200_000, **kwargs: Any) -> None:
        super().__init__(most_pixels=most_pixels, **kwargs)
        self.settings = {"trees": trees, "leaf": leaf}

    def build(self, seed: int, classes: int) -> ClassifierMixin:
        """Return the forest; its trees grow on torch's number of threads."""
        return RandomForestClassifier(
            self.settings["trees"],
            min_samples_leaf=self.settings["leaf"],
            class_weight="balanced" if self.balanced else None,
            random_state=seed,
            n_jobs=torch.get_num_threads(),
        )


@CLASSIFIERS.register_module()
class ShrinkageLDA(SpectralClassifier):
    """Linear discriminant analysis, its covariance shrunk by Ledoit and Wolf (JMVA 88:365, 2004)."""

    random = False
    fitted = FittedLinear

    def build(self, seed: int, classes: int) -> ClassifierMixin:
        """Return the discriminant; nothing in it is random."""
        self.settings = {"solver": "lsqr", "shrinkage": "auto"}
        priors = np.full(classes, 1 / classes) if self.balanced else None
        return LinearDiscriminantAnalysis(**self.settings, priors=priors)


@CLASSIFIERS.register_module()
class SVM(SpectralClassifier):
    """Support vector machine with a radial basis function, on standardised bands.

    Args:
        cost: C.
        gamma: times the number of bands.
        most_pixels: as for every ``SpectralClassifier``; libsvm's time grows with the square of it.
        **kwargs: modalities, mean, pretreatment and balanced, as for every ``SpectralClassifier``.
    """

    probabilistic = False
    fitted = FittedMachine

    def __init__(
        self, cost: float = 10.0, gamma: float = 0.3, most_pixels: int = 12_000, **kwargs: Any
    ) -> None:
        super().__init__(most_pixels=most_pixels, **kwargs)
        self.settings = {"C": cost, "gamma times bands": gamma}

    def build(self, seed: int, classes: int) -> Pipeline:
        """Return the machine; its gamma is set once the number of bands is known."""
        weight = "balanced" if self.balanced else None
        return make_pipeline(StandardScaler(), SVC(C=self.settings["C"], class_weight=weight, cache_size=500))

    def fit(self, data: SceneData, seed: int) -> None:
        """Fit on the training pixels, thinned if there are many."""
        pixels, labels = self.training_pixels(data, seed)
        gamma = self.settings["gamma times bands"] / pixels.shape[1]
        machine = self.build(seed, len(np.unique(labels))).set_params(svc__gamma=gamma)
        self.estimator = machine.fit(pixels, labels)


@CLASSIFIERS.register_module()
class Position(PixelClassifier):
    """The class of the nearest training pixel by place: the accuracy that needs no band at all.

    Scenes of one CRS are searched together, by place on the map; a scene without georeference alone. Where no
    scene trains, every pixel gets the most frequent training class.

    Args:
        modalities: of the data; none is read.
    """

    probabilistic = False
    random = False

    def __init__(self, modalities: Sequence[str] = ()) -> None:
        super().__init__()

    def fit(self, data: SceneData, seed: int) -> None:
        """Remember the places of the training pixels and their classes."""
        train = [mask for _, mask in data.split.parts(data.scenes, "train")]
        self._nearest = NearestTraining(data.scenes, train)

    def probabilities(self, data: SceneData, index: int, start: int, stop: int) -> NDArray[np.float64]:
        """Return 1 for the class of the nearest training pixel."""
        rows, columns = np.mgrid[start:stop, : data.scenes[index].shape[1]]
        return _certain(self._nearest.predict(index, rows.ravel(), columns.ravel()), len(data.classes))


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
