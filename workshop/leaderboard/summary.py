"""A model's runs on a dataset summed up, and its means compared with those of another model."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.scores import SCORES, unpack_predicted
from m3amba_zoo.evaluation.significance import Drawn, FixedPart
from workshop.leaderboard.plan import Run
from workshop.leaderboard.table import DONE, FAILED, Key, Row, Table


@dataclass(frozen=True)
class Entry:
    """One model on one dataset, in one group.

    Attributes:
        model: the model's name.
        runs: the plan's runs of it, one per seed.
        rows: the rows of the table by seed; a run that was never started has none.
        records: the records of finished runs by seed.
        part: the dataset's test part; None if runs have their own, or it is not known.
    """

    model: str
    runs: Sequence[Run]
    rows: Mapping[int, Row]
    records: Mapping[int, Mapping[str, Any]]
    part: FixedPart | None = None

    @property
    def complete(self) -> bool:
        """Whether every seed of the plan has a result."""
        return len(self.records) == len(self.runs)

    @property
    def failures(self) -> list[Row]:
        """The rows of failed runs."""
        return [row for row in self.rows.values() if row["status"] == FAILED]

    @property
    def outdated(self) -> bool:
        """Whether a result was computed with another config than the plan's now."""
        return any(
            run.seed in self.records and self.rows[run.seed]["config_sha256"] != run.config_sha256
            for run in self.runs
        )

    @cached_property
    def drawn(self) -> Drawn | None:
        """The mean scores over the seeds: of the test part, and of each draw of its blocks."""
        if self.part is None or not self.records:
            return None
        return np.mean([self._drawn(self.part, record) for record in self.records.values()], axis=0)

    def _drawn(self, part: FixedPart, record: Mapping[str, Any]) -> Drawn:
        predicted = unpack_predicted(record["predicted"], record["pixels"])
        drawn = part.scores(predicted, len(record["confusion"]))
        if not np.allclose(drawn[0], [record[score] for score in SCORES], atol=1e-9):
            raise InputError(
                f"{self.runs[0].dataset}: the kept test part gives {self.model} the OA {drawn[0][0]:.6f}, "
                f"its record says {record['oa']:.6f}; remove the test part's file, the next run makes it anew"
            )
        return drawn

    def over(self, seeds: Collection[int]) -> Entry:
        """Return the same entry with the records of some seeds only."""
        return replace(self, records={seed: self.records[seed] for seed in seeds})

    def values(self, *path: str) -> list[float]:
        """Return the number at a path of keys in each record; records without it are left out."""
        found = []
        for record in self.records.values():
            value: Any = record
            for key in path:
                value = (value or {}).get(key)
            if value is not None:
                found.append(float(value))
        return found

    def mean(self, *path: str) -> float:
        """Return the mean over the seeds."""
        return float(np.mean(self.values(*path)))

    @property
    def percents(self) -> str:
        """The means of OA, AA and kappa in percent, side by side."""
        return " / ".join(f"{100 * self.mean(score):.1f}" for score in SCORES)

    def spread(self, *path: str) -> float | None:
        """Return the standard deviation over the seeds (n - 1), None with fewer than two seeds."""
        values = self.values(*path)
        return float(np.std(values, ddof=1)) if len(values) > 1 else None

    def of_class(self, name: str, score: str) -> float:
        """Return the mean over the seeds of a class's score, such as ``f1``."""
        found = [
            c[score] for record in self.records.values() for c in record["per_class"] if c["name"] == name
        ]
        return float(np.mean(found))

    def accuracy(self, index: int) -> float | None:
        """Return a class's mean accuracy over the seeds that have test pixels of it, None if none has."""
        values = [record["per_class"][index]["accuracy"] for record in self.records.values()]
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known else None


def entries(table: Table, rows: Mapping[Key, Row], runs: Sequence[Run]) -> list[Entry]:
    """Sum up the runs of one group and dataset by model.

    Complete entries come first, those without results last; within these the best mean OA comes first.

    Raises:
        InputError: if a row and its record contradict each other.
    """
    by_model: dict[str, list[Run]] = {}
    for run in runs:
        by_model.setdefault(run.model, []).append(run)
    found = []
    for model, of_model in by_model.items():
        known = {run.seed: rows[run.key] for run in of_model if run.key in rows}
        records = {seed: table.record(row) for seed, row in known.items() if row["status"] == DONE}
        found.append(Entry(model, of_model, known, records, _part(table, of_model[0], records)))
    return sorted(
        found,
        key=lambda entry: (
            not entry.complete,
            not entry.records,
            -entry.mean("oa") if entry.records else 0,
            entry.model,
        ),
    )


def signed(points: float) -> str:
    """Return a difference with its sign and one decimal; zero is never negative."""
    return f"{round(points, 1) + 0.0:+.1f}"


def seeds_on_same_pixels(first: Entry, *others: Entry) -> list[int]:
    """Return the seeds that all models have.

    Raises:
        InputError: if the models have different test pixels for a seed.
    """
    shared = [seed for seed in first.records if all(seed in other.records for other in others)]
    for seed in shared:
        for other in others:
            hashes = [entry.records[seed]["split"]["sha256"] for entry in (first, other)]
            if hashes[0] != hashes[1]:
                raise InputError(
                    f"{first.runs[0].dataset}, seed {seed}: {first.model} was tested on split "
                    f"{hashes[0][:8]}, {other.model} on {hashes[1][:8]}; expected one split, run the "
                    "outdated one again"
                )
    return shared


def mean_difference(first: Entry, second: Entry, score: str) -> float | None:
    """Return the mean lead of the first model over the seeds that both have, None if they share no seed.

    The two may have different splits.
    """
    shared = first.records.keys() & second.records.keys()
    differences = [first.records[seed][score] - second.records[seed][score] for seed in shared]
    return float(np.mean(differences)) if differences else None


def _part(table: Table, run: Run, records: Mapping[int, Mapping[str, Any]]) -> FixedPart | None:
    """Return the dataset's test part if all results are of it."""
    part = None if run.test_sha256 is None else table.part(run.dataset)
    tested = {record["split"]["test_sha256"] for record in records.values()}
    return part if part is not None and tested == {part.sha256} else None
