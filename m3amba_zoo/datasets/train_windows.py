"""Training windows: random squares around training pixels, the same for the same seed, epoch and position."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.dist import get_dist_info
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from m3amba_zoo.datasets.windows import check_window, cut_labels, cut_raster, window_origin
from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import DATA_SAMPLERS, DATASETS, TRANSFORMS
from m3amba_zoo.splits.scene_data import SceneData, load_scene_data

Inputs = dict[str, NDArray[np.float32]]
Labels = NDArray[np.int64]


class Draw(NamedTuple):
    """Names one training window: everything random about it follows from these numbers."""

    seed: int
    epoch: int
    position: int


@TRANSFORMS.register_module()
class FlipRotate:
    """One of the eight symmetries of the square, the same for all modalities and the labels."""

    def __call__(
        self, inputs: Inputs, labels: Labels, generator: np.random.Generator
    ) -> tuple[Inputs, Labels]:
        """Transform ``(C, S, S)`` rasters and ``(S, S)`` labels."""
        turns, flip = int(generator.integers(4)), bool(generator.integers(2))

        def move(x: NDArray) -> NDArray:  # what np.rot90 does, which takes longer than to cut a window
            if turns % 2:
                x = x.swapaxes(-2, -1)
            upside_down, mirrored = turns in (1, 2), (turns in (2, 3)) != flip
            return x[..., :: -1 if upside_down else 1, :: -1 if mirrored else 1]

        return {m: move(x) for m, x in inputs.items()}, move(labels)


@DATASETS.register_module()
class TrainWindows(Dataset):
    """Windows around training pixels, with the labels of all training pixels inside.

    Only labels of the split's ``train`` part are ever shown. Windows that overlap other parts show those
    pixels' bands (not their labels). A split's guard of half a window prevents even that, and
    ``leaked_pixels`` counts what is left.

    Args:
        source, split: configs, as for ``load_scene_data``.
        modalities: which rasters, in which order.
        window: S.
        windows_per_epoch: how many windows an epoch draws.
        balanced: draw each class equally often (else each training pixel).
        augmentation: configs of ``TRANSFORMS``, applied in order; each is called with inputs, labels and a
            random generator, and returns inputs and labels.
        mirror_small_scenes: allow windows larger than a scene.

    Indexed by a ``Draw``; an item has ``inputs`` (float32 ``(C, S, S)`` by modality) and ``labels``
    (int64 ``(S, S)``, 0 unlabelled).

    Raises:
        InputError: if a scene lacks a modality, the window does not fit, or no such augmentation exists.
    """

    def __init__(
        self,
        source: dict,
        split: dict,
        modalities: Sequence[str],
        window: int,
        windows_per_epoch: int,
        balanced: bool = True,
        augmentation: Sequence[dict] = (),
        mirror_small_scenes: bool = False,
    ) -> None:
        self.data: SceneData = load_scene_data(source, split)
        self.data.check_modalities(modalities)
        self.modalities, self.window = tuple(modalities), window
        self.windows_per_epoch, self.balanced = windows_per_epoch, balanced
        self.augmentation = [TRANSFORMS.build(config) for config in augmentation]
        pixels = []
        self._labels = []
        for index, (scene, mask) in enumerate(self.data.split.parts(self.data.scenes, "train")):
            check_window(scene, window, mirror_small_scenes)
            rows, columns = np.nonzero(mask)
            classes = scene.labels[rows, columns]
            of_scene = np.stack([np.full_like(rows, index), rows, columns, classes], axis=1)
            pixels.append(of_scene.astype(np.int32))  # there are millions
            self._labels.append(np.where(mask, scene.labels, 0))
        self._pixels = np.concatenate(pixels)  # (n, 4): scene, row, column, class
        self._by_class = [np.flatnonzero(self._pixels[:, 3] == k) for k in np.unique(self._pixels[:, 3])]

    @property
    def metainfo(self) -> dict[str, Any]:
        """The shared data, for hooks and metrics."""
        return {"data": self.data, "modalities": self.modalities, "window": self.window}

    def __len__(self) -> int:
        return self.windows_per_epoch

    def _center(self, draw: Draw, generator: np.random.Generator) -> NDArray:
        if self.balanced:
            # counted on over epochs: one may have fewer windows than there are classes
            turn = draw.epoch * self.windows_per_epoch + draw.position
            members = self._by_class[turn % len(self._by_class)]
            return self._pixels[members[generator.integers(len(members))]]
        return self._pixels[generator.integers(len(self._pixels))]

    def __getitem__(self, draw: Draw) -> dict[str, Any]:
        generator = np.random.default_rng(draw)
        index, row, column, _ = self._center(draw, generator)
        scene = self.data.scenes[index]
        top, left = window_origin(int(row), self.window), window_origin(int(column), self.window)
        inputs = {m: cut_raster(scene.rasters[m], top, left, self.window) for m in self.modalities}
        labels = cut_labels(self._labels[index], top, left, self.window)
        for transform in self.augmentation:
            inputs, labels = transform(inputs, labels, generator)
        return {  # copied, because torch takes no array with the negative strides of a flip
            "inputs": {m: torch.from_numpy(x.copy()) for m, x in inputs.items()},
            "labels": torch.from_numpy(labels.copy()),
        }

    def training_pixels(self) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.int64]]:
        """Return the bands of all training pixels, ``(n, C)`` by modality, and their classes ``(n,)``.

        A value that is missing is NaN.
        """
        inputs: dict[str, list[NDArray]] = {m: [] for m in self.modalities}
        for scene, mask in self.data.split.parts(self.data.scenes, "train"):
            for m, parts in inputs.items():
                parts.append(scene.rasters[m].pixels(mask))
        return {m: np.concatenate(parts) for m, parts in inputs.items()}, self._pixels[:, 3].astype(np.int64)

    def label_frequencies(self, margin: int = 0) -> NDArray[np.float64]:
        """Return each class's share of the labels that windows show, ``(K,)``: the mean over all draws.

        It follows from the labels alone: each training pixel counts as often as a window that shows it is
        drawn. Augmentations are taken to keep it, as flips do.

        Args:
            margin: rows and columns on each side of a window whose labels the model does not read.
        """
        by_class = np.bincount(self._pixels[:, 3])
        counts = np.zeros(len(self.data.classes))
        side = self.window - 2 * margin
        for labels in self._labels:
            drawn = np.zeros(labels.shape)  # how often a window is drawn around each pixel
            anchors = labels > 0
            drawn[anchors] = 1 / by_class[labels[anchors]] if self.balanced else 1.0
            shown = _sums_over_windows(drawn, side)[anchors]
            counts += np.bincount(labels[anchors], shown, minlength=len(counts) + 1)[1:]
        return counts / counts.sum()


def _sums_over_windows(drawn: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return ``(H, W)``: the sum of ``drawn`` over all pixels whose window shows the pixel."""
    for axis in (0, 1):
        before = -window_origin(0, side)  # pixels of a window before its centre, ``side - before - 1`` after
        width = [(0, 0), (0, 0)]
        width[axis] = (side - before, before)
        total = np.cumsum(np.pad(drawn, width), axis=axis)
        length = drawn.shape[axis]
        drawn = np.take(total, range(side, side + length), axis) - np.take(total, range(length), axis)
    return drawn


@DATA_SAMPLERS.register_module()
class DrawSampler(Sampler):
    """Names an epoch's windows; ranks of a distributed run share them out.

    Args:
        dataset: its length is the number of windows per epoch.
        seed: of the run; MMEngine's Runner passes it.
    """

    def __init__(self, dataset: TrainWindows, seed: int | None = None) -> None:
        self.rank, self.world_size = get_dist_info()
        self.length, self.seed, self.epoch = len(dataset), seed or 0, 0

    def __iter__(self) -> Iterator[Draw]:
        for index in range(len(self)):
            yield Draw(self.seed, self.epoch, index * self.world_size + self.rank)

    def __len__(self) -> int:
        return -(-self.length // self.world_size)  # rounded up: unequal ranks would wait for ever

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch; MMEngine calls this when one starts."""
        self.epoch = epoch


@TRANSFORMS.register_module()
class ModalityDropout:
    """Takes modalities out of training windows, so that a network learns to do without one.

    Each modality of a window is dropped with a probability, independently of the others (as in ModDrop:
    Neverova et al., IEEE TPAMI 38:1692, 2016). It is then NaN everywhere, as where no raster shows it: the
    preprocessor puts its mean there. Where all would be dropped, one that has a value stays, each as likely
    as the others; of M modalities one is thus dropped with the probability p - p^M / M. Windows of one
    modality stay as they are.

    Args:
        probability: p, 0 to below 1.

    Raises:
        InputError: if ``probability`` is out of range.
    """

    def __init__(self, probability: float = 0.2) -> None:
        if (
            isinstance(probability, bool)
            or not isinstance(probability, (int, float))
            or not 0 <= probability < 1
        ):
            raise InputError(f"ModalityDropout: probability is {probability!r}, expected 0 to below 1")
        self.probability = float(probability)

    def __call__(
        self, inputs: Inputs, labels: Labels, generator: np.random.Generator
    ) -> tuple[Inputs, Labels]:
        """Drop modalities of ``(C, S, S)`` rasters; the labels ``(S, S)`` stay."""
        dropped = generator.random(len(inputs)) < self.probability
        chosen = int(generator.integers(2**32))
        lost = {modality for modality, drop in zip(inputs, dropped, strict=True) if drop}
        if not lost:
            return inputs, labels
        shown = [modality for modality, x in inputs.items() if not np.isnan(x).all()]
        if shown and lost.issuperset(shown):
            lost.discard(shown[chosen % len(shown)])
        return {m: np.full_like(x, np.nan) if m in lost else x for m, x in inputs.items()}, labels
