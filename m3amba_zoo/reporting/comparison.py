"""Runs side by side: scores and their differences, classes, maps, curves, what differs in their making."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rasterio
from numpy.typing import NDArray

from m3amba_zoo.evaluation.scores import unpack_predicted
from m3amba_zoo.reading import library_errors
from m3amba_zoo.reporting.colors import OKABE_ITO
from m3amba_zoo.reporting.figures import (
    class_figure,
    compared_classes,
    confusion_difference,
    confusion_figure,
    curve_figures,
    read_curves,
)
from m3amba_zoo.reporting.layers import MOST_BYTES, class_layer, code_layer
from m3amba_zoo.reporting.page import write_page
from m3amba_zoo.reporting.run_report import SCORES, class_table, provenance
from m3amba_zoo.scenes.palette import distinct_color
from m3amba_zoo.scenes.scene import LandClass
from m3amba_zoo.visualization.pictures import LONGEST_SIDE

NOTHING = "-"
SAME, OTHER = (200, 205, 212), OKABE_ITO[3]


class Run(NamedTuple):
    """A run: its name on the page, its folder and its record."""

    name: str
    folder: Path
    record: Mapping[str, Any]

    @property
    def classes(self) -> list[str]:
        """The names of its classes."""
        return [entry["name"] for entry in self.record["per_class"]]


def write_comparison(path: Path, runs: Sequence[Run]) -> None:
    """Write a page that puts runs side by side; differences are to the first.

    Maps come from ``maps/*.tif``. Runs with other classes than the first are left out of maps and
    charts of classes.

    Args:
        path: of the page.
        runs: each of another name, with its scores.

    Raises:
        InputError: if the page or a map cannot be written or read.
    """
    first = runs[0]
    alike = [run for run in runs if run.classes == first.classes]
    with_matrix = [index for index, run in enumerate(alike) if "confusion" in run.record]
    confusions = {}
    if len(alike) > 1:
        figures = {"classes": compared_classes({run.name: run.record for run in alike})}
        confusions = {
            f"confusion{index}": (alike[index].name, confusion_difference(first.record, alike[index].record))
            for index in with_matrix
            if index and 0 in with_matrix
        }
    else:
        figures = {"classes": class_figure(first.record)}
        if with_matrix:
            confusions["confusion0"] = (first.name, confusion_figure(first.record))
    figures |= {key: figure for key, (_, figure) in confusions.items()}
    figures |= curve_figures({run.name: read_curves(run.folder) for run in runs})
    content: dict[str, Any] = {
        "title": " and ".join(filter(None, (", ".join(run.name for run in runs[:-1]), runs[-1].name))),
        "runs": [run.name for run in runs],
        "scores": _scores(runs),
        "notes": _notes(runs),
        "provenance": _provenance(runs),
        "confusions": [(key, name) for key, (name, _) in confusions.items()],
    }
    pictures, left_out = _pictures(alike)
    data = {"classes": _class_table(first), "modalities": {}, "pictures": pictures, "figures": figures}
    content |= {"pictures": len(pictures), "left_out": left_out, "figures": figures}
    write_page(path, "comparison.html.j2", content, data)


def _scores(runs: Sequence[Run]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return rows of scores: of each run the score, and its difference to the first run's.

    Runs that were scored on other pixels have no difference.
    """
    rows = []
    for score, title in SCORES.items():
        base: Any = runs[0].record.get(score)
        factor, unit, digits = (1, "", 4) if score in ("kappa", "ece") else (100, " %", 2)
        cells = []
        for run in runs:
            value: Any = run.record.get(score)
            told = NOTHING if value is None else f"{factor * value:.{digits}f}{unit}"
            compared = run is not runs[0] and _same_pixels(run, runs[0])
            known = compared and value is not None and base is not None
            cells.append((told, f"{factor * (value - base):+.{digits}f}" if known else ""))
        if any(told != NOTHING for told, _ in cells):
            rows.append((title, cells))
    return rows


def _same_pixels(run: Run, other: Run) -> bool:
    """Return whether two runs were scored on the same pixels of the same data."""
    here, there = ({"dataset": each.record.get("dataset"), **each.record["split"]} for each in (run, other))
    # records of early versions have the hash of the whole split alone
    hashed = next((key for key in ("test_sha256", "sha256") if key in here and key in there), None)
    return hashed is not None and all(here.get(key) == there.get(key) for key in ("dataset", "part", hashed))


def _notes(runs: Sequence[Run]) -> list[str]:
    """Return what a reader must know before comparing the scores."""
    notes, first = [], runs[0]
    if without := [run.name for run in runs if "confusion" not in run.record]:
        notes.append(f"No confusion matrix is kept of {', '.join(without)}, as of published models.")
    for run in runs[1:]:
        if not _same_pixels(run, first):
            notes.append(
                f"{run.name} was scored on other pixels than {first.name}: their scores cannot be compared."
            )
        elif run.classes == first.classes and "predicted" in run.record and "predicted" in first.record:
            here, there = (
                unpack_predicted(each.record["predicted"], each.record["pixels"]) for each in (run, first)
            )
            share = float((here != there).mean()) if len(here) == len(there) else None
            if share is not None:
                notes.append(
                    f"{run.name} and {first.name} differ on {share:.1%} of the {len(here):,} scored pixels."
                )
        if run.classes != first.classes:
            notes.append(
                f"{run.name} has other classes than {first.name}: it is left out of the charts and maps."
            )
    return notes


def _provenance(runs: Sequence[Run]) -> list[tuple[str, list[str], bool]]:
    """Return rows of what the records say, and whether the runs differ in it."""
    tables = [dict(provenance(run.record)) for run in runs]
    keys = list(dict.fromkeys(key for table in tables for key in table))
    rows = [(key, [table.get(key, NOTHING) for table in tables]) for key in keys]
    return [(key, cells, len(set(cells)) > 1) for key, cells in rows]


def _class_table(run: Run) -> list[dict[str, str]]:
    entries = enumerate(run.record["per_class"])
    return class_table([LandClass(e["name"], tuple(e.get("color") or distinct_color(i))) for i, e in entries])


def _pictures(runs: Sequence[Run]) -> tuple[list[dict[str, Any]], int]:
    """Return the scenes that several runs, or the only one, have maps of; and how many were left out."""
    files = {
        path.stem: [run for run in runs if (run.folder / "maps" / path.name).is_file()]
        for run in runs
        for path in sorted((run.folder / "maps").glob("*.tif"))
    }
    wanted = {name: having for name, having in files.items() if len(having) >= min(2, len(runs))}
    pictures: list[dict[str, Any]] = []
    used = 0
    for name, having in wanted.items():
        maps = {run.name: _read_map(run.folder / "maps" / f"{name}.tif") for run in having}
        drawn = _picture(name, maps)
        used += sum(len(layer["plane"]) for layer in drawn["layers"])
        if pictures and used > MOST_BYTES:
            break
        pictures.append(drawn)
    return pictures, len(wanted) - len(pictures)


def _picture(name: str, maps: Mapping[str, NDArray[np.uint8]]) -> dict[str, Any]:
    (of_first, first), *others = maps.items()
    others = [(run, found) for run, found in others if found.shape == first.shape]
    step = max(1, -(-max(first.shape) // LONGEST_SIDE))
    first = first[::step, ::step]
    layers = [class_layer(of_first, first)]
    for run, found in others:
        found = found[::step, ::step]
        differs = np.where((first > 0) & (found > 0), np.where(first == found, 1, 2), 0)
        legend = [("same class", SAME), ("another class", OTHER)]
        layers += [class_layer(run, found), code_layer(f"{run} ≠ {of_first}", differs, legend)]
    height, width = first.shape
    member = {
        "name": name,
        "x": 0,
        "y": 0,
        "width": width,
        "height": height,
        "row": 0,
        "column": 0,
        "step": step,
    }
    return {
        "title": name,
        "width": width,
        "height": height,
        "members": [member],
        "backgrounds": [],
        "layers": layers,
        "samples": None,
    }


def _read_map(path: Path) -> NDArray[np.uint8]:
    with library_errors(path, "not a map that can be read"), rasterio.open(path) as file:
        return file.read(1)
