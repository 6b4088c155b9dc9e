"""The charts of a page, as Plotly's JSON, and what a training logged, which some of them show.

Texts are escaped, because Plotly reads some HTML in them. MMEngine's ``scalars.json`` has a JSON object per
line and step.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from m3amba_zoo.reading import read_text
from m3amba_zoo.reporting.colors import hexadecimal
from m3amba_zoo.scenes.palette import OKABE_ITO

Figure = dict[str, Any]
Record = Mapping[str, Any]
COLORS = [hexadecimal(color) for color in OKABE_ITO[:6]]  # the last, yellow, is faint on white
DASHES = ("solid", "dash", "dot", "dashdot")
MOST_POINTS = 2000
FEW_STEPS = 8
"""Of an axis: with fewer, each has a tick."""
MOST_COUNTS = 25
"""Classes of a confusion matrix with a number in each cell."""
LONGEST_NAME = 28
SCORES_OF_CLASSES = {"accuracy": "recall (accuracy)", "precision": "precision", "iou": "IoU"}
GRID: Figure = {"gridcolor": "#e5e7eb", "zerolinecolor": "#cbd5e1"}
Curve = list[tuple[float, float]]
NO_SCALARS = ("step", "iter", "epoch", "time", "data_time", "memory")


def confusion_figure(record: Record) -> Figure:
    """Draw a confusion matrix: colours are shares of a true class, cells have counts."""
    names, counts = _names(record), np.array(record["confusion"])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    few = len(names) <= MOST_COUNTS
    return _matrix(
        names,
        shares,
        [[f"{count:,}" for count in row] for row in counts.tolist()] if few else None,
        "%{y}<br>predicted as %{x}<br>%{customdata:,} pixels, %{z:.1%} of the class<extra></extra>",
        customdata=counts.tolist(),
        colorscale=[[0, "#ffffff"], [1, COLORS[0]]],
        zmin=0,
        zmax=1,
    )


def confusion_difference(record: Record, other: Record) -> Figure | None:
    """Draw what a second run's confusion matrix has more (orange) or less (blue) than a first one's.

    In percent of a true class's pixels. None if they do not differ.
    """
    shares = []
    for each in (record, other):
        counts = np.array(each["confusion"])
        shares.append(100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    more = shares[1] - shares[0]
    if not more.any():
        return None
    names = _names(record)
    farthest = max(1.0, float(np.abs(more).max()))
    few = len(names) <= MOST_COUNTS
    return _matrix(
        names,
        more,
        [[f"{value:+.1f}" if abs(value) >= 0.05 else "" for value in row] for row in more] if few else None,
        "%{y}<br>predicted as %{x}<br>%{z:+.2f} % of the class<extra></extra>",
        colorscale=[[0, COLORS[0]], [0.5, "#ffffff"], [1, COLORS[1]]],
        zmin=-farthest,
        zmax=farthest,
    )


def class_figure(record: Record) -> Figure:
    """Draw recall, precision and IoU of each class as bars."""
    series = {
        title: [entry.get(score) for entry in record["per_class"]]
        for score, title in SCORES_OF_CLASSES.items()
    }
    return _bars(_named(record), series)


def compared_classes(records: Mapping[str, Record]) -> Figure:
    """Draw the recall of each class as a bar per run; the runs have one class table."""
    first = next(iter(records.values()))
    series = {
        name: [entry.get("accuracy") for entry in record["per_class"]] for name, record in records.items()
    }
    return _bars(_named(first), series)


def curve_figures(runs: Mapping[str, Mapping[str, Curve]]) -> dict[str, Figure]:
    """Draw what trainings logged: ``loss``, ``rate`` and ``validation``, each if there is any of it.

    One run has a colour per curve; of several, a run has a colour and a curve its dashes.
    """
    groups = {
        "loss": ("loss", lambda name: "loss" in name),
        "rate": ("learning rate", lambda name: name == "lr" or name.endswith("/lr")),
        "validation": (
            "score on validation pixels",
            lambda name: name.rpartition("/")[2] in ("oa", "aa", "kappa"),
        ),
    }
    figures = {}
    for key, (title, belongs) in groups.items():
        traces = []
        for index, (run, curves) in enumerate(runs.items()):
            chosen = sorted(
                (name for name in curves if belongs(name)), key=lambda name: (name != "loss", name)
            )
            if len(runs) > 1 and key == "loss":
                chosen = chosen[:1]
            for number, name in enumerate(chosen):
                traces.append(_curve(curves[name], index, number, run, name, len(runs) > 1))
        if traces:
            x = "epoch or step" if key == "validation" else "training step"
            axes: list[Figure] = [
                GRID | {"title": {"text": text, "standoff": 12}, "automargin": True} for text in (x, title)
            ]
            steps = [step for trace in traces for step in trace["x"]]
            if max(steps) - min(steps) < FEW_STEPS:
                axes[0] |= {"tick0": 0, "dtick": 1}  # there is no step 1.5
            named = len(traces) > 1 or len(runs) > 1
            figures[key] = {"data": traces, "layout": _layout(320, named, xaxis=axes[0], yaxis=axes[1])}
    return figures


def _curve(points: Curve, run: int, number: int, of_run: str, name: str, several: bool) -> Figure:
    kept = points[:: -(-len(points) // MOST_POINTS)]
    color, dash = (run, number) if several else (number, number // len(COLORS))
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(kept) < 30 else "lines",
        "name": escape(_short(of_run if several and not number else f"{of_run} {name}" if several else name)),
        "x": [step for step, _ in kept],
        "y": [value for _, value in kept],
        "line": {
            "color": COLORS[color % len(COLORS)],
            "dash": DASHES[dash % len(DASHES)],
            "width": 2.5 if name == "loss" else 1.5,
        },
    }


def _bars(classes: Sequence[str], series: Mapping[str, Sequence[float | None]]) -> Figure:
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": escape(_short(name)),
            "y": list(classes),
            "x": list(values),
            "marker": {"color": COLORS[index % len(COLORS)]},
            "hovertemplate": "%{y}<br>%{fullData.name} %{x:.1%}<extra></extra>",
        }
        for index, (name, values) in enumerate(series.items())
    ]
    height = 110 + len(classes) * (10 + 11 * len(series))
    layout = _layout(
        height,
        True,
        barmode="group",
        bargap=0.25,
        xaxis={"range": [0, 1.0], "tickformat": ".0%", **GRID},
        yaxis={"autorange": "reversed", "automargin": True},
    )
    layout["legend"]["traceorder"] = "normal"
    return {"data": traces, "layout": layout}


def _matrix(names: Sequence[str], values: Any, texts: Any, hover: str, **more: Any) -> Figure:
    trace = {
        "type": "heatmap",
        "z": np.asarray(values, float).round(6).tolist(),
        "x": list(names),
        "y": list(names),
        "xgap": 1,
        "ygap": 1,
        "hovertemplate": hover,
        "showscale": False,
        **more,
    }
    if texts is not None:
        trace |= {"text": texts, "texttemplate": "%{text}"}
    layout = _layout(
        120 + 27 * len(names),
        False,
        xaxis={"title": {"text": "predicted"}, "automargin": True, "tickangle": -45, "showgrid": False},
        yaxis={
            "title": {"text": "true class", "standoff": 12},
            "automargin": True,
            "autorange": "reversed",
            "showgrid": False,
        },
    )
    return {"data": [trace], "layout": layout}


def _layout(height: int, named: bool, **more: Any) -> dict[str, Any]:
    """Return a chart's layout, with its legend above if what is drawn is named."""
    return {
        "height": height,
        "margin": {"l": 60, "r": 20, "t": 36 if named else 12, "b": 50},
        "showlegend": named,
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#1f2933"},
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0},
        **more,
    }


def _names(record: Record) -> list[str]:
    """Return the classes' names for axes: escaped, short, each of its own."""
    found: list[str] = []
    for entry in record["per_class"]:
        name = escape(_short(entry["name"]), quote=False)
        while name in found:
            name += " "
        found.append(name)
    return found


def _named(record: Record) -> list[str]:
    """Return the classes' names with the number of scored pixels."""
    counts = [entry.get("support", 0) for entry in record["per_class"]]
    return [f"{name} ({count:,})" for name, count in zip(_names(record), counts, strict=True)]


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def read_curves(work_dir: Path) -> dict[str, Curve]:
    """Return what a run logged at its steps: ``loss``, ``lr``, each part of the loss, scores on validation.

    A run that went on from a checkpoint has a folder per start; what a later one logged replaces what an
    earlier one logged from that step on. Values that are not finite, and lines that a killed process left
    unfinished, are passed over.

    Returns:
        ``(step, value)`` by name, in the order of steps.
    """
    curves: dict[str, Curve] = {}
    for file in sorted(work_dir.glob("*/vis_data/scalars.json")):
        found: dict[str, Curve] = {}
        for line in read_text(file).splitlines():
            for name, point in _points(line).items():
                found.setdefault(name, []).append(point)
        for name, points in found.items():
            before = [point for point in curves.get(name, []) if point[0] < points[0][0]]
            curves[name] = before + points
    return curves


def _points(line: str) -> dict[str, tuple[float, float]]:
    try:
        entry: Any = json.loads(line)
    except ValueError:
        return {}
    if not isinstance(entry, Mapping) or not isinstance(entry.get("step"), (int, float)):
        return {}
    return {
        name: (entry["step"], float(value))
        for name, value in entry.items()
        if name not in NO_SCALARS and isinstance(value, (int, float)) and math.isfinite(value)
    }
