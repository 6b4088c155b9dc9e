"""``report.html`` of one run: maps to look at, charts, the leak meter and where the run comes from."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from numpy.typing import NDArray

from m3amba_zoo.config.options import REPORT
from m3amba_zoo.errors import InputError, one_line
from m3amba_zoo.evaluation.stitching import SceneLogits
from m3amba_zoo.reporting.colors import hexadecimal, safe_colors
from m3amba_zoo.reporting.curves import read_curves
from m3amba_zoo.reporting.figures import class_figure, confusion_figure, curve_figures
from m3amba_zoo.reporting.layers import Drawn, draw_scenes
from m3amba_zoo.reporting.page import write_page
from m3amba_zoo.reporting.provenance import figures_of, provenance
from m3amba_zoo.scenes.scene import LandClass, Scene
from m3amba_zoo.splits.leakage import audit
from m3amba_zoo.splits.scene_data import SceneData

REPORT_FILE = "report.html"
MOST_AUDITED = 500_000
"""Test pixels; with more of them the leak meter would take longer than all the rest of the page."""


def is_wanted(config: Config) -> bool:
    """Return whether a run writes its report: ``report`` of the config, True where it says nothing.

    Raises:
        InputError: if it is neither True nor False.
    """
    wish = config.get(REPORT, True)
    if not isinstance(wish, bool):
        raise InputError(f"{config.filename}: report is {wish!r}, expected True or False")
    return wish


def forget_report(work_dir: Path) -> None:
    """Remove the report of earlier results, which new ones are about to replace."""
    (work_dir / REPORT_FILE).unlink(missing_ok=True)


def write_report(
    work_dir: Path,
    record: Mapping[str, Any],
    data: SceneData,
    class_maps: Mapping[str, NDArray[np.uint8]],
    logits: Sequence[SceneLogits] | None,
    warn: Callable[[str], None],
) -> Path | None:
    """Write ``report.html``; whatever goes wrong is said in one line, because the results are there already.

    Args:
        work_dir: with what the run logged.
        record: the content of ``metrics.json``.
        data: the scenes, with rasters, and their split.
        class_maps: ``(H, W)`` uint8 by scene name, 1..K, 0 not predicted.
        logits: of each scene of ``data``; None where there are no probabilities.
        warn: takes the line.

    Returns:
        The file, or None if it could not be written.
    """
    failed: list[str] = []

    def attempt(what: str, make: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return make()
        except Exception as error:
            failed.append(f"{what} ({one_line(error)})")
            return otherwise

    began = time.perf_counter()
    part = record["split"]["part"]
    known = {} if logits is None else {s.name: own for s, own in zip(data.scenes, logits, strict=True)}
    path: Path | None = work_dir / REPORT_FILE
    drawn = attempt(
        "the maps",
        lambda: draw_scenes(data.scenes, class_maps, data.split, part, known),
        Drawn([], 0, len(data.scenes), 0, 0),
    )
    curves = attempt("the curves", lambda: read_curves(work_dir), {})
    content = {
        "title": record["model"].get("name", work_dir.name),
        "scores": figures_of(record),
        "record": record,
        "drawn": drawn,
        "probable": bool(known),
        "leak": attempt("the leak meter", lambda: _leak(data, record), None),
        "provenance": provenance(record),
    }
    charts = {"confusion": confusion_figure, "classes": class_figure}
    figures = {
        name: attempt(f"the {name} chart", partial(make, record), None) for name, make in charts.items()
    }
    figures |= attempt("the curves", lambda: curve_figures({"": curves}), {})
    figures = {name: figure for name, figure in figures.items() if figure}
    shown = {
        "classes": class_table(data.classes),
        "modalities": modalities_of(data.scenes[0]),
        "pictures": drawn.pictures,
        "figures": figures,
    }

    def write() -> Path:
        content["seconds"] = time.perf_counter() - began
        write_page(
            work_dir / REPORT_FILE, "report.html.j2", {**content, "figures": figures, "failed": failed}, shown
        )
        return work_dir / REPORT_FILE

    path = attempt("the page", write, None)
    if failed:
        where = work_dir / REPORT_FILE
        warn(f"{where}: {'written without' if path else 'not written:'} {', '.join(failed)}")
    return path


def class_table(classes: Sequence[LandClass]) -> list[dict[str, str]]:
    """Return each class's name, its colour in the table, and one for every colour vision."""
    safe = safe_colors([entry.color for entry in classes])
    return [
        {"name": entry.name, "table": hexadecimal(entry.color), "safe": color}
        for entry, color in zip(classes, safe, strict=True)
    ]


def modalities_of(scene: Scene) -> dict[str, dict[str, Any]]:
    """Return what is known of each modality's bands: names, wavelengths in nm, unit."""
    return {
        name: {
            "names": list(raster.bands),
            "wavelengths": None
            if raster.wavelengths is None
            else [round(float(w), 2) for w in raster.wavelengths],
            "unit": raster.unit,
        }
        for name, raster in scene.rasters.items()
    }


def _leak(data: SceneData, record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what the leak meter says, as pairs of what and how much."""
    of_split = record["split"]
    leaked, tested = of_split["leaked_pixels"], data.split.count("test")
    share = f" ({leaked / tested:.1%})" if tested else ""
    window = of_split["window"]
    rows = [
        (f"test pixels inside training windows of {window} x {window}", f"{leaked:,} of {tested:,}{share}")
    ]
    if not tested or not data.split.count("train"):
        return rows
    if tested > MOST_AUDITED:
        return [*rows, ("the rest", f"'m3amba split audit' measures it: {tested:,} test pixels take a while")]
    found = audit(data.split, data.scenes, window)
    rows.append(("OA by position alone (nearest training pixel's class)", f"{found.position_oa:.1%}"))
    rows.append(("test pixels on an object that also trains", f"{found.shared_object_pixels:,}"))
    distances = [entry for entry in found.distances.values() if entry]
    if distances:
        nearest = min(entry.min for entry in distances)
        rows.append(("smallest distance from a test to a training pixel", f"{nearest:.0f} pixels"))
    if found.apart_pixels:
        rows.append(("test pixels in a CRS where nothing trains", f"{found.apart_pixels:,}"))
    return rows
