"""``leaderboard.csv``, one row per run, and the record kept of each run: read, checked and written."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.record import check_scores, read_record
from m3amba_zoo.evaluation.scores import SCORES
from m3amba_zoo.evaluation.significance import FixedPart
from m3amba_zoo.reading import read_arrays, read_table
from m3amba_zoo.system import whole_file
from workshop.cards.document import portable_command
from workshop.leaderboard.plan import Run

DONE, FAILED, NO_DATA = "done", "failed", "no data here"
WHOLE_NUMBER = re.compile("[0-9]{1,18}")
STATUSES = (DONE, FAILED, NO_DATA)
COLUMNS = (
    "dataset",
    "model",
    "split",
    "seed",
    "oa",
    "aa",
    "kappa",
    "group",
    "per_class",
    "split_sha256",
    "test_sha256",
    "leaked_pixels",
    "window",
    "selection",
    "tuned",
    "transductive",
    "parameters",
    "trained_parameters",
    "flops_per_pixel",
    "train_seconds",
    "pixels_per_second",
    "peak_memory_mib",
    "threads",
    "commit",
    "config",
    "options",
    "config_sha256",
    "status",
    "reason",
)
RUN = "run"  # the key of a kept record that holds what the plan says of the run
Key = tuple[str, str, str, int]
Row = dict[str, str]
Record = Mapping[str, Any]


def key_of(row: Row) -> Key:
    """Return a row's group, dataset, model and seed, which identify it."""
    return row["group"], row["dataset"], row["model"], int(row["seed"])


class Table:
    """The rows of one CSV file; each row with the status "done" has its kept record.

    Every change is written at once, under a lock that several leaderboards share.

    Args:
        path: the CSV file; beside it ``runs`` holds the records, ``test_parts`` the pixels that were tested.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.records = path, path.parent / "runs"

    def rows(self) -> dict[Key, Row]:
        """Read the rows; the result is empty if the file is absent.

        Raises:
            InputError: if the columns are not the expected ones, a row appears twice, or a status, a seed or
                a name is invalid.
        """
        rows: dict[Key, Row] = {}
        for where, row in read_rows(self.path, COLUMNS):
            if row["status"] not in STATUSES:
                raise InputError(f"{where}: status is '{row['status']}', expected one of {STATUSES}")
            if not WHOLE_NUMBER.fullmatch(row["seed"]):
                raise InputError(f"{where}: seed is '{row['seed']}', expected a whole number")
            for column in ("group", "dataset", "model"):  # folders of the record
                if row[column] in ("", "..") or Path(row[column]).name != row[column]:
                    raise InputError(f"{where}: {column} is '{row[column]}', expected a name")
            key = key_of(row)
            if key in rows:
                raise InputError(f"{where}: a second row of {'/'.join(map(str, key))}")
            rows[key] = row
        return rows

    def record(self, row: Row) -> dict[str, Any]:
        """Read the kept record of a row with the status "done".

        Raises:
            InputError: if the record is absent or damaged, its scores contradict each other, or the row
                differs from its record because the table was edited by hand.
        """
        key = key_of(row)
        path = self.record_path(key)
        record = read_record(path)
        try:
            check_scores(record, str(path))
            expected = _done_row(record)
        except KeyError as error:
            raise InputError(f"{path}: the record lacks {error}") from error
        for column in COLUMNS:
            if row[column] != expected[column]:
                raise InputError(
                    f"{self.path}: {'/'.join(map(str, key))} has {column} '{row[column]}', but its record "
                    f"{path.name} gives '{expected[column]}'; rows are not to be edited by hand"
                )
        return record

    def record_path(self, key: Key) -> Path:
        """Return the path of a row's record."""
        group, dataset, model, seed = key
        return self.records / group / dataset / model / f"seed{seed}.json"

    def part(self, dataset: str) -> FixedPart | None:
        """Read the dataset's test part; None if it was not kept yet.

        Raises:
            InputError: if the file is damaged.
        """
        path = self._part_path(dataset)
        if not path.is_file():
            return None
        what = "not a test part that the leaderboard kept"
        arrays = read_arrays(path, what)
        if (
            arrays.keys() != {"sha256", "labels", "blocks"}
            or arrays["labels"].shape != arrays["blocks"].shape
        ):
            raise InputError(f"{path}: {what}, expected sha256, labels and blocks")
        return FixedPart(str(arrays["sha256"]), arrays["labels"], arrays["blocks"])

    def put_part(self, dataset: str, part: FixedPart) -> None:
        """Keep a dataset's test part, for comparisons where the data is not."""
        path = self._part_path(dataset)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as aside, aside.open("wb") as file:
            np.savez_compressed(file, sha256=np.array(part.sha256), labels=part.labels, blocks=part.blocks)

    def _part_path(self, dataset: str) -> Path:
        return self.path.parent / "test_parts" / f"{dataset}.npz"

    def put(self, run: Run, record: Record) -> None:
        """Keep a run's record and write its row.

        Raises:
            InputError: if a file cannot be written, or as ``rows`` does.
        """
        kept = _kept(run, record)
        path = self.record_path(run.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as aside:
            aside.write_text(json.dumps(kept, separators=(",", ":"), allow_nan=False) + "\n")
        self._write(_done_row(kept))

    def put_reason(self, run: Run, status: str, reason: str) -> None:
        """Write the row of a run without a result: that it failed or has no data here, and why."""
        self._write(
            {
                **dict.fromkeys(COLUMNS, ""),
                **_named(run),
                "seed": str(run.seed),
                "options": " ".join(run.all_options),
                "tuned": " ".join(run.tuned),
                "config_sha256": run.config_sha256,
                "status": status,
                "reason": reason,
            }
        )

    def _write(self, row: Row) -> None:
        change_rows(self.path, COLUMNS, self.rows, {key_of(row): row})


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """Yield each row of a CSV file with its place, ``FILE, line N``; nothing if the file is absent.

    Raises:
        InputError: if the file has other columns, or a row has too few or too many values.
    """
    if not path.is_file():
        return
    found, rows = read_table(path)
    if tuple(found) != tuple(columns):
        raise InputError(f"{path}: its columns are {found}, expected {list(columns)}")
    yield from rows


def change_rows(
    path: Path, columns: Sequence[str], read: Callable[[], dict[Any, Row]], changed: Mapping[Any, Row]
) -> None:
    """Put rows into a CSV file, sorted by their key, under the lock that several leaderboards share."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        rows = {**read(), **changed}
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[key] for key in sorted(rows))
        with whole_file(path) as aside:
            aside.write_text(text.getvalue(), encoding="utf-8")


def check_record(record: Record, run: Run, split_sha256: str) -> None:
    """Check that a record is consistent and belongs to a run.

    Args:
        record: the content of ``metrics.json``.
        run: the run that should have written it.
        split_sha256: the hash of the split that the run's config makes.

    Raises:
        InputError: if config, seed, part, split or test part differ; if fewer pixels were scored than the
            split has; if training windows show more test pixels than the plan allows; if the scores do not
            follow from the confusion matrix; or if it lacks what the table shows.
    """
    try:
        split = record["split"]
        if record["config_sha256"] != run.config_sha256:
            raise InputError(f"{run}: the record is of another config or options than the plan's now")
        if (record["seed"], split["part"]) != (run.seed, run.part):
            raise InputError(
                f"{run}: the record has seed {record['seed']} and scores the {split['part']} part, expected "
                f"seed {run.seed} and the {run.part} part"
            )
        if split["sha256"] != split_sha256:
            raise InputError(
                f"{run}: the record's split is {split['sha256'][:8]}, but the config makes {split_sha256[:8]}"
            )
        if run.test_sha256 and split["test_sha256"] != run.test_sha256:
            raise InputError(
                f"{run}: the record's test part is {split['test_sha256'][:8]}, but the plan's is "
                f"{run.test_sha256[:8]}"
            )
        if run.max_leaked_pixels is not None and split["leaked_pixels"] > run.max_leaked_pixels:
            raise InputError(
                f"{run}: {split['leaked_pixels']} test pixels lie in training windows, but the plan's "
                f"max_leaked_pixels is {run.max_leaked_pixels}"
            )
        check_scores(record, str(run))
        _done_row(_kept(run, record))
    except KeyError as error:
        raise InputError(f"{run}: the record lacks {error}") from error


def _kept(run: Run, record: Record) -> dict[str, Any]:
    """Return the record that is kept of a run, without this machine's folders."""
    said = {**_named(run), "options": list(run.all_options), "tuned": list(run.tuned)}
    kept = {RUN: said, **record} | {RUN: said}  # whatever the record says, and at the beginning
    return kept | {"command": portable_command(record.get("command", ""))}


def _named(run: Run) -> dict[str, Any]:
    """Return what names a run, in its row and in its kept record."""
    return {name: getattr(run, name) for name in ("group", "dataset", "model", "config")}


def _done_row(record: Record) -> Row:
    """Return the row that a kept record gives."""
    run, split, model = record[RUN], record["split"], record["model"]
    memory = record["memory_mib"]
    found = {
        "dataset": run["dataset"],
        "model": run["model"],
        "split": split["name"],
        "seed": str(record["seed"]),
        **{score: f"{record[score]:.6f}" for score in SCORES},
        "group": run["group"],
        "per_class": " ".join(_fraction(entry["accuracy"]) for entry in record["per_class"]),
        "split_sha256": split["sha256"],
        "test_sha256": split["test_sha256"],
        "leaked_pixels": str(split["leaked_pixels"]),
        "window": str(split["window"]),
        "selection": record["selection"],
        "tuned": " ".join(run["tuned"]),
        "transductive": str(model["transductive"]).lower(),
        "parameters": _number(model["parameters"]),
        "trained_parameters": _number(model["trained_parameters"]),
        "flops_per_pixel": _number(model["flops_per_pixel"]),
        "train_seconds": _number(record["timing_s"].get("train")),
        "pixels_per_second": _number(record["pixels_per_second"]),
        "peak_memory_mib": _number(memory.get("cuda", memory["process"])),
        "threads": str(record["threads"]),
        "commit": record["commit"] or "",
        "config": run["config"],
        "options": " ".join(run["options"]),
        "config_sha256": record["config_sha256"],
        "status": DONE,
        "reason": "",
    }
    return {column: found[column] for column in COLUMNS}


def _fraction(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.6g}"
