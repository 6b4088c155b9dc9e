"""The scores that a page shows: those of every run, and those that a user's metric adds to the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from m3amba_zoo.evaluation.record import RECORD


class Score(NamedTuple):
    """How a score is shown: times a factor, with digits behind the point and a unit."""

    title: str
    factor: float = 1.0
    unit: str = ""
    digits: int = 4

    def told(self, value: float | None) -> str:
        """Return a value for people; "" of None."""
        return "" if value is None else f"{self.factor * value:.{self.digits}f}{self.unit}"

    def difference(self, value: float | None, base: float | None) -> str:
        """Return how much larger a value is than another one, with its sign; "" if one is None."""
        return "" if value is None or base is None else f"{self.factor * (value - base):+.{self.digits}f}"


SCORES = {
    "oa": Score("OA", 100, " %", 2),
    "aa": Score("AA", 100, " %", 2),
    "kappa": Score("kappa x 100", 100, "", 2),
    "mean_f1": Score("mean F1", 100, " %", 2),
    "mean_iou": Score("mean IoU", 100, " %", 2),
    "ece": Score("ECE", 100, " %", 2),
}


def shown_scores(records: Sequence[Mapping[str, Any]]) -> dict[str, Score]:
    """Return the scores that some of the records have: the usual ones, then numbers of users' metrics."""
    usual = {key: s for key, s in SCORES.items() if any(record.get(key) is not None for record in records)}
    known = {*SCORES, *RECORD["properties"]}
    own = {
        key: Score(key)
        for record in records
        for key, value in record.items()
        if key not in known and isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    return usual | own
