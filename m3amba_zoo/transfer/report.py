"""What became of each tensor of a model that starts from another's weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple


class Action(str, Enum):
    """What was done with a tensor."""

    COPIED = "copied"
    RESAMPLED = "resampled"
    FRESH = "fresh"
    REFITTED = "refitted"  # on the training pixels, when training starts
    DROPPED = "dropped"  # of the source, not in the model


class Entry(NamedTuple):
    """A tensor's fate: its name, what was done and why."""

    name: str
    action: Action
    reason: str = ""


@dataclass(frozen=True)
class TransferReport:
    """All tensors of a transfer.

    Attributes:
        source: the name of what the weights come from.
        entries: one a tensor.
        notes: what was taken for granted.
    """

    source: str
    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """Return the number of tensors by action."""
        found = Counter(entry.action for entry in self.entries)
        return {action.value: found[action] for action in Action}

    def record(self) -> dict[str, Any]:
        """Return plain values for ``metrics.json``: counts, and names with reasons of what is no copy."""
        changed: dict[str, list[str]] = {}
        for action, reason, names in self._groups():
            if action is not Action.COPIED:
                changed.setdefault(action.value, []).append(f"{_areas(names)} ({reason})")
        return {"tensors": self.counts(), **changed, "notes": list(self.notes)}

    def table(self) -> str:
        """Return a short table: a line for each action and reason, with the tensors' common places."""
        counted = ", ".join(f"{number} {action}" for action, number in self.counts().items() if number)
        lines = [f"weights from {self.source}: {counted}"]
        for action, reason, names in self._groups():
            if action is not Action.COPIED:
                lines.append(f"  {action.value:9}  {len(names):4}  {_areas(names)} ({reason})")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def _groups(self) -> list[tuple[Action, str, list[str]]]:
        groups: dict[tuple[Action, str], list[str]] = {}
        for entry in self.entries:
            groups.setdefault((entry.action, entry.reason), []).append(entry.name)
        order = list(Action)
        return [
            (action, reason, names)
            for (action, reason), names in sorted(groups.items(), key=lambda item: order.index(item[0][0]))
        ]


def _areas(names: Iterable[str]) -> str:
    """Sum names up: where a few are meant themselves, else their first parts."""
    names = list(names)
    if len(names) > 3:
        names = list(dict.fromkeys(".".join(name.split(".")[:3]) for name in names))
    if len(names) > 6:
        names = list(dict.fromkeys(".".join(name.split(".")[:2]) for name in names))
    return ", ".join(names)
