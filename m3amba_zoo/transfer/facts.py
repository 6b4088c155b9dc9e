"""What decides whether one model's weights mean the same in another: bands, projections, class names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.preprocessor import RasterPreprocessor
from m3amba_zoo.models.pretreatment import Projection
from m3amba_zoo.models.window_classifier import WindowClassifier
from m3amba_zoo.transfer.resampling import resampling_matrix, same_bands


@dataclass(frozen=True)
class FittedProjection:
    """A projection in a pretreatment; alike are those of one kind and size.

    Attributes:
        kind: ``PCA``, ``Discriminants``.
        components: that come out.
        step: which step of the pretreatment it is.
    """

    kind: str
    components: int
    step: int = field(compare=False)


@dataclass(frozen=True)
class ModalityFacts:
    """One modality of a model.

    Attributes:
        bands: that are mixed first: by the first projection of the pretreatment, else by the network.
        wavelengths: theirs in nm, ``(bands,)``, or None where unknown.
        treated: channels that the network reads.
        projections: the pretreatment's PCA, discriminants and the like, in order.
    """

    bands: int
    wavelengths: NDArray[np.float64] | None
    treated: int
    projections: tuple[FittedProjection, ...] = ()


@dataclass(frozen=True)
class ModelFacts:
    """A model and what its weights belong to.

    Attributes:
        name: in messages, such as a published model's or the config's.
        modalities: in order.
        classes: their names, in order.
    """

    name: str
    modalities: Mapping[str, ModalityFacts]
    classes: tuple[str, ...]


def describe_model(
    name: str,
    model: WindowClassifier,
    wavelengths: Mapping[str, ArrayLike | None],
    classes: Sequence[str],
) -> ModelFacts:
    """Describe a model.

    Args:
        name: in messages.
        model: with its pretreatment.
        wavelengths: by modality, one a band as the scene holds it, in nm; what is left out is unknown.
        classes: names in order.

    Raises:
        InputError: another number of wavelengths than bands.
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
    return ModelFacts(name, facts, tuple(classes))


def _describe_modality(
    model: WindowClassifier, modality: str, wavelengths: NDArray[np.float64] | None
) -> ModalityFacts:
    bands, treated = model.in_channels[modality], model.treated_channels[modality]
    preprocessor, projections = model.data_preprocessor, []
    if isinstance(preprocessor, RasterPreprocessor):
        for index, step in enumerate(preprocessor.steps_of(modality)):
            if isinstance(step, Projection):
                projections.append(FittedProjection(type(step).__name__, step.out_channels, index))
            elif not projections:
                bands = step.out_channels
                wavelengths = None if wavelengths is None else step.treated_wavelengths(wavelengths)
    elif treated != bands:  # somebody's own preprocessor: which bands it gives is its secret
        bands, wavelengths = treated, None
    return ModalityFacts(bands, wavelengths, treated, tuple(projections))


@dataclass(frozen=True)
class Relation:
    """How a modality's bands in the source stand to those in the target.

    Attributes:
        unfit: why weights of layers on these bands cannot be taken over; empty where they can.
        reads, writes: matrices from new to old and from old to new bands; None for the same bands.
        text: for the report.
    """

    unfit: str = ""
    reads: NDArray[np.float64] | None = None
    writes: NDArray[np.float64] | None = None
    text: str = ""


def relate(modality: str, source: ModelFacts, target: ModelFacts) -> Relation:
    """Compare a modality that both have."""
    old, new = source.modalities[modality], target.modalities[modality]
    if old.projections != new.projections:
        kinds = [_channels(facts) for facts in (old, new)]
        return Relation(f"the network of {source.name} reads {kinds[0]} of '{modality}', this one {kinds[1]}")
    if old.wavelengths is None or new.wavelengths is None:
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
            f"no band of '{modality}' in {source.name} ({_range(old)}) lies where those of {target.name} do "
            f"({_range(new)})"
        )
    text = f"{_range(old)} to {_range(new)}"
    if unseen:
        text += f"; {unseen} bands of the source lie outside and are read as their mean"
    return Relation("", reads, writes, text)


def _channels(facts: ModalityFacts) -> str:
    """Name what the network reads."""
    return ", ".join(f"{p.kind} ({p.components})" for p in facts.projections) or "bands"


def _range(facts: ModalityFacts) -> str:
    assert facts.wavelengths is not None
    return f"{facts.bands} bands of {facts.wavelengths.min():.0f}-{facts.wavelengths.max():.0f} nm"
