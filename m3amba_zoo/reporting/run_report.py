"""``report.html`` of one run: maps to look at, charts, the leak meter and where the run comes from."""

from __future__ import annotations

import logging
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
from m3amba_zoo.evaluation.record import METRICS_FILE, write_json
from m3amba_zoo.evaluation.scene_metric import SceneLogits
from m3amba_zoo.maps.lacking import Lacking, added
from m3amba_zoo.rasters.matching import KnownBands
from m3amba_zoo.reporting.colors import hexadecimal, safe_colors
from m3amba_zoo.reporting.figures import class_figure, confusion_figure, curve_figures, read_curves
from m3amba_zoo.reporting.layers import Drawn, draw_scenes
from m3amba_zoo.reporting.page import write_page
from m3amba_zoo.reporting.shown_scores import shown_scores
from m3amba_zoo.scenes.scene import LandClass, Scene
from m3amba_zoo.splits import Split
from m3amba_zoo.splits.leakage import audit
from m3amba_zoo.splits.scene_data import SceneData
from m3amba_zoo.visualization.maps import MAP_FIGURE, write_class_maps, write_map_figure

REPORT_FILE = "report.html"
MOST_AUDITED = 500_000
"""Test pixels; with more of them the leak meter would take longer than all the rest of the page."""
Rows = list[tuple[str, str]]
logger = logging.getLogger(__name__)


def is_wanted(config: Config) -> bool:
    """Return whether a run writes its report: ``report`` of the config, True where it says nothing.

    Raises:
        InputError: if it is neither True nor False.
    """
    wish = config.get(REPORT, True)
    if not isinstance(wish, bool):
        raise InputError(f"{config.filename}: report is {wish!r}, expected True or False")
    return wish


def write_results(
    work_dir: Path,
    record: Mapping[str, Any],
    data: SceneData,
    class_maps: Mapping[str, NDArray[np.uint8]],
    logits: Sequence[SceneLogits] | None,
    warn: Callable[[str], None],
    with_report: bool,
) -> Path | None:
    """Write ``maps/<scene>.tif``, ``metrics.json``, ``map.png`` and, if it is wanted, ``report.html``.

    The arguments are those of ``write_report``, whose result is returned; None without a report. Earlier
    results are replaced. Pixels of the maps that lack a modality are warned of. What is drawn comes last, and
    what cannot be drawn is said in one line.

    Raises:
        InputError: if ``metrics.json`` or a class map cannot be written.
    """
    tags = map_tags(data.scenes, class_maps, record["modalities"], record["inputs"])
    name = record["model"]["name"]
    write_class_maps(work_dir, data.scenes, class_maps, tags)
    for drawn in (MAP_FIGURE, REPORT_FILE):
        (work_dir / drawn).unlink(missing_ok=True)
    write_json(work_dir / METRICS_FILE, record)  # with it the results are complete
    try_map_figure(work_dir, data.scenes, class_maps, data.split, data.simulated, name, warn)
    return write_report(work_dir, record, data, class_maps, logits, warn) if with_report else None


def try_map_figure(
    work_dir: Path,
    scenes: Sequence[Scene],
    class_maps: Mapping[str, NDArray[np.uint8]],
    split: Split,
    simulated: bool,
    model: str,
    warn: Callable[[str], None],
) -> None:
    """Write ``map.png``; what goes wrong is said in one line, because the results are there already."""
    try:
        write_map_figure(work_dir, scenes, class_maps, split, simulated, model)
    except Exception as error:
        warn(f"{work_dir / MAP_FIGURE}: not written ({one_line(error)})")


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
    drawn = attempt(
        "the maps",
        lambda: draw_scenes(data.scenes, class_maps, data.split, part, known),
        Drawn([], 0, len(data.scenes), 0, 0),
    )
    curves = attempt("the curves", lambda: read_curves(work_dir), {})
    content = {
        "title": record["model"].get("name", work_dir.name),
        "scores": [(s.title, s.told(record.get(key))) for key, s in shown_scores([record]).items()],
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

    path: Path | None = attempt("the page", write, None)
    if failed:
        warn(f"{work_dir / REPORT_FILE}: {'written without' if path else 'not written:'} {', '.join(failed)}")
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


def provenance(record: Mapping[str, Any]) -> Rows:
    """Return data, split, weights, settings, cost and software; what the record does not say is left out."""
    split, model = record.get("split") or {}, record.get("model") or {}
    weights, pixels = record.get("weights") or {}, split.get("pixels") or {}
    parameters, trained = (
        None if model.get(count) is None else f"{model[count]:,.0f}"
        for count in ("parameters", "trained_parameters")
    )
    rows = {
        "data": record.get("dataset"),
        "modalities": ", ".join(record.get("modalities") or []),
        "split": split.get("name"),
        "split's sha256": split.get("sha256"),
        "test part's sha256": split.get("test_sha256"),
        "pixels": ", ".join(f"{part} {count:,}" for part, count in pixels.items()),
        "model": model.get("type"),
        "parameters in all": parameters,
        "trained parameters": trained,
        "started from": model.get("init_from") and str(model["init_from"]),
        "transductive": "yes: reads bands of test pixels in training" if model.get("transductive") else None,
        "chosen by": record.get("selection"),
        "weights": weights.get("file"),
        "weights' sha256": weights.get("sha256"),
        "epochs": model.get("epochs"),
        "seed": record.get("seed"),
        "config's sha256": record.get("config_sha256"),
        "commit": record.get("commit"),
        "command": record.get("command"),
        "time": ", ".join(
            f"{stage} {seconds:,.1f} s" for stage, seconds in (record.get("timing_s") or {}).items()
        ),
        "speed": (speed := record.get("pixels_per_second")) and f"{speed:,.0f} pixels per second",
        "memory": ", ".join(
            f"{where} {size:,.0f} MiB" for where, size in (record.get("memory_mib") or {}).items()
        ),
        "machine": record.get("machine"),
        "versions": ", ".join(f"{name} {number}" for name, number in (record.get("versions") or {}).items()),
    }
    return [(name, str(value)) for name, value in rows.items() if value not in (None, "")]


def map_tags(
    scenes: Sequence[Scene],
    class_maps: Mapping[str, NDArray[np.uint8]],
    modalities: Sequence[str],
    inputs: Mapping[str, Any],
) -> dict[str, dict[str, str]]:
    """Warn of mapped pixels that lack a modality, and return the tags of each scene's map that count them.

    Args:
        scenes: with their rasters.
        class_maps: ``(H, W)`` uint8 by scene name, 0 where nothing is mapped.
        modalities: that the model reads.
        inputs: the entry ``inputs`` of the run's record.
    """
    found = {
        scene.name: _lacking(scene, class_maps[scene.name] > 0, modalities)
        for scene in scenes
        if scene.name in class_maps
    }
    known = {modality: KnownBands.from_json(entry) for modality, entry in inputs.items()}
    for sentence in added(found.values()).sentences(known):
        logger.warning("%s", sentence)
    return {name: lacking.tags() for name, lacking in found.items()}


def _lacking(scene: Scene, mapped: NDArray[np.bool_], modalities: Sequence[str]) -> Lacking:
    without = {}
    for modality in (modality for modality in modalities if modality in scene.rasters):
        raster = scene.rasters[modality]
        absent = raster.missing().all(axis=0) & mapped if raster.may_lack_values else np.array(False)
        without[modality] = int(absent.sum())
    return Lacking(int(mapped.sum()), without)
