"""The table of runs, ``leaderboard.csv``, and the kept records beside it: read, checked, changed by row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.record import check_scores, read_record
from m3amba_zoo.system.whole_file import whole_file
from workshop.leaderboard.plan import Run
from workshop.leaderboard.record import (
    Record,
    keep_record,
    result_columns,
    run_columns,
)

DONE, FAILED, NO_DATA = "done", "failed", "no data here"
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
Key = tuple[str, str, str, int]
Row = dict[str, str]


def key_of(row: Row) -> Key:
    """Return what a row is found by."""
    return row["group"], row["dataset"], row["model"], int(row["seed"])


class Table:
    """The rows by group, dataset, model and seed, in one CSV file; each done row has its kept record.

    Every change is written at once, under a lock that several leaderboards share.

    Args:
        path: of the CSV; records lie beside it in ``runs/``.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.records = path, path.parent / "runs"

    def rows(self) -> dict[Key, Row]:
        """Read the rows; none where there is no file.

        Raises:
            InputError: other columns, a row twice, a status or seed that is none.
        """
        if not self.path.is_file():
            return {}
        rows: dict[Key, Row] = {}
        with self.path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise InputError(
                    f"{self.path}: its columns are {reader.fieldnames}, expected {list(COLUMNS)}"
                )
            for row in reader:
                where = f"{self.path}, line {reader.line_num}"
                if None in row or None in row.values():
                    raise InputError(f"{where}: {len(COLUMNS)} values are expected")
                if row["status"] not in STATUSES:
                    raise InputError(f"{where}: status is '{row['status']}', expected one of {STATUSES}")
                if not row["seed"].isdigit():
                    raise InputError(f"{where}: seed is '{row['seed']}', expected a whole number")
                key = key_of(row)
                if key in rows:
                    raise InputError(f"{where}: a second row of {'/'.join(map(str, key))}")
                rows[key] = row
        return rows

    def record(self, row: Row) -> dict[str, Any]:
        """Read the kept record of a done row.

        Raises:
            InputError: there is none, it is damaged, its scores contradict each other, or the row is not
                what it gives: the table was edited by hand.
        """
        key = key_of(row)
        path = self.record_path(key)
        record = read_record(path)
        try:
            check_scores(record, str(path))
            expected = _done_row(record)
        except (KeyError, TypeError) as error:
            raise InputError(f"{path}: the record lacks {error}") from error
        for column in COLUMNS:
            if row[column] != expected[column]:
                raise InputError(
                    f"{self.path}: {'/'.join(map(str, key))} has {column} '{row[column]}', but its record "
                    f"{path.name} gives '{expected[column]}'; rows are not to be edited by hand"
                )
        return record

    def record_path(self, key: Key) -> Path:
        """Return where the record of a row is kept."""
        group, dataset, model, seed = key
        return self.records / group / dataset / model / f"seed{seed}.json"

    def put(self, run: Run, record: Record) -> Row:
        """Keep a run's record and write its row.

        Raises:
            InputError: a file cannot be written; or as ``rows``.
        """
        row = _done_row(keep_record(self.record_path(run.key), record, run))
        self._write([row])
        return row

    def put_reason(self, runs: Iterable[Run], status: str, reason: str) -> None:
        """Write rows without a result: that a run failed or has no data here, and why."""
        named = [
            {
                **dict.fromkeys(COLUMNS, ""),
                "dataset": run.dataset,
                "model": run.model,
                "seed": str(run.seed),
                "group": run.group,
                "config": run.config,
                "options": " ".join(run.all_options),
                "tuned": run.tuned,
                "config_sha256": run.config_sha256,
                "status": status,
                "reason": reason,
            }
            for run in runs
        ]
        self._write(named)

    def _write(self, changed: Iterable[Row]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"):
            rows = self.rows()
            for row in changed:
                rows[key_of(row)] = row
            text = io.StringIO()
            writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows[key] for key in sorted(rows))
            with whole_file(self.path) as aside:
                aside.write_text(text.getvalue(), encoding="utf-8")


def _done_row(record: Record) -> Row:
    found: Mapping[str, str] = {**result_columns(record), **run_columns(record), "status": DONE, "reason": ""}
    return {column: found[column] for column in COLUMNS}
