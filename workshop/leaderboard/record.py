"""A run's record: its ``metrics.json``, checked, kept in the repository, and as a row of the table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.record import check_scores
from m3amba_zoo.evaluation.scores import SCORES
from m3amba_zoo.system.whole_file import whole_file
from workshop.leaderboard.plan import Run

Record = Mapping[str, Any]
RUN = "run"  # a kept record's key for what the plan says of the run


def check_record(record: Record, run: Run, split_sha256: str | None) -> None:
    """Compare a record with itself and with the run that it should be of.

    Args:
        record: the content of ``metrics.json``.
        run: what was to run.
        split_sha256: of the split that the run's config makes, None where its data is not here.

    Raises:
        InputError: another config, seed, part or split; fewer pixels scored than the split has; more leaked
            pixels than the plan allows; scores that do not follow from the confusion matrix.
    """
    try:
        split = record["split"]
        if record["config_sha256"] != run.config_sha256:
            raise InputError(f"{run}: the record is of another config or options than the plan's now")
        if (record["seed"], split["part"]) != (run.seed, run.part):
            raise InputError(
                f"{run}: the record has seed {record['seed']} and scores the {split['part']} part; seed "
                f"{run.seed} and {run.part} are expected"
            )
        if split_sha256 not in (None, split["sha256"]):
            raise InputError(
                f"{run}: the record's split is {split['sha256'][:8]}, but the config makes {split_sha256[:8]}"  # type: ignore[index]
            )
        if run.max_leaked_pixels is not None and split["leaked_pixels"] > run.max_leaked_pixels:
            raise InputError(
                f"{run}: {split['leaked_pixels']} test pixels lie in training windows, but the plan's "
                f"max_leaked_pixels is {run.max_leaked_pixels}"
            )
        check_scores(record, str(run))
    except (KeyError, TypeError) as error:
        raise InputError(f"{run}: the record lacks {error}") from error


def keep_record(path: Path, record: Record, run: Run) -> dict[str, Any]:
    """Write a record for the repository, with what the plan says of the run; return it.

    Raises:
        InputError: the file cannot be written.
    """
    kept = {
        RUN: {
            "group": run.group,
            "dataset": run.dataset,
            "model": run.model,
            "config": run.config,
            "options": list(run.all_options),
            "tuned": run.tuned,
        },
        **record,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as aside:
        aside.write_text(json.dumps(kept, separators=(",", ":"), allow_nan=False) + "\n")
    return kept


def result_columns(record: Record) -> dict[str, str]:
    """Return a record's values as the table's columns hold them."""
    split, model, timing = record["split"], record["model"], record["timing_s"]
    memory = record["memory_mib"]
    return {
        "split": split["name"],
        **{score: f"{record[score]:.6f}" for score in SCORES},
        "per_class": " ".join(_fraction(entry["accuracy"]) for entry in record["per_class"]),
        "split_sha256": split["sha256"],
        "leaked_pixels": str(split["leaked_pixels"]),
        "window": str(split["window"]),
        "selection": record["selection"],
        "transductive": str(model["transductive"]).lower(),
        "parameters": _number(model["parameters"]),
        "trained_parameters": _number(model["trained_parameters"]),
        "flops_per_pixel": _number(model["flops_per_pixel"]),
        "train_seconds": _number(timing.get("train")),
        "pixels_per_second": _number(record["pixels_per_second"]),
        "peak_memory_mib": _number(memory.get("cuda", memory["process"])),
        "threads": str(record["threads"]),
        "commit": record["commit"] or "",
        "config_sha256": record["config_sha256"],
    }


def run_columns(record: Record) -> dict[str, str]:
    """Return the columns that name a kept record's run."""
    run = record[RUN]
    return {
        "dataset": run["dataset"],
        "model": run["model"],
        "seed": str(record["seed"]),
        "group": run["group"],
        "config": run["config"],
        "options": " ".join(run["options"]),
        "tuned": run["tuned"],
    }


def _fraction(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.6g}"
