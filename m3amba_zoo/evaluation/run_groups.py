"""Runs grouped by model: mean and spread of their scores over seeds, the best, and what differs from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.record import check_scores
from m3amba_zoo.evaluation.scores import SCORES, unpack_predicted
from m3amba_zoo.evaluation.significance import Drawn, FixedPart, difference, holm

PART = "test"


@dataclass(frozen=True)
class RunGroup:
    """The runs of one model, over its seeds.

    Attributes:
        name: of the model, for people.
        records: the content of each run's ``metrics.json``, by seed.
    """

    name: str
    records: Mapping[int, Mapping[str, Any]]

    def values(self, score: str) -> list[float]:
        """Return a score of each run, as a fraction."""
        return [record[score] for record in self.records.values()]

    def accuracies(self, index: int) -> list[float]:
        """Return a class's accuracy in each run that has test pixels of it."""
        found = [record["per_class"][index]["accuracy"] for record in self.records.values()]
        return [value for value in found if value is not None]

    @property
    def comparable(self) -> bool:
        """Whether each record says what was predicted, pixel by pixel; those of early versions do not."""
        return all({"predicted", "confusion"} <= record.keys() for record in self.records.values())

    @property
    def classes(self) -> list[str]:
        """The names of the classes, in order."""
        return [entry["name"] for entry in next(iter(self.records.values()))["per_class"]]


class Cell(NamedTuple):
    """A score of a model.

    Attributes:
        mean: over its runs, in percent; None without test pixels.
        std: over its runs (n - 1), in percent; None with fewer than two.
        best: whether no model has a higher mean, as it is rounded in the table.
        p: that the best model is no better, adjusted for the number of models (Holm); None where it is not
            known, and for the best.
    """

    mean: float | None
    std: float | None
    best: bool = False
    p: float | None = None


class ScoreLine(NamedTuple):
    """A score or a class's accuracy, of each model."""

    name: str
    cells: list[Cell]


def check_one_part(records: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that runs were scored on the same test pixels, with the same classes.

    Args:
        records: the content of each ``metrics.json``, by the name of the run in messages.

    Raises:
        InputError: if a record says no test part, scores another part, or two have different ones.
    """
    first, *_ = records
    for name, record in records.items():
        split = record.get("split", {})
        if lacking := [key for key in (*SCORES, "per_class", "seed") if key not in record]:
            raise InputError(f"{name}: its metrics.json lacks '{lacking[0]}'")
        if "test_sha256" not in split and len(records) > 1:
            raise InputError(f"{name}: its metrics.json lacks 'split.test_sha256', the hash of its test part")
        if split.get("part", PART) != PART:
            raise InputError(f"{name}: has scores of the part '{split['part']}', expected '{PART}'")
        mine, other = split.get("test_sha256"), records[first].get("split", {}).get("test_sha256")
        if mine != other:
            raise InputError(
                f"{first} and {name} were scored on different test parts (test_sha256 {other[:8]} and "
                f"{mine[:8]}), which cannot be compared; expected runs of one test part"
            )
        classes, of_first = ([e["name"] for e in r["per_class"]] for r in (record, records[first]))
        if classes != of_first:
            raise InputError(
                f"{first} and {name} have different classes ({', '.join(of_first)}; {', '.join(classes)})"
            )


def score_lines(
    groups: Sequence[RunGroup], digits: int, classes: bool = False, part: FixedPart | None = None
) -> list[ScoreLine]:
    """Sum up the models' scores: the classes' accuracies first if they are wanted, then OA, AA and kappa.

    Args:
        groups: models that were scored on one test part.
        digits: behind the point, to which means are rounded before the best is looked for.
        classes: whether to add a line per class.
        part: the test part's labels and blocks. With it, OA, AA and kappa have p values, by the block
            bootstrap of ``significance``.

    Raises:
        InputError: if a record contradicts itself or the part's labels.
    """
    found = []
    for index, name in enumerate(groups[0].classes if classes else ()):
        found.append(ScoreLine(name, _cells([group.accuracies(index) for group in groups], digits)))
    drawn = None if part is None or len(groups) < 2 else [_drawn(part, group) for group in groups]
    for column, score in enumerate(SCORES):
        cells = _cells([group.values(score) for group in groups], digits)
        if drawn is not None:
            cells = _with_p(cells, drawn, column)
        found.append(ScoreLine(score, cells))
    return found


def _cells(values: Sequence[Sequence[float]], digits: int) -> list[Cell]:
    means = [float(100 * np.mean(of_model)) if of_model else None for of_model in values]
    spreads = [float(100 * np.std(one, ddof=1)) if len(one) > 1 else None for one in values]
    best = max((round(mean, digits) for mean in means if mean is not None), default=None)
    return [
        Cell(mean, spread, mean is not None and len(values) > 1 and round(mean, digits) == best)
        for mean, spread in zip(means, spreads, strict=True)
    ]


def _with_p(cells: list[Cell], drawn: Sequence[Drawn], column: int) -> list[Cell]:
    """Compare each model with the one of the highest mean."""
    leader = max(range(len(cells)), key=lambda k: drawn[k][0, column])
    others = [k for k in range(len(cells)) if k != leader]
    score = SCORES[column]
    adjusted = holm([difference(drawn[leader], drawn[k])[score].p for k in others])
    p = dict(zip(others, adjusted, strict=True))
    return [cell._replace(p=p.get(k)) for k, cell in enumerate(cells)]


def _drawn(part: FixedPart, group: RunGroup) -> Drawn:
    """Return the mean scores over a model's seeds: of the test part, and of each draw of its blocks."""
    found = []
    for seed, record in group.records.items():
        check_scores(record, f"{group.name}, seed {seed}", part.labels)
        predicted = unpack_predicted(record["predicted"], record["pixels"])
        found.append(part.scores(predicted, len(record["confusion"])))
    return np.mean(found, axis=0)
