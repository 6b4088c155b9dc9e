"""What a variant, a modality or further bands add to a model, over the seeds that both sides have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from m3amba_zoo.evaluation.scores import SCORES
from m3amba_zoo.evaluation.significance import Interval, difference
from workshop.leaderboard.summary import Entry, seeds_on_same_pixels, signed


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
