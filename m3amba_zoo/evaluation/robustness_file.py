"""robustness.json: a network's scores on its test part under each disturbance of the rasters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.scores import SCORES
from m3amba_zoo.reading import check_schema, read_json

ROBUSTNESS_FILE = "robustness.json"
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
