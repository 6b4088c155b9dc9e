"""The same tuning effort for every network: a small grid, scored on validation pixels, kept in a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.scores import SCORES
from m3amba_zoo.system.whole_file import whole_file
from workshop.leaderboard.board import prepare
from workshop.leaderboard.plan import Plan, Run
from workshop.leaderboard.processes import Processes, Result
from workshop.leaderboard.progress import RunProgress

GROUP = "tuning"
COLUMNS = (
    "dataset",
    "model",
    "option",
    "oa",
    "aa",
    "kappa",
    "pixels",
    "part",
    "seed",
    "split",
    "split_sha256",
    "config_sha256",
    "status",
    "reason",
)
Row = dict[str, str]


class TuningTable:
    """The grid's scores, one CSV file: a row a dataset, model and setting.

    Args:
        path: of the CSV.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> dict[tuple[str, str, str], Row]:
        """Read the rows by dataset, model and setting; none where there is no file.

        Raises:
            InputError: other columns, a row twice, or scores of another part than ``val``.
        """
        if not self.path.is_file():
            return {}
        rows: dict[tuple[str, str, str], Row] = {}
        with self.path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise InputError(
                    f"{self.path}: its columns are {reader.fieldnames}, expected {list(COLUMNS)}"
                )
            for row in reader:
                key = (row["dataset"], row["model"], row["option"])
                if key in rows:
                    raise InputError(f"{self.path}, line {reader.line_num}: a second row of {' '.join(key)}")
                if row["part"] != "val":
                    raise InputError(
                        f"{self.path}, line {reader.line_num}: scores of the part '{row['part']}'; "
                        "settings are chosen on validation pixels (val)"
                    )
                rows[key] = row
        return rows

    def chosen(self, plan: Plan) -> dict[tuple[str, str], str]:
        """Return the best setting by dataset and model, where the whole grid has been run.

        The best has the highest mean of OA, AA and kappa on validation pixels; of equals the first of the
        grid.
        """
        rows, grid = self.rows(), settings(plan)
        chosen = {}
        for dataset, model in dict.fromkeys((dataset, model) for dataset, model, _ in rows):
            scored = [rows.get((dataset, model, option)) for option in grid]
            if grid and all(row is not None and row["status"] == "done" for row in scored):
                best = max(grid, key=lambda option: _mean_score(rows[dataset, model, option]))
                chosen[dataset, model] = best
        return chosen

    def put(self, result: Result) -> None:
        """Write a setting's scores, or why there are none.

        Raises:
            InputError: the file cannot be written.
        """
        run, record = result.run, result.record
        row: Row = {
            **dict.fromkeys(COLUMNS, ""),
            "dataset": run.dataset,
            "model": run.model,
            "option": run.label,
            "part": run.part,
            "seed": str(run.seed),
            "config_sha256": run.config_sha256,
            "status": "failed" if record is None else "done",
            "reason": result.reason,
        }
        if record is not None:
            row |= {score: f"{record[score]:.6f}" for score in SCORES}
            row |= {"pixels": str(record["pixels"]), "split": record["split"]["name"]}
            row["split_sha256"] = record["split"]["sha256"]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"):
            rows = self.rows()
            rows[row["dataset"], row["model"], row["option"]] = row
            text = io.StringIO()
            writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows[key] for key in sorted(rows))
            with whole_file(self.path) as aside:
                aside.write_text(text.getvalue(), encoding="utf-8")


def _mean_score(row: Row) -> float:
    return sum(float(row[score]) for score in SCORES) / len(SCORES)


def settings(plan: Plan) -> list[str]:
    """Return the grid as options ``KEY=VALUE``, in the plan's order."""
    return [f"{plan.tuning['key']}={value:g}" for value in plan.tuning.get("values", ())]


def tuning_runs(plan: Plan, runs: Sequence[Run]) -> list[Run]:
    """List the grid's runs for the networks among ``runs``, one seed, scored on validation pixels.

    Raises:
        InputError: a dataset of the plan has no ``val``, or the plan no ``tuning``.
    """
    if not settings(plan):
        raise InputError(f"{plan.path}: --tune needs tuning=dict(key=..., values=..., seed=...)")
    found: dict[tuple[str, str], Run] = {}
    for run in runs:
        if run.group == plan.tuning["group"] and run.read().get("model"):
            found.setdefault((run.dataset, run.model), run)
    listed = []
    for run in found.values():
        val = plan.datasets[run.dataset].get("val")
        if not val:
            raise InputError(f"{plan.path}: dataset '{run.dataset}' has no val=dict(fraction=..., guard=...)")
        on_val = [f"split.val.{key}={value}" for key, value in val.items()]
        on_val += [f"split.val.seed={plan.tuning['seed']}", "test_dataloader.dataset.part=val"]
        for option in settings(plan):
            listed.append(
                replace(
                    run,
                    group=GROUP,
                    seed=plan.tuning["seed"],
                    options=(*run.options, *on_val, option),
                    part="val",
                    tuned="",
                    label=option,
                )
            )
    return listed


def tune(table: TuningTable, runs: Sequence[Run], processes: Processes) -> list[Result]:
    """Run what the table lacks, write each result at once, and return the failures.

    Raises:
        InputError: as ``board.prepare``; or the table cannot be read or written.
    """
    possible, without = prepare(runs)
    rows = table.rows()

    def done(run: Run, sha256: str) -> bool:
        row = rows.get((run.dataset, run.model, run.label)) or {}
        known = (row.get("config_sha256"), row.get("split_sha256"))
        return row.get("status") == "done" and known == (run.config_sha256, sha256)

    left = [(run, sha256) for run, sha256 in possible if not done(run, sha256)]
    failed = []
    with RunProgress(len(left), len(possible) - len(left), len(without)) as progress:
        for result in processes.results(left, progress.started, lambda run: False):
            progress.ended(result)
            if not result.busy:
                table.put(result)
            if result.reason:
                failed.append(result)
    return failed
