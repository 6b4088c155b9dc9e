"""speeds.json: what a card's model scores on validation pixels, and how fast it predicts, at each speed.

``m3amba predict --speed`` trades the overlap of windows and the views of a model for time. No test pixel is
looked at but for one check: at the best speed the test part has the score of ``metrics.json``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.cli.given_runs import read_given_runs
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.record import provenance
from m3amba_zoo.evaluation.scores import SCORES, confusion_matrix, scores
from m3amba_zoo.hub.index import PublishedFile
from m3amba_zoo.inference import Predictor
from m3amba_zoo.inference.options import SPEEDS
from m3amba_zoo.reading import check_schema, read_json
from m3amba_zoo.splits import SceneData
from workshop.cards.document import code, table

SPEEDS_FILE = "speeds.json"
FORMAT = 1
DIFFERENCE = (
    0.005  # of the test's OA: a Predictor has other batches and lays its windows out over whole scenes
)
_SCORE = {"type": "number", "minimum": -1, "maximum": 1}
_SPEED = {
    "type": "object",
    "required": [*SCORES, "seconds", "pixels_per_s"],
    "properties": {
        **dict.fromkeys(SCORES, _SCORE),
        "seconds": {"type": "number", "exclusiveMinimum": 0},
        "pixels_per_s": {"type": "number", "exclusiveMinimum": 0},
    },
    "additionalProperties": False,
}
SCHEMA = {
    "type": "object",
    "required": ["format", "weights_sha256", "dataset", "simulated", "pixels", "predicted", "speeds"],
    "properties": {
        "format": {"const": FORMAT},
        "weights_sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "dataset": {"type": "string"},
        "simulated": {"type": "boolean"},
        "pixels": {"type": "integer", "minimum": 1},
        "predicted": {"type": "integer", "minimum": 1},
        "speeds": {
            "type": "object",
            "required": list(SPEEDS),
            "properties": dict.fromkeys(SPEEDS, _SPEED),
            "additionalProperties": False,
        },
        "versions": {"type": "object"},
        "machine": {"type": "string"},
        "commit": {"type": ["string", "null"]},
        "command": {"type": "string"},
    },
    "additionalProperties": False,
}
"""The structure of the file (JSON Schema).

Scores on validation pixels are fractions; pixels per second are those of whole scenes.
"""


def measure_speeds(folder: Path) -> dict[str, Any]:
    """Predict the scenes of a card's data at each speed, and score the maps.

    Args:
        folder: of a card with weights.

    Returns:
        The content of ``speeds.json``.

    Raises:
        InputError: if the data is absent or gives another test part, the split has no validation pixels, or
            the test's OA at the best speed is not that of ``metrics.json``.
    """
    (run,) = read_given_runs([str(folder)])
    data = run.load_data()
    if not data.split.count("val"):
        raise InputError(
            f"{folder}: the split '{data.split.name}' has no validation pixels, on which speeds are compared"
        )
    predictor = Predictor(folder, device="cpu")
    side = 2 * predictor.window
    small = {m: data.scenes[0].rasters[m].data[:, :side, :side] for m in predictor.in_channels}
    predictor.predict(small)  # compiles and loads what the first prediction needs
    found: dict[str, Any] = {}
    for speed in SPEEDS:
        began = time.perf_counter()
        maps = {
            scene.name: predictor.predict({m: scene.rasters[m] for m in predictor.in_channels}, speed=speed)
            for scene in data.scenes
        }
        seconds = time.perf_counter() - began
        maps_of = {name: prediction.class_map for name, prediction in maps.items()}
        if speed == "best":
            _check_test(_scores(data, maps_of, "test")["oa"], run.record["oa"], folder)
        found[speed] = {score: _scores(data, maps_of, "val")[score] for score in SCORES}
        found[speed] |= {"seconds": seconds, "pixels_per_s": _pixels(data) / seconds}
    return {
        "format": FORMAT,
        "weights_sha256": predictor.tags["WEIGHTS_SHA256"],
        "dataset": data.name,
        "simulated": data.simulated,
        "pixels": data.split.count("val"),
        "predicted": _pixels(data),
        "speeds": found,
        **provenance(),
    }


def read_speeds(path: Path, weights: PublishedFile, shipped: Mapping[str, Any]) -> dict[str, Any]:
    """Read a card's ``speeds.json``.

    Raises:
        InputError: if it is damaged, of another structure, or of other weights or data than the card's.
    """
    content = read_json(path)
    check_schema(content, SCHEMA, path)
    if content["weights_sha256"] != weights.sha256:
        raise InputError(
            f"{path}: is of weights with sha256 {content['weights_sha256'][:8]}, but the card's are "
            f"{weights.sha256[:8]}; run tools/card.py speeds {path.parent.name} anew"
        )
    if content["dataset"] != shipped["dataset"]:
        raise InputError(f"{path}: is of {content['dataset']}, the shipped run of {shipped['dataset']}")
    return content


def speed_lines(content: Mapping[str, Any], name: str) -> Iterator[str]:
    """Yield a card's section in Markdown."""
    what = "**Simulated data**: these figures say nothing of a real scene. " if content["simulated"] else ""
    yield (
        f"{what}`m3amba predict {name} --speed` trades overlap and views of the windows for time. Scores in "
        f"percent on the {content['pixels']:,} validation pixels of the shipped run, which did not train it; "
        f"pixels per second over {content['predicted']:,} pixels in memory, on {content['machine']}."
    )
    yield ""
    rows = []
    best = content["speeds"]["best"]["oa"]
    for speed, found in content["speeds"].items():
        change = round(100 * (found["oa"] - best), 1)
        shown = f"{change:+.1f}" if speed != "best" and change else "-" if speed == "best" else "0.0"
        rows.append(
            [code(speed), *(f"{100 * found[s]:.1f}" for s in SCORES), shown, f"{found['pixels_per_s']:,.0f}"]
        )
    yield from table(["speed", "OA", "AA", "kappa", "change of OA", "pixels per second"], rows)
    yield ""
    commit = code((content["commit"] or "")[:12])
    yield f"Made by {code(f'python tools/card.py speeds {name}')} at commit {commit}."


def _scores(data: SceneData, maps: Mapping[str, NDArray[np.uint8]], part: str) -> dict[str, Any]:
    confusion = np.zeros((len(data.classes), len(data.classes)), np.int64)
    for scene, mask in data.split.parts(data.scenes, part):
        scored = mask & (maps[scene.name] > 0)
        confusion += confusion_matrix(scene.labels[scored], maps[scene.name][scored], len(data.classes))
    return scores(confusion, [entry.name for entry in data.classes])


def _pixels(data: SceneData) -> int:
    return sum(scene.labels.size for scene in data.scenes)


def _check_test(found: float, said: float, folder: Path) -> None:
    if abs(found - said) > DIFFERENCE:
        raise InputError(
            f"{folder}: the test part has OA {found:.4f} when it is predicted at the best speed, but "
            f"metrics.json says {said:.4f}"
        )
