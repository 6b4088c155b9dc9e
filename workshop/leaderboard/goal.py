"""The plan's ``goal``: the lead of its model over the best other model, for the page and the README."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.scores import SCORES
from m3amba_zoo.evaluation.significance import Drawn
from workshop.cards.document import read_text, replace_blocks, table
from workshop.leaderboard.plan import Plan
from workshop.leaderboard.summary import Entry, signed

HEAD = (
    "dataset",
    "its OA / AA / kappa",
    "best of the others",
    "OA / AA / kappa",
    "ahead by, points [95 % interval of OA]",
    "its training, s",
    "training of the best network of the others, s",
)
BLOCK = "results"  # the README's block that holds the table


def standing(goal: Mapping[str, Any], found: Mapping[str, Sequence[Entry]]) -> tuple[list[list[str]], str]:
    """Return the rows of a table with the columns ``HEAD``, and one sentence with the mean margin.

    The best other model is the one with the highest mean OA. Training times are compared with those of the
    best other network.

    Args:
        goal: ``model``; ``datasets``; ``margin``, the lead in points of OA that is aimed at.
        found: the entries of the main group by dataset.
    """
    model = goal["model"]
    rows: list[list[str]] = []
    margins: list[Drawn] = []
    waiting: set[str] = set()
    for dataset in goal["datasets"]:
        entries = found.get(dataset, [])
        waiting |= {f"{entry.model} on {dataset}" for entry in entries if not entry.complete}
        own = _complete(entries, model)
        others = [entry for entry in entries if entry.model != model and entry.complete]
        if own is None or not others:
            rows.append([dataset, *["-"] * (len(HEAD) - 1)])
            continue
        best = others[0]  # entries are sorted by mean OA
        ahead = [100 * (own.mean(score) - best.mean(score)) for score in SCORES]
        if own.drawn is None or best.drawn is None:
            margins.append(np.array(ahead[:1]) / 100)
        else:
            margins.append(own.drawn[:, 0] - best.drawn[:, 0])
        networks = [entry for entry in others if entry.values("model", "parameters")]
        network = f"{_seconds(networks[0])} ({networks[0].model})" if networks else "-"
        leads = " / ".join(map(signed, ahead)) + _interval(margins[-1:])
        rows.append([dataset, own.percents, best.model, best.percents, leads, _seconds(own), network])
    if len(margins) < len(goal["datasets"]):
        return rows, f"The margin is known once {' and '.join(goal['datasets'])} have been run."
    margin = float(np.mean([100 * drawn[0] for drawn in margins]))
    sentence = (
        f"On average over {' and '.join(goal['datasets'])} {model} is {abs(margin):.2f} points of OA "
        f"{'ahead of' if margin >= 0 else 'behind'} the best of the others on each{_interval(margins)}; "
        "the goal is "
        f"{goal['margin']:.2f} ahead."
    )
    return rows, sentence + (f" Not complete yet: {', '.join(sorted(waiting))}." if waiting else "")


def readme_path(plan: Plan) -> Path | None:
    """Return the README that the plan's goal names, None if it names none."""
    if not plan.goal.get("readme"):
        return None
    return Path(os.path.normpath(plan.path.parent / plan.goal["readme"]))


def filled_readme(plan: Plan, main: Mapping[str, Sequence[Entry]], path: Path) -> str:
    """Return a README with a new block ``results``.

    Args:
        plan: its goal's ``shown`` maps the models of the table to their names there; a model that lacks a
            seed is listed without scores.
        main: the entries of the main group by dataset.
        path: the README.

    Raises:
        InputError: if the README cannot be read or has no such block, or ``shown`` names a model that
            has no config.
    """
    models = {entry.model for entries in main.values() for entry in entries}
    for model in plan.goal["shown"]:
        if model not in models:
            raise InputError(f"{plan.path}: goal shows '{model}', but the main group has no config of it")
    text = "\n".join([*_overview(plan, main), "", standing(plan.goal, main)[1]])
    return replace_blocks(read_text(path).replace("\r\n", "\n"), {BLOCK: text}, path)


def _overview(plan: Plan, main: Mapping[str, Sequence[Entry]]) -> list[str]:
    """Return a table of the models in ``shown`` on the goal's datasets, sorted by mean OA."""
    datasets = plan.goal["datasets"]
    titles = [plan.datasets[dataset]["title"].partition(":")[0] for dataset in datasets]
    rows: list[tuple[float, list[str]]] = []
    for model, name in plan.goal["shown"].items():
        found = [_complete(main.get(dataset, []), model) for dataset in datasets]
        scores = ["-" if entry is None else entry.percents for entry in found]
        known = [100 * entry.mean("oa") for entry in found if entry is not None]
        mean = float(np.mean(known)) if len(known) == len(datasets) else -np.inf
        rows.append((mean, [name, *scores, "-" if np.isinf(mean) else f"{mean:.1f}"]))
    rows.sort(key=lambda row: -row[0])
    return table(["OA / AA / kappa, %", *titles, "mean OA"], [cells for _, cells in rows])


def _interval(margins: Sequence[Drawn]) -> str:
    """Return the 95 % interval of a mean margin in points; empty if unknown.

    Datasets of one test part have the same draws, and parts with other numbers of blocks draw on their own.
    """
    if min(map(len, margins)) < 2:
        return ""
    low, high = np.percentile(100 * np.mean(margins, axis=0)[1:], (2.5, 97.5))
    return f" [{signed(low)}, {signed(high)}]"


def _complete(entries: Sequence[Entry], model: str) -> Entry | None:
    return next((entry for entry in entries if entry.model == model and entry.complete), None)


def _seconds(entry: Entry) -> str:
    return f"{entry.mean('timing_s', 'train'):.0f}"
