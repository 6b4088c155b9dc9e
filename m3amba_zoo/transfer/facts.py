"""The facts that decide whether one model's weights mean the same in another: bands, projections, classes.

Weights of layers that read or write bands are brought to other wavelengths by a resampling matrix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.axes import Axis
from m3amba_zoo.models.preprocessor import RasterPreprocessor
from m3amba_zoo.models.pretreatment import Projection
from m3amba_zoo.models.window_classifier import WindowClassifier
from m3amba_zoo.rasters.resampling import resampling_matrix, same_bands


@dataclass(frozen=True)
class ModalityFacts:
    """One modality of a model.

    Attributes:
        bands: number of bands where they are first mixed: by the first projection of the pretreatment, or by
            the network.
        wavelengths: of these bands in nm, ``(bands,)``; None if unknown.
        treated: number of channels that the network reads.
        projections: kinds and sizes of the pretreatment's projections in order, such as ``PCA (10)``.
        steps: their indices among the steps of the pretreatment.
    """

    bands: int
    wavelengths: NDArray[np.float64] | None
    treated: int
    projections: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()

    def __str__(self) -> str:
        assert self.wavelengths is not None
        return f"{self.bands} bands of {self.wavelengths.min():.0f}-{self.wavelengths.max():.0f} nm"


@dataclass(frozen=True)
class ModelFacts:
    """A model's name for messages, its modalities and its classes' names in order, and its declared axes."""

    name: str
    modalities: Mapping[str, ModalityFacts]
    classes: tuple[str, ...]
    axes: Mapping[str, tuple[Axis, ...]]


def describe_model(
    name: str,
    model: WindowClassifier,
    wavelengths: Mapping[str, ArrayLike | None],
    classes: Sequence[str],
) -> ModelFacts:
    """Describe a model.

    Args:
        name: for messages.
        model: with its pretreatment.
        wavelengths: per modality, of the bands as the scene holds them, in nm; unknown for modalities that
            are left out.
        classes: names in order.

    Raises:
        InputError: if a modality has another number of wavelengths than bands.
    """
    facts = {}
    for modality, bands in model.in_channels.items():
        given = wavelengths.get(modality)
        centres = None if given is None else np.asarray(given, np.float64)
        if centres is not None and centres.shape != (bands,):
            raise InputError(
                f"{name}: {centres.size} wavelengths are given for '{modality}', which has {bands} bands"
            )
        facts[modality] = _describe_modality(model, modality, centres)
    return ModelFacts(name, facts, tuple(classes), model.axes())


def _describe_modality(
    model: WindowClassifier, modality: str, wavelengths: NDArray[np.float64] | None
) -> ModalityFacts:
    bands, treated = model.in_channels[modality], model.treated_channels[modality]
    preprocessor, projections, steps = model.data_preprocessor, [], []
    if isinstance(preprocessor, RasterPreprocessor):
        for index, step in enumerate(preprocessor.steps_of(modality)):
            if isinstance(step, Projection):
                projections.append(f"{type(step).__name__} ({step.out_channels})")
                steps.append(index)
            elif not projections:
                bands = step.out_channels
                wavelengths = None if wavelengths is None else step.of_treated(wavelengths)
    elif treated != bands:  # a user's own preprocessor does not say which bands it gives
        bands, wavelengths = treated, None
    return ModalityFacts(bands, wavelengths, treated, tuple(projections), tuple(steps))


@dataclass(frozen=True)
class Relation:
    """How a modality's bands in the source relate to those in the target.

    Attributes:
        unfit: the reason why weights of layers on these bands cannot be taken over; empty if they can.
        reads, writes: matrices from new to old and from old to new bands; None if the bands are the same.
        text: for the report.
        network: whether the network reads the bands themselves, not the components of a projection.
    """

    unfit: str = ""
    reads: NDArray[np.float64] | None = None
    writes: NDArray[np.float64] | None = None
    text: str = ""
    network: bool = True

    @property
    def resamples(self) -> bool:
        """Whether the network's layers on these bands are resampled; components keep their meaning."""
        return self.reads is not None and self.network


def relate(modality: str, source: ModelFacts, target: ModelFacts) -> Relation:
    """Compare a modality that both models have."""
    old, new = source.modalities[modality], target.modalities[modality]
    if old.projections != new.projections:
        kinds = [", ".join(facts.projections) or "bands" for facts in (old, new)]
        return Relation(f"the network of {source.name} reads {kinds[0]} of '{modality}', this one {kinds[1]}")
    if old.wavelengths is None or new.wavelengths is None:
        return _relate_by_number(modality, source, target)
    if same_bands(old.wavelengths, new.wavelengths):
        return Relation()
    try:
        reads = resampling_matrix(given=new.wavelengths, wanted=old.wavelengths)
        writes = resampling_matrix(given=old.wavelengths, wanted=new.wavelengths)
    except InputError as error:
        return Relation(f"'{modality}' of {source.name} and {target.name}: {error}")
    unseen = int((reads.sum(1) == 0).sum())
    if unseen == len(reads):
        return Relation(
            f"no band of '{modality}' in {source.name} ({old}) lies in the range of those in {target.name} "
            f"({new})"
        )
    text = f"{old} to {new}"
    if unseen:
        text += f"; {unseen} bands of the source lie outside and are read as their mean"
    return Relation("", reads, writes, text, network=not old.projections)


def _relate_by_number(modality: str, source: ModelFacts, target: ModelFacts) -> Relation:
    """Compare a modality whose wavelengths are unknown in a model."""
    old, new = source.modalities[modality], target.modalities[modality]
    whose = [facts.name for facts in (source, target) if facts.modalities[modality].wavelengths is None]
    if old.bands == new.bands:
        unknown = f"taken for the same {old.bands} bands: wavelengths unknown for {' and '.join(whose)}"
        return Relation(text=unknown if old.bands > 1 else "")
    keys = {source.name: "source_wavelengths", target.name: "wavelengths"}
    wanted = " and ".join(f"init_from.{keys[name]}.{modality}=[FIRST,LAST] (nm)" for name in whose)
    return Relation(
        f"'{modality}' has {old.bands} bands in {source.name} and {new.bands} in {target.name}, and the "
        f"wavelengths are unknown for {' and '.join(whose)}; give {wanted}"
    )


def along_axis(value: Tensor, axis: int, matrix: NDArray[np.float64]) -> Tensor:
    """Multiply an axis of length n by a matrix ``(m, n)``, in float64."""
    product = value.movedim(axis, -1).double() @ torch.from_numpy(matrix).T
    return product.movedim(-1, axis).to(value.dtype)
