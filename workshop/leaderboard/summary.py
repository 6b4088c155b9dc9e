"""A model's runs on a dataset summed up, and compared: with another model, other bands, fewer modalities."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.scores import SCORES, unpack_predicted
from m3amba_zoo.evaluation.significance import Drawn, FixedPart, Interval, difference
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


def points(interval: Interval) -> str:
    """Return a difference in points with its 95 % interval."""
    difference_, low, high, _ = (100 * value for value in interval)
    return f"{signed(difference_)} [{signed(low)}, {signed(high)}]"


def leads(entry: Entry, base: Entry | None) -> list[str]:
    """Return a variant's lead over its model in each score, over the seeds that both have."""
    shared = seeds_on_same_pixels(entry, base) if base else []
    if base is None or not shared:
        return ["-"] * len(SCORES)
    mine, its = entry.over(shared), base.over(shared)
    if mine.drawn is None or its.drawn is None:
        return [signed(100 * (mine.mean(score) - its.mean(score))) for score in SCORES]
    return [points(interval) for interval in difference(mine.drawn, its.drawn).values()]


def bands_added(found: Sequence[Entry], before: Sequence[Entry]) -> list[list[str]]:
    """Return the rows of a table that compares models with the same ones on other rasters of the same pixels.

    The first row is the head; the result is empty if no model has results of both.

    Args:
        found: the entries on the rasters in question.
        before: the entries on the rasters that these are compared with.

    Raises:
        InputError: if a model has different test pixels for a seed.
    """
    others = {entry.model: entry for entry in before}
    rows = []
    for entry in found:
        other = others.get(entry.model)
        seeds = seeds_on_same_pixels(entry, other) if other else []
        if other is None or not seeds:
            continue
        shown = (f"{100 * one.over(seeds).mean('oa'):.1f}" for one in (other, entry))
        rows.append([entry.model, *shown, *leads(entry, other), f"{len(seeds)} of {len(entry.runs)}"])
    head = ["model", "OA before", "OA", "OA added", "AA added", "kappa added", "seeds"]
    return [head, *rows] if rows else []


def fusion(main: Sequence[Entry], variants: Sequence[Entry]) -> list[list[str]]:
    """Return the rows of a table that compares models with all their modalities to each modality alone.

    The first row is the head; the result is empty if no model was run with each modality alone. A row covers
    the seeds that all its models have. Its last columns compare with the modality that has the best mean OA
    alone.

    Args:
        main: the entries of the main group on a dataset.
        variants: the entries of a group of variants on it; ``MODEL_MODALITY`` is a model with one modality.

    Raises:
        InputError: if the models of a row have different test pixels for a seed.
    """
    by_name = {variant.model: variant for variant in variants}
    compared = []
    for whole in main:
        modalities = _modalities(whole)
        alone = {m: by_name[f"{whole.model}_{m}"] for m in modalities if f"{whole.model}_{m}" in by_name}
        if len(modalities) < 2 or len(alone) < len(modalities):
            continue
        if seeds := seeds_on_same_pixels(whole, *alone.values()):
            compared.append((whole.over(seeds), {m: variant.over(seeds) for m, variant in alone.items()}))
    if not compared:
        return []
    modalities = list(dict.fromkeys(m for whole, _ in compared for m in _modalities(whole)))
    head = ["model", "all, OA", *(f"{m} alone, OA" for m in modalities), "OA added", "AA added", "seeds"]
    return [head, *(_fusion_row(whole, alone, modalities) for whole, alone in compared)]


def _fusion_row(whole: Entry, alone: Mapping[str, Entry], modalities: Sequence[str]) -> list[str]:
    best = max(alone.values(), key=lambda entry: entry.mean("oa"))
    return [
        whole.model,
        f"{100 * whole.mean('oa'):.1f}",
        *(f"{100 * alone[m].mean('oa'):.1f}" if m in alone else "-" for m in modalities),
        *(signed(100 * (whole.mean(score) - best.mean(score))) for score in ("oa", "aa")),
        f"{len(whole.records)} of {len(whole.runs)}",
    ]


def _modalities(entry: Entry) -> list[str]:
    """Return the modalities that an entry's model reads; empty if it has no result."""
    record = next(iter(entry.records.values()), None)
    return record["model"]["modalities"] if record else []
