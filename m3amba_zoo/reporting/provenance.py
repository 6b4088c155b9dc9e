"""What a record says of its run, as rows for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Rows = list[tuple[str, str]]
SCORES = {
    "oa": "OA",
    "aa": "AA",
    "kappa": "kappa",
    "mean_f1": "mean F1",
    "mean_iou": "mean IoU",
    "ece": "ECE",
}


def figures_of(record: Mapping[str, Any]) -> Rows:
    """Return the scores of the whole part: fractions as percent, kappa and ECE as they are."""
    found = []
    for score, title in SCORES.items():
        value = record.get(score)
        if value is not None:
            found.append((title, f"{value:.4f}" if score in ("kappa", "ece") else f"{value:.2%}"))
    return found


def provenance(record: Mapping[str, Any]) -> Rows:
    """Return data, split, weights, settings, cost and software; what the record does not say is left out."""
    split, model = record.get("split") or {}, record.get("model") or {}
    weights, pixels = record.get("weights") or {}, split.get("pixels") or {}
    parameters = model.get("parameters")
    rows = {
        "data": record.get("dataset"),
        "modalities": ", ".join(record.get("modalities") or []),
        "split": split.get("name"),
        "split's sha256": split.get("sha256"),
        "test part's sha256": split.get("test_sha256"),
        "pixels": ", ".join(f"{part} {count:,}" for part, count in pixels.items()),
        "model": model.get("type"),
        "parameters": None if parameters is None else f"{parameters:,.0f}",
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
