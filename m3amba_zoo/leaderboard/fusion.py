"""What fusion adds: models with all their modalities beside the same models with one of them."""

from __future__ import annotations

from collections.abc import Sequence

from m3amba_zoo.leaderboard.summary import Entry, mean_difference


def fusion(main: Sequence[Entry], variants: Sequence[Entry]) -> list[list[str]]:
    """Return the cells of a table, its head first; nothing where no model was run with one modality.

    The last columns compare with the modality that does better alone, seed by seed.

    Args:
        main: the entries of the main group on a dataset.
        variants: those of a group of variants on it.
    """
    compared = []
    for whole in main:
        alone = {
            _modalities(variant)[0]: variant
            for variant in variants
            if variant.runs[0].base == whole.model and len(_modalities(variant)) == 1
        }
        if len(_modalities(whole)) > 1 and alone:
            compared.append((whole, alone))
    if not compared:
        return []
    modalities = list(dict.fromkeys(m for whole, _ in compared for m in _modalities(whole)))
    head = ["model", "all, OA", *(f"{m} alone, OA" for m in modalities), "OA added", "AA added", "seeds"]
    return [head, *(_cells(whole, alone, modalities) for whole, alone in compared)]


def _cells(whole: Entry, alone: dict[str, Entry], modalities: Sequence[str]) -> list[str]:
    best = max(alone.values(), key=lambda entry: entry.mean("oa"))
    shared = len(whole.records.keys() & best.records.keys())
    added = [mean_difference(whole, best, score) for score in ("oa", "aa")]
    return [
        whole.model,
        f"{100 * whole.mean('oa'):.1f}",
        *(f"{100 * alone[m].mean('oa'):.1f}" if m in alone else "-" for m in modalities),
        *("-" if points is None else f"{100 * points:+.1f}" for points in added),
        f"{shared} of {len(whole.runs)}",
    ]


def _modalities(entry: Entry) -> list[str]:
    """Return the modalities that an entry's model reads; none where nothing has been run."""
    record = next(iter(entry.records.values()), None)
    return record["model"]["modalities"] if record else []
