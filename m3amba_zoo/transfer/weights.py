"""Weights of one model into another whose bands, classes or modalities differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.preprocessor import RasterPreprocessor
from m3amba_zoo.models.weights import matching_names
from m3amba_zoo.models.window_classifier import WindowClassifier
from m3amba_zoo.transfer.axes import FITTED, Axis, network_axes
from m3amba_zoo.transfer.facts import ModelFacts, relate
from m3amba_zoo.transfer.report import Action, Entry, TransferReport
from m3amba_zoo.transfer.resampling import along_axis

STEPS = "data_preprocessor.steps"
ASKED = "asked for"


def transfer_weights(
    model: WindowClassifier,
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    source: ModelFacts,
    target: ModelFacts,
    fresh: Sequence[str] = (),
) -> TransferReport:
    """Start a model from another's weights.

    - Tensors of a modality's bands are resampled where the wavelengths differ (``resampling_matrix``),
      whatever layer they belong to; wavelengths must be known on both sides unless the number of bands is the
      same.
    - Layers that end in one value a class are fresh unless the class lists are equal, names in order.
    - What belongs to modalities that the source lacks is fresh; what belongs to others of the source is
      dropped.
    - All else is copied, and must fit.
    - Pretreatments are fitted on the new training pixels (``FitPreprocessorHook``), which adapts to another
      sensor's units and light, except projections (PCA, discriminants): fitted anew these would be other
      directions than the network has learnt to read. They are carried over, resampled like any layer that
      reads bands, unless all layers that read them are fresh. A ``Posterior`` is fitted anew.

    Args:
        model: takes the weights.
        config: the model's, from which it was built.
        weights: the source's state dict.
        source: what it belongs to.
        target: the same of ``model``.
        fresh: patterns (``fnmatch``) of names of parameters and buffers that keep the model's own values.

    Returns:
        What became of each tensor.

    Raises:
        InputError: a tensor can neither be taken over nor is asked for fresh; a pattern matches nothing. The
            model is as it was then.
    """
    transfer = _Transfer(model, config, weights, source, target, fresh)
    state = transfer.state()
    model.load_state_dict(state, strict=False)
    transfer.keep_projections()
    return TransferReport(source.name, tuple(transfer.entries), tuple(transfer.notes))


class _Transfer:
    def __init__(
        self,
        model: WindowClassifier,
        config: Mapping[str, Any],
        weights: Mapping[str, Tensor],
        source: ModelFacts,
        target: ModelFacts,
        fresh: Sequence[str],
    ) -> None:
        self.model, self.weights, self.source, self.target = model, weights, source, target
        self.current: dict[str, Tensor] = model.state_dict()
        self.common = [m for m in target.modalities if m in source.modalities]
        if not self.common:
            raise InputError(
                f"{source.name} has the modalities {', '.join(source.modalities)}, {target.name} has "
                f"{', '.join(target.modalities)}: none is in both"
            )
        self.asked = matching_names(fresh, self.current, "fresh")
        self.relations = {m: relate(m, source, target) for m in self.common}
        self.axes = network_axes(model, config)
        self.readers = {m: [n for n, axes in self.axes.items() if _runs_over(axes, m)] for m in self.common}
        self.entries: list[Entry] = []
        self.problems: list[tuple[str, str]] = []
        self.notes = [f"'{m}': {r.text}" for m, r in self.relations.items() if r.text and r.reads is None]
        self.notes += [self._unseen(m) for m in self.common if not self.readers[m] and self._differs(m)]
        # anything else than ours fits itself, or does not
        self.fitted = FITTED if isinstance(model.data_preprocessor, RasterPreprocessor) else ()

    def state(self) -> dict[str, Tensor]:
        """Return the tensors to load.

        Raises:
            InputError: some cannot be had.
        """
        state, used = {}, set()
        for name, current in self.current.items():
            if name.startswith(self.fitted):
                continue
            if (found := self._tensor(name, current)) is not None:
                state[name] = found
                used.add(name)
        state.update(self._projections())
        if self.problems:
            raise InputError(self._refusal())
        if not used:
            raise InputError(f"nothing of the weights of {self.source.name} is left to take over")
        for name in self.weights:
            if name not in self.current and not name.startswith(self.fitted):
                self._note(name, Action.DROPPED, self._why_dropped(name))
        return state

    def keep_projections(self) -> None:
        """Let the fit of pretreatments pass by the projections that were carried over."""
        for modality, index in self._carried():
            self._steps(modality)[index].carried = True

    def _tensor(self, name: str, current: Tensor) -> Tensor | None:
        """Return the value of a tensor of the network, None for its own, and note which."""
        axes = self.axes.get(name, ())
        other_classes = self.source.classes != self.target.classes
        if name in self.asked:
            self._note(name, Action.FRESH, ASKED)
            return None
        if other_classes and any(not axis.modalities for axis in axes):
            self._note(name, Action.FRESH, "other classes")
            return None
        if name not in self.weights:
            new = [m for m in self._only_in_target() if m in name.split(".")]
            if new:
                self._note(name, Action.FRESH, f"modality '{new[0]}' is new")
            else:
                self._problem(name, f"is not in the weights of {self.source.name}")
            return None
        value, reasons = self.weights[name], []
        axes = axes if value.ndim == current.ndim else ()
        try:
            for axis in axes:
                if axis.modalities:
                    value, how = self._along_bands(value, current, axis)
                    reasons.extend(how)
            self._check(name, value, current)
        except _Unfit as unfit:
            self._problem(name, str(unfit))
            return None
        self._note(name, Action.RESAMPLED if reasons else Action.COPIED, "; ".join(dict.fromkeys(reasons)))
        return value

    def _along_bands(self, value: Tensor, current: Tensor, axis: Axis) -> tuple[Tensor, list[str]]:
        """Return a tensor with an axis of bands brought to the target's, and what changed.

        Raises:
            _Unfit: it cannot be.
        """
        held = self._held_by_source(value.shape[axis.dim], axis)
        shared = [m for m in axis.modalities if m in held]
        for modality in shared:
            if unfit := self.relations[modality].unfit:
                raise _Unfit(unfit)
        if held == axis.modalities and not any(map(self._resamples, shared)):
            return value, []
        old = dict(
            zip(held, value.split([self._treated(self.source, m) for m in held], axis.dim), strict=True)
        )
        new = current.split([self._treated(self.target, m) for m in axis.modalities], axis.dim)
        blocks, reasons = [], [f"'{m}' is not here" for m in held if m not in axis.modalities]
        for modality, own in zip(axis.modalities, new, strict=True):
            relation = self.relations.get(modality)
            if modality not in held or relation is None:
                self._check("", value.narrow(axis.dim, 0, 0), current.narrow(axis.dim, 0, 0))
                block, how = own.to(value), f"'{modality}' is new"
            elif relation.reads is not None and relation.writes is not None and self._resamples(modality):
                matrix = relation.reads.T if axis.reads else relation.writes
                block, how = along_axis(old[modality], axis.dim, matrix), relation.text
                if not axis.reads:  # zeros, with the zeros of what reads them, would have no gradient
                    unseen = torch.from_numpy((matrix.sum(1) == 0).nonzero()[0]).to(block.device)
                    block.index_copy_(axis.dim, unseen, own.index_select(axis.dim, unseen).to(block))
            else:
                block, how = old[modality], ""
            blocks.append(block)
            reasons.extend(filter(None, [how]))
        return torch.cat(blocks, axis.dim), reasons

    def _check(self, name: str, value: Tensor, current: Tensor) -> None:
        if value.shape != current.shape:
            raise _Unfit(f"is {_shape(value)} in {self.source.name} and {_shape(current)} here")
        if name.endswith("fingerprint") and not value.equal(current.to(value.device)):
            raise _Unfit(f"differs: {self.source.name} was trained with another CLIP encoder")

    def _resamples(self, modality: str) -> bool:
        """Whether the network reads other bands; the components of a projection stay what they are."""
        return self.relations[modality].reads is not None and not self.source.modalities[modality].projections

    def _differs(self, modality: str) -> bool:
        """Whether the network reads something else here than in the source."""
        return bool(self.relations[modality].unfit) or self._resamples(modality)

    def _unseen(self, modality: str) -> str:
        relation = self.relations[modality]
        return (
            f"'{modality}': {relation.unfit or relation.text}; which layers read its bands is not seen: "
            "those of the same shape are copied as they are"
        )

    def _held_by_source(self, size: int, axis: Axis) -> tuple[str, ...]:
        """Return the modalities that lie along an axis of this size in the source."""
        everything = tuple(self.source.modalities)
        for held in (axis.modalities, everything):
            known = set(held) <= set(everything) and not set(held).isdisjoint(axis.modalities)
            if known and size == sum(self._treated(self.source, m) for m in held):
                return held
        raise _Unfit(f"has {size} entries along axis {axis.dim}, not the bands of {' and '.join(everything)}")

    @staticmethod
    def _treated(facts: ModelFacts, modality: str) -> int:
        return facts.modalities[modality].treated

    def _only_in_target(self) -> list[str]:
        return [m for m in self.target.modalities if m not in self.source.modalities]

    def _projections(self) -> dict[str, Tensor]:
        """Return the states of the projections to carry over, and note what becomes of pretreatments."""
        state: dict[str, Tensor] = {}
        carried = self._carried()
        for (modality, index), old in carried.items():
            relation = self.relations[modality]
            first = index == self.target.modalities[modality].projections[0].step
            resampled = first and relation.reads is not None
            for leaf in self._steps(modality)[index].state_dict():
                value = self.weights[f"{STEPS}.{modality}.{old}.{leaf}"]
                name = f"{STEPS}.{modality}.{index}.{leaf}"
                if resampled and value.ndim == 2:
                    assert relation.reads is not None
                    value = along_axis(value, 1, relation.reads.T)
                    self._note(name, Action.RESAMPLED, relation.text)
                else:
                    self._note(name, Action.COPIED)
                state[name] = value
        for name in self.current:
            if name.startswith(self.fitted) and name not in state and not name.endswith(".fitted"):
                self._note(name, Action.REFITTED, "on the training pixels")
        return state

    def _carried(self) -> dict[tuple[str, int], int]:
        """Return modality and step of the projections that are carried over, and their step in the source."""
        carried = {}
        for modality in self.common:
            old, new = self.source.modalities[modality], self.target.modalities[modality]
            # a network whose readers are not seen reads the components all the same
            readers = self.readers[modality]
            fresh = bool(readers) and all(name in self.asked for name in readers)
            refit = self.relations[modality].unfit or fresh
            for before, now in zip(old.projections, new.projections, strict=False):
                asked = any(name.startswith(f"{STEPS}.{modality}.{now.step}.") for name in self.asked)
                if not refit and not asked:
                    carried[modality, now.step] = before.step
        return carried

    def _steps(self, modality: str) -> list[Any]:
        preprocessor = self.model.data_preprocessor
        return preprocessor.steps_of(modality) if isinstance(preprocessor, RasterPreprocessor) else []

    def _why_dropped(self, name: str) -> str:
        for modality in self.source.modalities:
            if modality not in self.target.modalities and modality in name.split("."):
                return f"modality '{modality}' is not here"
        return "no such part here"

    def _note(self, name: str, action: Action, reason: str = "") -> None:
        self.entries.append(Entry(name, action, reason))

    def _problem(self, name: str, text: str) -> None:
        self.problems.append((name, text))

    def _refusal(self) -> str:
        """Return one sentence on all problems, with the patterns that would let their tensors start anew."""
        name, text = self.problems[0]
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        patterns = list(dict.fromkeys(_pattern(name) for name, _ in self.problems))
        shown = " ".join(f"'{pattern}'" for pattern in patterns[:4]) + (" ..." if len(patterns) > 4 else "")
        return f"'{name}'{more}: {text}; --fresh {shown} would start them anew"


def _runs_over(axes: Sequence[Axis], modality: str) -> bool:
    return any(modality in axis.modalities for axis in axes)


class _Unfit(Exception):
    """Why a tensor cannot be taken over."""


def _shape(value: Tensor) -> str:
    return f"({', '.join(map(str, value.shape))})"


def _pattern(name: str) -> str:
    owner = name.rpartition(".")[0]
    return f"{owner}.*" if owner else name
