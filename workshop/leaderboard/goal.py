"""How far the model that the plan's ``goal`` names is ahead of the best of the others, as the page has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from m3amba_zoo.evaluation.scores import SCORES
from workshop.leaderboard.summary import Entry, signed

HEAD = (
    "dataset",
    "its OA / AA / kappa",
    "best of the others",
    "OA / AA / kappa",
    "ahead by, points",
    "its training, s",
    "training of the best network of the others, s",
)


def standing(goal: Mapping[str, Any], found: Mapping[str, Sequence[Entry]]) -> tuple[list[list[str]], str]:
    """Return the cells of a table's lines below ``HEAD``, and one sentence with the mean margin.

    The others are compared by their mean OA; of the networks among them the best one's training time counts.

    Args:
        goal: ``model``; ``datasets``; ``margin``, points of OA over the best of the others that are aimed at.
        found: the entries of the main group by dataset.
    """
    model = goal["model"]
    lines: list[list[str]] = []
    margins = []
    waiting: set[str] = set()
    for dataset in goal["datasets"]:
        entries = found.get(dataset, [])
        waiting |= {f"{entry.model} on {dataset}" for entry in entries if not entry.complete}
        own = next((entry for entry in entries if entry.model == model and entry.complete), None)
        others = [entry for entry in entries if entry.model != model and entry.complete]
        if own is None or not others:
            lines.append([dataset, *["-"] * (len(HEAD) - 1)])
            continue
        best = others[0]  # entries come by mean OA
        ahead = [100 * (own.mean(score) - best.mean(score)) for score in SCORES]
        margins.append(ahead[0])
        networks = [entry for entry in others if entry.values("model", "parameters")]
        network = f"{_seconds(networks[0])} ({networks[0].model})" if networks else "-"
        lines.append(
            [
                dataset,
                own.percents,
                best.model,
                best.percents,
                " / ".join(signed(points) for points in ahead),
                _seconds(own),
                network,
            ]
        )
    if len(margins) < len(goal["datasets"]):
        return lines, f"The margin is known once {' and '.join(goal['datasets'])} have been run."
    margin = float(np.mean(margins))
    sentence = (
        f"On average over {' and '.join(goal['datasets'])} {model} is {abs(margin):.2f} points of OA "
        f"{'ahead of' if margin >= 0 else 'behind'} the best of the others on each; the goal is "
        f"{goal['margin']:.2f} ahead."
    )
    return lines, sentence + (f" Not complete yet: {', '.join(sorted(waiting))}." if waiting else "")


def _seconds(entry: Entry) -> str:
    return f"{entry.mean('timing_s', 'train'):.0f}"
