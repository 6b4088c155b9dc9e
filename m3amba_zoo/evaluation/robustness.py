"""How a trained network scores on its test part when the rasters are disturbed: the plan and the scoring.

Nothing is fitted or chosen on the disturbed scenes. ``robustness.json`` has the scores of each disturbance.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from m3amba_zoo.datasets import SceneWindows
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.disturbances import (
    Disturbance,
    Missing,
    Noisy,
    Shifted,
    WithoutBands,
    disturbed,
    draw_bands,
)
from m3amba_zoo.evaluation.scene_metric import SceneLogits, evaluate_scenes
from m3amba_zoo.evaluation.scores import SCORES
from m3amba_zoo.models.window_classifier import WindowClassifier
from m3amba_zoo.reading import check_schema, read_json

SHIFTS = (1, 2, 3, 4)
"""Pixels."""
DIRECTIONS = ((-1, 0), (1, 0), (0, -1), (0, 1))
"""Rows and columns of a shift by one pixel: up, down, left, right. Diagonal ones would be longer."""
SNRS_DB = (40, 30, 20, 10)
SHARES = (0.1, 0.25, 0.5)
"""Of the bands that are dropped."""
DRAWS = 3


@dataclass(frozen=True)
class Trial:
    """A disturbance that is scored.

    Attributes:
        facts: what tells it from the other trials of its row: ``modality``, ``rows`` and ``columns``, or
            ``draw``; empty for the only one.
        disturbance: None leaves the rasters as they are.
    """

    facts: Mapping[str, Any]
    disturbance: Disturbance | None


@dataclass(frozen=True)
class Row:
    """A row of the table: trials of one kind and strength.

    Attributes:
        facts: ``kind`` (``none``, ``missing``, ``shift``, ``noise`` or ``bands``) and its strength:
            ``modality``; ``pixels``; ``snr_db``; ``share`` and ``count`` of the ``modality``'s bands.
        trials: of which scores are averaged.
    """

    facts: Mapping[str, Any]
    trials: tuple[Trial, ...]


def plan(in_channels: Mapping[str, int], seed: int = 0, draws: int = DRAWS) -> list[Row]:
    """Return what is tried of a network, the undisturbed scenes first.

    A network of one modality is not tried with that missing, or shifted against others; one whose modalities
    all have one band not without bands.

    Args:
        in_channels: bands by modality, in the network's order.
        seed: of noise and dropped bands.
        draws: of these.

    Raises:
        InputError: if ``draws`` is below 1, or ``seed`` below 0.
    """
    if draws < 1 or seed < 0:
        raise InputError(f"draws is {draws} and seed {seed}; expected 1 or more, and 0 or more")
    names, others = tuple(in_channels), tuple(in_channels)[1:]
    rows = [Row({"kind": "none"}, (Trial({}, None),))]
    if others:
        rows += [Row({"kind": "missing", "modality": m}, (Trial({}, Missing(m)),)) for m in names]
    for pixels in SHIFTS if others else ():
        moves = [(pixels * down, pixels * right) for down, right in DIRECTIONS]
        moved = (Trial({"rows": r, "columns": c}, Shifted(others, r, c)) for r, c in moves)
        rows.append(Row({"kind": "shift", "pixels": pixels}, tuple(moved)))
    for snr_db in SNRS_DB:
        noisy = (Trial({"draw": draw}, Noisy(names, snr_db, seed, draw)) for draw in range(draws))
        rows.append(Row({"kind": "noise", "snr_db": snr_db}, tuple(noisy)))
    widest = max(names, key=lambda name: in_channels[name])
    bands = in_channels[widest]
    for share in SHARES if bands > 1 else ():
        drawn = [draw_bands(bands, share, seed, draw) for draw in range(draws)]
        facts = {"kind": "bands", "modality": widest, "share": share, "count": len(drawn[0])}
        lost = (Trial({"draw": draw}, WithoutBands(widest, of)) for draw, of in enumerate(drawn))
        rows.append(Row(facts, tuple(lost)))
    return rows


class RobustnessTest:
    """Scores a network on the windows of its test, over rasters that are disturbed.

    Only windows that show a test pixel are classified, which changes no score.

    Attributes:
        windows: of the test part.
        batch_size: windows at once.

    Args:
        model: with its weights, on its device, in evaluation mode.
        loader: ``test_dataloader`` of its config: a dataset ``SceneWindows``, and ``batch_size``.

    Raises:
        InputError: if the loader has another dataset, features of an encoder are among the modalities, or as
            ``SceneWindows``.
    """

    def __init__(self, model: WindowClassifier, loader: Mapping[str, Any]) -> None:
        config = copy.deepcopy(dict(loader.get("dataset") or {}))
        if config.pop("type", None) != SceneWindows.__name__:
            raise InputError(
                "robustness is tested on the windows of a network's test; expected test_dataloader.dataset "
                "of type 'SceneWindows' in its config"
            )
        config |= {"whole_scenes": False, "part": "test"}
        self.model, self.windows = model, SceneWindows(**config)
        self.batch_size = int(loader.get("batch_size", 1))
        data = self.windows.data
        if features := [m for m in self.windows.modalities if m in data.encoded]:
            raise InputError(
                f"the model reads {', '.join(features)}, features of an encoder; only rasters are disturbed, "
                "so that its robustness cannot be tested"
            )
        self._needed = [scene.name for scene, mask in data.split.parts(data.scenes, "test") if mask.any()]

    @torch.no_grad()
    def score(self, disturbance: Disturbance | None) -> dict[str, float]:
        """Return OA, AA and kappa of the test part, as fractions; None leaves the rasters as they are."""
        data = self.windows.data
        scenes = disturbed(data.scenes, disturbance, self._needed)
        windows = copy.copy(self.windows)
        windows.data = replace(data, scenes=scenes)
        stitched = [SceneLogits(len(data.classes), scene.shape) for scene in scenes]
        for batch in DataLoader(windows, batch_size=self.batch_size):
            places = zip(
                batch["scene"].tolist(), batch["row"].tolist(), batch["column"].tolist(), strict=True
            )
            for logits, (scene, row, column) in zip(self.model.test_step(batch), places, strict=True):
                stitched[scene].add(logits.cpu().numpy(), row, column)
        found = evaluate_scenes(stitched, scenes, data.split, "test", windows.modalities).scores
        return {score: found[score] for score in SCORES}


def unfinished(rows: Sequence[Row], results: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Trial]]:
    """Yield the trials without a result, each with the number of its row."""
    for number, (row, result) in enumerate(zip(rows, results, strict=True)):
        done = [{key: trial.get(key) for key in row.trials[0].facts} for trial in result["trials"]]
        for trial in row.trials:
            if dict(trial.facts) not in done:
                yield number, trial


FORMAT = 1
_TEXT = {"type": "string", "minLength": 1}
_COUNT = {"type": "integer", "minimum": 0}
_SHA256 = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_TRIAL = {
    "type": "object",
    "required": list(SCORES),
    "properties": {
        "oa": {"type": "number", "minimum": 0, "maximum": 1},
        "aa": {"type": "number", "minimum": 0, "maximum": 1},
        "kappa": {"type": "number", "minimum": -1, "maximum": 1},
        "rows": {"type": "integer"},
        "columns": {"type": "integer"},
        "draw": _COUNT,
    },
    "additionalProperties": False,
}


def _row(kind: str, **facts: Any) -> dict[str, Any]:
    properties = {"kind": {"const": kind}, **facts, "trials": {"type": "array", "items": _TRIAL}}
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }


SCHEMA = {
    "type": "object",
    "required": [
        "format", "model", "dataset", "simulated", "split", "pixels", "modalities", "seed", "draws", "rows",
        "versions", "machine", "commit", "command",
    ],
    "properties": {
        "format": {"const": FORMAT},
        "model": {
            "type": "object",
            "required": ["name", "file", "sha256"],
            "properties": {"name": _TEXT, "file": _TEXT, "sha256": _SHA256},
        },
        "dataset": _TEXT,
        "simulated": {"type": "boolean"},
        "split": {
            "type": "object",
            "required": ["name", "part", "test_sha256"],
            "properties": {"name": _TEXT, "part": {"const": "test"}, "test_sha256": _SHA256},
        },
        "pixels": {"type": "integer", "minimum": 1},
        "modalities": {"type": "array", "minItems": 1, "items": _TEXT},
        "seed": _COUNT,
        "draws": {"type": "integer", "minimum": 1},
        "rows": {
            "type": "array",
            "minItems": 1,
            "items": {
                "oneOf": [
                    _row("none"),
                    _row("missing", modality=_TEXT),
                    _row("shift", pixels={"type": "integer", "minimum": 1}),
                    _row("noise", snr_db={"type": "number"}),
                    _row("bands", modality=_TEXT, share={"type": "number"}, count={"type": "integer"}),
                ]
            },
        },
        "versions": {"type": "object"},
        "machine": {"type": "string"},
        "commit": {"type": ["string", "null"]},
        "command": {"type": "string"},
    },
}  # fmt: skip
"""The structure of the file (JSON Schema); scores are fractions, shifts pixels, ``snr_db`` decibels."""


def read_robustness(path: Path) -> dict[str, Any]:
    """Read a ``robustness.json``, finished or not.

    Raises:
        InputError: if the file is absent, damaged, or of another structure.
    """
    content = read_json(path)
    check_schema(content, SCHEMA, path)
    return content


def check_finished(content: Mapping[str, Any], path: Path) -> None:
    """Raise InputError if a row lacks trials: one each, four of a shift, and the draws of noise and bands."""
    trials = {"shift": 4, "noise": content["draws"], "bands": content["draws"]}
    for row in content["rows"]:
        expected = trials.get(row["kind"], 1)
        if len(row["trials"]) != expected:
            raise InputError(
                f"{path}: '{words(row)}' has {len(row['trials'])} of {expected} trials; the same command "
                f"finishes it: {content['command']}"
            )


def summary(row: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return ``mean`` and ``worst`` of each score over a row's trials, as fractions."""
    found = {score: [trial[score] for trial in row["trials"]] for score in SCORES}
    return {
        "mean": {score: sum(values) / len(values) for score, values in found.items()},
        "worst": {score: min(values) for score, values in found.items()},
    }


def words(facts: Mapping[str, Any]) -> str:
    """Say what is done to the rasters in a row."""
    kind = facts["kind"]
    if kind == "missing":
        return f"{facts['modality']} missing"
    if kind == "shift":
        return f"misregistered by {facts['pixels']} pixel{'s' * (facts['pixels'] != 1)}"
    if kind == "noise":
        return f"noise, SNR {facts['snr_db']:g} dB"
    if kind == "bands":
        return f"{100 * facts['share']:g} % of the bands of {facts['modality']} missing ({facts['count']})"
    return "undisturbed"
