"""The goal's datasets side by side, for a README: models that the plan's ``goal`` shows, by mean OA."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from m3amba_zoo.errors import InputError
from workshop.cards.document import read_text, replace_blocks, table
from workshop.leaderboard.goal import standing
from workshop.leaderboard.plan import Plan
from workshop.leaderboard.summary import Entry

BLOCK = "results"


def readme_path(plan: Plan) -> Path | None:
    """Return the README that the plan's goal names; None where it names none."""
    if not plan.goal.get("readme"):
        return None
    return Path(os.path.normpath(plan.path.parent / plan.goal["readme"]))


def filled_readme(plan: Plan, main: Mapping[str, Sequence[Entry]], path: Path) -> str:
    """Return a README with its block ``results`` made anew.

    Args:
        plan: its goal's ``shown`` are the models of the table and how they are called there; those that
            lack a seed have no scores.
        main: the entries of the main group by dataset.
        path: of the README.

    Raises:
        InputError: it cannot be read, or has no such block; ``shown`` has a model without config.
    """
    models = {entry.model for entries in main.values() for entry in entries}
    for model in plan.goal["shown"]:
        if model not in models:
            raise InputError(f"{plan.path}: goal shows '{model}', but the main group has no config of it")
    text = "\n".join([*_table(plan, main), "", standing(plan.goal, main)[1]])
    return replace_blocks(read_text(path).replace("\r\n", "\n"), {BLOCK: text}, path)


def _table(plan: Plan, main: Mapping[str, Sequence[Entry]]) -> list[str]:
    datasets = plan.goal["datasets"]
    titles = [plan.datasets[dataset]["title"].partition(":")[0] for dataset in datasets]
    rows: list[tuple[float, list[str]]] = []
    for model, name in plan.goal["shown"].items():
        found = [
            next((e for e in main.get(dataset, []) if e.model == model and e.complete), None)
            for dataset in datasets
        ]
        scores = ["-" if entry is None else entry.percents for entry in found]
        known = [100 * entry.mean("oa") for entry in found if entry is not None]
        mean = float(np.mean(known)) if len(known) == len(datasets) else -np.inf
        rows.append((mean, [name, *scores, "-" if np.isinf(mean) else f"{mean:.1f}"]))
    rows.sort(key=lambda row: -row[0])
    return table(["OA / AA / kappa, %", *titles, "mean OA"], [cells for _, cells in rows])
