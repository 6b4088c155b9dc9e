"""A model's runs on a dataset summed up, and compared in pairs with another model's."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.scores import SCORES, unpack_correct
from workshop.leaderboard.plan import Run
from workshop.leaderboard.significance import McNemar, mcnemar, wilcoxon_signed_rank
from workshop.leaderboard.table import DONE, FAILED, Key, Row, Table


@dataclass(frozen=True)
class Entry:
    """One model on one dataset, in one group.

    Attributes:
        model: its name.
        runs: those of the plan, one a seed.
        rows: of the runs that have one, by seed.
        records: of the runs that are done, by seed.
    """

    model: str
    runs: Sequence[Run]
    rows: Mapping[int, Row]
    records: Mapping[int, Mapping[str, Any]]

    @property
    def complete(self) -> bool:
        """Whether every seed of the plan has a result."""
        return len(self.records) == len(self.runs)

    @property
    def failures(self) -> list[Row]:
        """The rows of runs that failed."""
        return [row for row in self.rows.values() if row["status"] == FAILED]

    @property
    def outdated(self) -> bool:
        """Whether a result is of another config than the plan's now."""
        return any(
            run.seed in self.records and self.rows[run.seed]["config_sha256"] != run.config_sha256
            for run in self.runs
        )

    def over(self, seeds: Collection[int]) -> Entry:
        """Return the same with the records of some seeds alone."""
        return replace(self, records={seed: self.records[seed] for seed in seeds})

    def values(self, *path: str) -> list[float]:
        """Return a number of each record, found by its keys; records without it are left out."""
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
        """Return the standard deviation over the seeds (n - 1), None with fewer than two."""
        values = self.values(*path)
        return float(np.std(values, ddof=1)) if len(values) > 1 else None

    def accuracy(self, index: int) -> float | None:
        """Return the mean accuracy of a class over the seeds that test it."""
        values = [record["per_class"][index]["accuracy"] for record in self.records.values()]
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known else None


@dataclass(frozen=True)
class Comparison:
    """Two models in pairs, over the seeds that both have: pixels pooled over seeds, and seeds."""

    seeds: int
    pixels: McNemar
    wilcoxon: float | None


def signed(points: float) -> str:
    """Return a difference with its sign; what rounds to nothing has none below zero."""
    return f"{round(points, 1) + 0.0:+.1f}"


def entries(table: Table, rows: Mapping[Key, Row], runs: Sequence[Run]) -> list[Entry]:
    """Sum up the runs of one group and dataset by model, the best mean OA first; those without result last.

    Raises:
        InputError: a row and its record contradict each other.
    """
    by_model: dict[str, list[Run]] = {}
    for run in runs:
        by_model.setdefault(run.model, []).append(run)
    found = []
    for model, of_model in by_model.items():
        known = {run.seed: rows[run.key] for run in of_model if run.key in rows}
        records = {seed: table.record(row) for seed, row in known.items() if row["status"] == DONE}
        found.append(Entry(model, of_model, known, records))
    return sorted(
        found,
        key=lambda entry: (
            not entry.complete,
            not entry.records,
            -entry.mean("oa") if entry.records else 0,
            entry.model,
        ),
    )


def seeds_on_same_pixels(first: Entry, *others: Entry) -> list[int]:
    """Return the seeds that all models have.

    Raises:
        InputError: a seed's test pixels are not the same for all.
    """
    shared = [seed for seed in first.records if all(seed in other.records for other in others)]
    for seed in shared:
        for other in others:
            hashes = [entry.records[seed]["split"]["sha256"] for entry in (first, other)]
            if hashes[0] != hashes[1]:
                raise InputError(
                    f"{first.runs[0].dataset}, seed {seed}: {first.model} was tested on split "
                    f"{hashes[0][:8]}, {other.model} on {hashes[1][:8]}; one split is expected, run the "
                    "outdated one again"
                )
    return shared


def mean_difference(first: Entry, second: Entry, score: str) -> float | None:
    """Return by how much the first is ahead on average over the seeds that both have; None without one.

    They may be of different splits.
    """
    shared = first.records.keys() & second.records.keys()
    differences = [first.records[seed][score] - second.records[seed][score] for seed in shared]
    return float(np.mean(differences)) if differences else None


def compare(first: Entry, second: Entry) -> Comparison | None:
    """Compare two models on the same test pixels; None where they share no seed.

    Raises:
        InputError: a seed's test pixels are not the same for both.
    """
    shared = seeds_on_same_pixels(first, second)
    if not shared:
        return None
    right: tuple[list, list] = ([], [])
    for seed in shared:
        for pixels, record in zip(right, (first.records[seed], second.records[seed]), strict=True):
            pixels.append(unpack_correct(record["correct"], record["pixels"]))
    oa = [np.array([entry.records[seed]["oa"] for seed in shared]) for entry in (first, second)]
    pooled = [np.concatenate(pixels) for pixels in right]
    return Comparison(len(shared), mcnemar(*pooled), wilcoxon_signed_rank(*oa))
