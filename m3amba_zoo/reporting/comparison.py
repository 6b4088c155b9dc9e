"""Runs side by side: scores and their differences, classes, maps, curves, what differs in their making."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.scores import unpack_predicted
from m3amba_zoo.maps.geotiff import read_class_map
from m3amba_zoo.reporting.figures import (
    class_figure,
    compared_classes,
    confusion_difference,
    confusion_figure,
    curve_figures,
    read_curves,
)
from m3amba_zoo.reporting.layers import MOST_BYTES, background, class_layer, code_layer
from m3amba_zoo.reporting.page import write_page
from m3amba_zoo.reporting.run_report import class_table, provenance
from m3amba_zoo.reporting.shown_scores import shown_scores
from m3amba_zoo.scenes.palette import OKABE_ITO, safe_color
from m3amba_zoo.scenes.scene import LandClass, Scene
from m3amba_zoo.splits import SceneData
from m3amba_zoo.visualization.maps import file_names
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


def write_comparison(path: Path, runs: Sequence[Run], load: Callable[[], SceneData] | None = None) -> None:
    """Write a page that puts runs side by side; differences are to the first.

    Maps come from ``maps/*.tif``. Runs with other classes than the first are left out of maps and
    charts of classes.

    Args:
        path: of the page.
        runs: each of another name, with its scores.
        load: loads the scenes whose rasters lie below the maps; None leaves them out. Where it raises
            InputError, because the data is not on this machine, the page says so.

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
    figures |= {key: figure for key, (_, figure) in confusions.items() if figure is not None}
    figures |= curve_figures({run.name: read_curves(run.folder) for run in runs})
    content: dict[str, Any] = {
        "title": " and ".join(filter(None, (", ".join(run.name for run in runs[:-1]), runs[-1].name))),
        "runs": [run.name for run in runs],
        "scores": _scores(runs),
        "notes": _notes(runs),
        "provenance": _provenance(runs),
        "confusions": [(key, name) for key, (name, _) in confusions.items()],
    }
    pictures, left_out, remarks = _pictures(alike, load)
    data = {"classes": _class_table(first), "modalities": {}, "pictures": pictures, "figures": figures}
    content |= {"pictures": len(pictures), "left_out": left_out, "remarks": remarks, "figures": figures}
    write_page(path, "comparison.html.j2", content, data)


def _scores(runs: Sequence[Run]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return rows of scores: of each run the score, and its difference to the first run's.

    Runs that were scored on other pixels have no difference.
    """
    rows = []
    first = runs[0]
    for key, score in shown_scores([run.record for run in runs]).items():
        cells = []
        for run in runs:
            value = run.record.get(key)
            compared = run is not first and _same_pixels(run, first)
            delta = score.difference(value, first.record.get(key)) if compared else ""
            cells.append((score.told(value) or NOTHING, delta))
        rows.append((score.title, cells))
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
            if len(here) == len(there):
                notes.append(_differ(run.name, first.name, int((here != there).sum()), len(here)))
        if run.classes != first.classes:
            notes.append(
                f"{run.name} has other classes than {first.name}: it is left out of the charts and maps."
            )
    return notes


def _differ(name: str, first: str, count: int, scored: int) -> str:
    if not count:
        return f"{name} and {first} give the same class to each of the {scored:,} scored pixels."
    share = max(count / scored, 0.001)
    less = "less than " * (count / scored < share)
    return f"{name} and {first} differ on {count:,} of the {scored:,} scored pixels ({less}{share:.1%})."


def _provenance(runs: Sequence[Run]) -> list[tuple[str, list[str], bool]]:
    """Return rows of what the records say, and whether the runs differ in it."""
    tables = [dict(provenance(run.record)) for run in runs]
    keys = list(dict.fromkeys(key for table in tables for key in table))
    rows = [(key, [table.get(key, NOTHING) for table in tables]) for key in keys]
    return [(key, cells, len(set(cells)) > 1) for key, cells in rows]


def _class_table(run: Run) -> list[dict[str, str]]:
    entries = enumerate(run.record["per_class"])
    return class_table([LandClass(e["name"], tuple(e.get("color") or safe_color(i))) for i, e in entries])


def _pictures(
    runs: Sequence[Run], load: Callable[[], SceneData] | None
) -> tuple[list[dict[str, Any]], int, list[str]]:
    """Return the scenes that several runs, or the only one, have maps of.

    Also how many scenes were left out, because the page would be too large, and sentences: on each map that
    was, because its size is another than that of the first run's, and on why there are no rasters.

    Raises:
        InputError: as ``read_class_map``.
    """
    files = {
        path.stem: [run for run in runs if (run.folder / "maps" / path.name).is_file()]
        for run in runs
        for path in sorted((run.folder / "maps").glob("*.tif"))
    }
    wanted = {name: having for name, having in files.items() if len(having) >= min(2, len(runs))}
    pictures: list[dict[str, Any]] = []
    used, remarks = 0, []
    scenes: dict[str, Scene] = {}
    if wanted and load is not None:
        try:
            found_scenes = load().scenes
            stems = file_names([scene.name for scene in found_scenes])
            scenes = {stems[scene.name]: scene for scene in found_scenes}
        except InputError as error:
            remarks.append(f"No rasters lie below the maps: {error}.")
    for name, having in wanted.items():
        maps = {
            run.name: read_class_map(run.folder / "maps" / f"{name}.tif", len(run.classes)) for run in having
        }
        of_first, first = next(iter(maps.items()))
        for run, found in maps.items():
            if found.shape != first.shape:
                sizes = [" x ".join(map(str, shape)) for shape in (found.shape, first.shape)]
                remarks.append(
                    f"{name}: the map of {run} has {sizes[0]} pixels and that of {of_first} {sizes[1]}, so "
                    "that it is left out."
                )
        maps = {run: found for run, found in maps.items() if found.shape == first.shape}
        drawn = _picture(name, maps, scenes.get(name))
        used += sum(len(layer["plane"]) for layer in drawn["layers"])
        used += sum(len(raster["source"]) for raster in drawn["backgrounds"])
        if pictures and used > MOST_BYTES:
            break
        pictures.append(drawn)
    return pictures, len(wanted) - len(pictures), remarks


def _picture(name: str, maps: Mapping[str, NDArray[np.uint8]], scene: Scene | None) -> dict[str, Any]:
    """Return the maps of one size of a scene as JSON, above its rasters if they have that size."""
    (of_first, first), *others = maps.items()
    step = max(1, -(-max(first.shape) // LONGEST_SIDE))
    rasters = {} if scene is None or scene.shape != first.shape else scene.rasters
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
        "backgrounds": [background(modality, raster, step) for modality, raster in rasters.items()],
        "layers": layers,
        "samples": None,
    }
