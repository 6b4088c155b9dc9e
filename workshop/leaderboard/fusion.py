"""What fusion adds: models with all their modalities beside the same models with one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workshop.leaderboard.summary import Entry, seeds_on_same_pixels, signed


def fusion(main: Sequence[Entry], variants: Sequence[Entry]) -> list[list[str]]:
    """Return the cells of a table, its head first; nothing where no model was run with each modality alone.

    A line is over the seeds that all its models have. Its last columns compare with the modality that has
    the better mean OA alone.

    Args:
        main: the entries of the main group on a dataset.
        variants: those of a group of variants on it; ``MODEL_MODALITY`` is a model with one modality.

    Raises:
        InputError: a seed's test pixels are not the same for a line's models.
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
    return [head, *(_cells(whole, alone, modalities) for whole, alone in compared)]


def _cells(whole: Entry, alone: Mapping[str, Entry], modalities: Sequence[str]) -> list[str]:
    best = max(alone.values(), key=lambda entry: entry.mean("oa"))
    return [
        whole.model,
        f"{100 * whole.mean('oa'):.1f}",
        *(f"{100 * alone[m].mean('oa'):.1f}" if m in alone else "-" for m in modalities),
        *(signed(100 * (whole.mean(score) - best.mean(score))) for score in ("oa", "aa")),
        f"{len(whole.records)} of {len(whole.runs)}",
    ]


def _modalities(entry: Entry) -> list[str]:
    """Return the modalities that an entry's model reads; none where nothing has been run."""
    record = next(iter(entry.records.values()), None)
    return record["model"]["modalities"] if record else []
