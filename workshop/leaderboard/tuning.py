"""Tunes every network with the same small grid on validation pixels; ``tuning.csv`` keeps the scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.scores import SCORES
from workshop.leaderboard.board import is_done, prepare
from workshop.leaderboard.plan import Plan, Run
from workshop.leaderboard.processes import Processes, Result, RunProgress
from workshop.leaderboard.table import DONE, FAILED, Row, change_rows, read_rows

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


class TuningTable:
    """The grid's scores in a CSV file, one row per dataset, model and setting.

    Args:
        path: the CSV file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> dict[tuple[str, str, str], Row]:
        """Read the rows by dataset, model and setting; the result is empty if the file is absent.

        Raises:
            InputError: if the columns are not the expected ones, a row appears twice, or a row has scores
                of another part than ``val``.
        """
        rows: dict[tuple[str, str, str], Row] = {}
        for where, row in read_rows(self.path, COLUMNS):
            key = (row["dataset"], row["model"], row["option"])
            if key in rows:
                raise InputError(f"{where}: a second row of {' '.join(key)}")
            if row["part"] != "val":
                raise InputError(
                    f"{where}: scores of the part '{row['part']}'; settings are chosen on validation pixels "
                    "(val)"
                )
            rows[key] = row
        return rows

    def chosen(self, plan: Plan) -> dict[tuple[str, str], str]:
        """Return the best setting of each dataset and model for which the whole grid has been run.

        The best setting has the highest mean of OA, AA and kappa on validation pixels. Of equally good ones
        the first of the grid is chosen.
        """
        rows, grid = self.rows(), settings(plan)
        chosen = {}
        for dataset, model in dict.fromkeys((dataset, model) for dataset, model, _ in rows):
            scored = [rows.get((dataset, model, option)) for option in grid]
            if grid and all(row is not None and row["status"] == DONE for row in scored):
                best = max(grid, key=lambda option: _mean_score(rows[dataset, model, option]))
                chosen[dataset, model] = best
        return chosen

    def put(self, result: Result) -> None:
        """Write a setting's scores, or the reason why there are none.

        Raises:
            InputError: if the file cannot be written, or as ``rows`` does.
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
            "status": FAILED if record is None else DONE,
            "reason": result.reason,
        }
        if record is not None:
            row |= {score: f"{record[score]:.6f}" for score in SCORES}
            row |= {"pixels": str(record["pixels"]), "split": record["split"]["name"]}
            row["split_sha256"] = record["split"]["sha256"]
        change_rows(self.path, COLUMNS, self.rows, {(row["dataset"], row["model"], row["option"]): row})


def _mean_score(row: Row) -> float:
    return sum(float(row[score]) for score in SCORES) / len(SCORES)


def settings(plan: Plan) -> list[str]:
    """Return the grid as options ``KEY=VALUE``, in the plan's order."""
    return [f"{plan.tuning['key']}={value:g}" for value in plan.tuning.get("values", ())]


def tuning_runs(plan: Plan, runs: Sequence[Run]) -> list[Run]:
    """List the grid's runs for the networks among ``runs``, with one seed, scored on validation pixels.

    Raises:
        InputError: if a dataset of the plan has no ``val``, or the plan no ``tuning``.
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
    """Run the settings that the table lacks, write each result at once, and return the failures.

    Raises:
        InputError: as ``board.prepare`` does, or if the table cannot be read or written.
    """
    possible, without = prepare(runs)
    rows = table.rows()
    left = [
        (run, sha256)
        for run, sha256 in possible
        if not is_done(rows.get((run.dataset, run.model, run.label)), run, sha256)
    ]
    failed = []
    with RunProgress(len(left), len(possible) - len(left), len(without)) as progress:
        for result in processes.results(left, progress.started, lambda run: False):
            progress.ended(result)
            if not result.busy:
                table.put(result)
            if result.reason:
                failed.append(result)
    return failed
