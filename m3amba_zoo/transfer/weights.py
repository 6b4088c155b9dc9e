"""Transfers weights of one model into another with other bands, classes or modalities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.axes import Axis
from m3amba_zoo.models.preprocessor import RasterPreprocessor
from m3amba_zoo.models.weights import matching_names
from m3amba_zoo.models.window_classifier import WindowClassifier
from m3amba_zoo.transfer.facts import ModelFacts, along_axis, relate

FITTED = ("data_preprocessor.", "posterior.")  # what is fitted on training pixels, not learnt by gradients
STEPS = "data_preprocessor.steps"
# "refitted": on the training pixels, when training starts; "dropped": in the source, not in the model
Action = Literal["copied", "resampled", "fresh", "refitted", "dropped"]
COPIED_AS_THEY_ARE = "tensors of the same shape are copied as they are"


def transfer_weights(
    model: WindowClassifier,
    weights: Mapping[str, Tensor],
    source: ModelFacts,
    target: ModelFacts,
    fresh: Sequence[str] = (),
) -> TransferReport:
    """Start a model from another's weights.

    Axes of bands and classes are those that the model declares (``WindowClassifier.axes``). Layers on bands
    are resampled (``resampling_matrix``), layers that end in classes are fresh for another class list, parts
    of single modalities are fresh or dropped where only one model has the modality, all else is copied
    (``docs/transfer.md``). Pretreatments and a ``Posterior`` are fitted on the new training pixels
    (``FitPreprocessorHook``), except projections (PCA, discriminants): a new fit would give other directions
    than the network has learnt to read. They are carried over and resampled, unless all their readers are
    fresh.

    Args:
        model: takes the weights.
        weights: the source's state dict.
        source: facts of the model that the weights belong to.
        target: facts of ``model``.
        fresh: patterns (``fnmatch``) of names of parameters and buffers that keep the model's own values.

    Returns:
        What became of each tensor.

    Raises:
        InputError: if a tensor neither fits nor is asked for as fresh, or a pattern matches nothing. The
            model then stays as it is.
    """
    transfer = _Transfer(model, weights, source, target, fresh)
    state = transfer.state()
    model.load_state_dict(state, strict=False)
    for modality, step in transfer.carried:  # the fit of the pretreatment then leaves them as they are
        transfer.steps_of(modality)[step].carried = True
    return TransferReport(source.name, tuple(transfer.entries), tuple(transfer.notes))


@dataclass
class _Transfer:
    """The state dict for a model, made tensor by tensor, with notes on each."""

    model: WindowClassifier
    weights: Mapping[str, Tensor]
    source: ModelFacts
    target: ModelFacts
    fresh: Sequence[str]

    def __post_init__(self) -> None:
        source, target, preprocessor = self.source, self.target, self.model.data_preprocessor
        self.current: dict[str, Tensor] = self.model.state_dict()
        common = [m for m in target.modalities if m in source.modalities]
        if not common:
            raise InputError(
                f"{source.name} has the modalities {', '.join(source.modalities)}, {target.name} has "
                f"{', '.join(target.modalities)}: none is in both"
            )
        self.asked = matching_names(self.fresh, self.current, "fresh")
        self.relations = {m: relate(m, source, target) for m in common}
        self.other_classes = source.classes != target.classes
        self.entries: list[Entry] = []
        self.problems: dict[str, str] = {}
        self.notes = self._assumptions()
        self.carried = self._carried()
        # tensors of a user's own preprocessor are treated like the network's
        self.fitted = FITTED if isinstance(preprocessor, RasterPreprocessor) else ()

    def state(self) -> dict[str, Tensor]:
        """Return the tensors to load.

        Raises:
            InputError: if some do not fit.
        """
        state = {}
        for name, current in self.current.items():
            if not name.startswith(self.fitted) and (value := self._tensor(name, current)) is not None:
                state[name] = value
        projections = self._projections()
        if self.problems:
            raise InputError(self._refusal())
        if not state:
            raise InputError(f"nothing of the weights of {self.source.name} is left to take over")
        for name in self.weights:
            if name not in self.current and not name.startswith(self.fitted):
                gone = _modality_in(name, self.source, self.target)
                reason = f"modality '{gone}' is not here" if gone else "no such part here"
                self._note(name, "dropped", reason)
        return {**state, **projections}

    def steps_of(self, modality: str) -> list[Any]:
        """Return the pretreatment's steps; none for a user's own preprocessor."""
        preprocessor = self.model.data_preprocessor
        return preprocessor.steps_of(modality) if isinstance(preprocessor, RasterPreprocessor) else []

    def _assumptions(self) -> list[str]:
        """Return what the report must say is taken for granted."""
        notes = [f"'{m}': {r.text}" for m, r in self.relations.items() if r.text and r.reads is None]
        for modality, relation in self.relations.items():
            if (relation.unfit or relation.resamples) and not self._readers(modality):
                why = relation.unfit or relation.text
                notes.append(
                    f"'{modality}': {why}; no layer declares that it reads them: {COPIED_AS_THEY_ARE}"
                )
        if self.other_classes and all(axis.modalities for axes in self.target.axes.values() for axis in axes):
            notes.append(f"other classes, and no layer declares that it ends in them: {COPIED_AS_THEY_ARE}")
        return notes

    def _readers(self, modality: str) -> list[str]:
        """Return the names of the tensors that have an axis of a modality's bands."""
        axes = self.target.axes.items()
        return [name for name, found in axes if any(modality in axis.modalities for axis in found)]

    def _tensor(self, name: str, current: Tensor) -> Tensor | None:
        """Return the value of a tensor of the network, None if it keeps its own, and note which."""
        axes = self.target.axes.get(name, ())
        if name in self.asked:
            self._note(name, "fresh", "asked for")
        elif self.other_classes and any(not axis.modalities for axis in axes):
            self._note(name, "fresh", "other classes")
        elif name in self.weights:
            try:
                value, reasons = self._adapted(name, current, axes)
            except _UnfitError as unfit:
                self.problems[name] = str(unfit)
            else:
                self._note(name, "resampled" if reasons else "copied", "; ".join(reasons))
                return value
        elif new := _modality_in(name, self.target, self.source):
            self._note(name, "fresh", f"modality '{new}' is new")
        else:
            self.problems[name] = f"is not in the weights of {self.source.name}"
        return None

    def _adapted(self, name: str, current: Tensor, axes: Sequence[Axis]) -> tuple[Tensor, list[str]]:
        """Return the source's tensor with the target's bands and shape, and what was changed."""
        value, reasons = self.weights[name], []
        for axis in axes if value.ndim == current.ndim else ():
            if axis.modalities:
                value, how = self._along_bands(value, current, axis, self._held_by_source(name, axis))
                reasons.extend(how)
        self._check_shape(value, current)
        if name.endswith("fingerprint") and not value.equal(current.to(value.device)):
            raise _UnfitError(f"differs: {self.source.name} was trained with another encoder")
        return value, list(dict.fromkeys(reasons))

    def _held_by_source(self, name: str, axis: Axis) -> tuple[str, ...]:
        """Return the modalities along an axis in the source, which may be others than in the target."""
        declared = (a.modalities for a in self.source.axes.get(name, ()) if a.dim == axis.dim)
        held = tuple(m for m in next(declared, axis.modalities) if m in self.source.modalities)
        size = self.weights[name].shape[axis.dim]
        if size != sum(_treated(self.source, held)) or set(held).isdisjoint(axis.modalities):
            bands = " and ".join(axis.modalities)
            raise _UnfitError(f"has {size} entries along axis {axis.dim}, not the bands of {bands}")
        return held

    def _along_bands(
        self, value: Tensor, current: Tensor, axis: Axis, held: tuple[str, ...]
    ) -> tuple[Tensor, list[str]]:
        """Return a tensor with the target's bands along an axis, and what changed there."""
        shared = [m for m in axis.modalities if m in held]
        for modality in shared:
            if unfit := self.relations[modality].unfit:
                raise _UnfitError(unfit)
        if held == axis.modalities and not any(self.relations[m].resamples for m in shared):
            return value, []
        old = dict(zip(held, value.split(_treated(self.source, held), axis.dim), strict=True))
        new = current.split(_treated(self.target, axis.modalities), axis.dim)
        blocks, reasons = [], [f"'{m}' is not here" for m in held if m not in axis.modalities]
        for modality, own in zip(axis.modalities, new, strict=True):
            relation = self.relations.get(modality)
            if modality not in held or relation is None:
                # the model's own block lies beside the source's: they must agree along the other axes
                self._check_shape(value.narrow(axis.dim, 0, 0), current.narrow(axis.dim, 0, 0))
                blocks.append(own.to(value))
                reasons.append(f"'{modality}' is new")
            elif relation.resamples and relation.reads is not None and relation.writes is not None:
                matrix = relation.reads.T if axis.reads else relation.writes
                block = along_axis(old[modality], axis.dim, matrix)
                if not axis.reads:
                    # bands that the source never saw keep their own values: zeros here and in the layers that
                    # read them would get no gradient
                    unseen = torch.from_numpy((matrix.sum(1) == 0).nonzero()[0]).to(block.device)
                    block.index_copy_(axis.dim, unseen, own.index_select(axis.dim, unseen).to(block))
                blocks.append(block)
                reasons.append(relation.text)
            else:
                blocks.append(old[modality])
        return torch.cat(blocks, axis.dim), reasons

    def _check_shape(self, value: Tensor, current: Tensor) -> None:
        if value.shape != current.shape:
            shapes = [f"({', '.join(map(str, tensor.shape))})" for tensor in (value, current)]
            raise _UnfitError(f"is {shapes[0]} in {self.source.name} and {shapes[1]} here")

    def _carried(self) -> dict[tuple[str, int], int]:
        """Return modality and step of the projections that are carried over, and their step in the source."""
        carried = {}
        for modality, relation in self.relations.items():
            readers = self._readers(modality)
            # a network that declares no reader reads the components all the same
            if relation.unfit or (readers and self.asked.issuperset(readers)):
                continue
            old, new = self.source.modalities[modality], self.target.modalities[modality]
            for before, now in zip(old.steps, new.steps, strict=True):
                if not any(name.startswith(f"{STEPS}.{modality}.{now}.") for name in self.asked):
                    carried[modality, now] = before
        return carried

    def _projections(self) -> dict[str, Tensor]:
        """Return the states of the projections to carry over, and note what becomes of pretreatments."""
        state: dict[str, Tensor] = {}
        for (modality, index), old in self.carried.items():
            relation = self.relations[modality]
            # a later projection reads components, not bands
            first = index == self.target.modalities[modality].steps[0]
            for leaf in self.steps_of(modality)[index].state_dict():
                value = self.weights[f"{STEPS}.{modality}.{old}.{leaf}"]
                name = f"{STEPS}.{modality}.{index}.{leaf}"
                if first and relation.reads is not None and value.ndim == 2:
                    state[name] = along_axis(value, 1, relation.reads.T)
                    self._note(name, "resampled", relation.text)
                else:
                    state[name] = value
                    self._note(name, "copied")
        for name in self.current:
            if name.startswith(self.fitted) and name not in state and not name.endswith(".fitted"):
                self._note(name, "refitted", "on the training pixels")
        return state

    def _note(self, name: str, action: Action, reason: str = "") -> None:
        self.entries.append(Entry(name, action, reason))

    def _refusal(self) -> str:
        """Return one sentence on all problems, with the patterns that would make their tensors fresh."""
        name, text = next(iter(self.problems.items()))
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        layers = (problem.rpartition(".") for problem in self.problems)
        patterns = list(dict.fromkeys(f"{layer}.*" if layer else leaf for layer, _, leaf in layers))
        shown = " ".join(f"'{pattern}'" for pattern in patterns[:4]) + (" ..." if len(patterns) > 4 else "")
        return f"'{name}'{more}: {text}; --fresh {shown} would start them anew"


class _UnfitError(Exception):
    """The reason why a tensor cannot be taken over."""


def _treated(facts: ModelFacts, modalities: Sequence[str]) -> list[int]:
    return [facts.modalities[m].treated for m in modalities]


def _modality_in(name: str, having: ModelFacts, lacking: ModelFacts) -> str | None:
    """Return the modality of one model, not of another, that a tensor's name contains."""
    words = name.split(".")
    return next((m for m in having.modalities if m not in lacking.modalities and m in words), None)


class Entry(NamedTuple):
    """What was done with one tensor, and why."""

    name: str
    action: Action
    reason: str = ""


@dataclass(frozen=True)
class TransferReport:
    """All tensors of a transfer.

    Attributes:
        source: the name of the model that the weights come from.
        entries: one per tensor.
        notes: assumptions that were made.
    """

    source: str
    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """Return the number of tensors per action."""
        found = Counter(entry.action for entry in self.entries)
        return {action: found[action] for action in get_args(Action)}

    def record(self) -> dict[str, Any]:
        """Return plain values for ``metrics.json``: counts, and names with reasons of all but the copies."""
        changed: dict[str, list[str]] = {}
        for action, reason, names in self._changes():
            changed.setdefault(action, []).append(f"{_areas(names)} ({reason})")
        return {"tensors": self.counts(), **changed, "notes": list(self.notes)}

    def table(self) -> str:
        """Return a short table, one line per action and reason."""
        counted = ", ".join(f"{number} {action}" for action, number in self.counts().items() if number)
        return "\n".join(
            [
                f"weights from {self.source}: {counted}",
                *(f"  {a:9}  {len(names):4}  {_areas(names)} ({why})" for a, why, names in self._changes()),
                *(f"  note: {note}" for note in self.notes),
            ]
        )

    def _changes(self) -> list[tuple[Action, str, list[str]]]:
        """Return the names of tensors that are not copies, per action and reason."""
        groups: dict[tuple[Action, str], list[str]] = {}
        for entry in self.entries:
            if entry.action != "copied":
                groups.setdefault((entry.action, entry.reason), []).append(entry.name)
        order = get_args(Action)
        return [(*key, groups[key]) for key in sorted(groups, key=lambda key: order.index(key[0]))]


def _areas(names: list[str]) -> str:
    """Sum names up: a few are given in full, more by their first parts."""
    if len(names) > 3:
        names = list(dict.fromkeys(".".join(name.split(".")[:3]) for name in names))
    if len(names) > 6:
        names = list(dict.fromkeys(".".join(name.split(".")[:2]) for name in names))
    return ", ".join(names)
