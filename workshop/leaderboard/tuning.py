"""One procedure chooses every model's setting on validation pixels; ``tuning.csv`` keeps every try.

Each model has the same number of settings and the same seeds. The first setting is the config as it is; the
others are drawn from the model's search space, which the plan declares.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

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
    "setting",
    "seed",
    "oa",
    "aa",
    "kappa",
    "options",
    "pixels",
    "part",
    "split",
    "split_sha256",
    "test_sha256",
    "leaked_pixels",
    "train_seconds",
    "commit",
    "config_sha256",
    "status",
    "reason",
)
MOST_DRAWS = 1000
Setting = tuple[str, ...]


class TuningTable:
    """The tries in a CSV file, one row per dataset, model, setting and seed.

    Args:
        path: the CSV file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> dict[tuple[str, str, int, int], Row]:
        """Read the rows by dataset, model, setting and seed; the result is empty if the file is absent.

        Raises:
            InputError: if the columns are not the expected ones, a row appears twice, or a row has scores
                of another part than ``val``.
        """
        rows: dict[tuple[str, str, int, int], Row] = {}
        for where, row in read_rows(self.path, COLUMNS):
            key = _key(row)
            if key in rows:
                raise InputError(f"{where}: a second row of {' '.join(map(str, key))}")
            if row["part"] != "val":
                raise InputError(
                    f"{where}: scores of the part '{row['part']}'; settings are chosen on validation pixels "
                    "(val)"
                )
            rows[key] = row
        return rows

    def chosen(self, plan: Plan) -> dict[tuple[str, str], Setting]:
        """Return the best setting of each dataset and model of which every setting and seed has been run.

        The best setting has the highest mean of OA, AA and kappa on validation pixels over the seeds. Of
        equally good ones the first is chosen.
        """
        rows, seeds = self.rows(), plan.tuning.get("seeds", ())
        chosen = {}
        for dataset, model in dict.fromkeys(key[:2] for key in rows):
            if dataset not in plan.datasets or model not in plan.tuning.get("spaces", {}):
                continue
            tried = settings(plan, dataset, model)
            scored: list[float] = []
            for index, options in enumerate(tried):
                found = [rows.get((dataset, model, index, seed)) for seed in seeds]
                done = [
                    row for row in found if row and (row["status"], row["options"]) == (DONE, _text(options))
                ]
                if len(done) == len(seeds):
                    scored.append(float(np.mean([float(row[score]) for row in done for score in SCORES])))
            if tried and len(scored) == len(tried):
                chosen[dataset, model] = tried[int(np.argmax(scored))]
        return chosen

    def put(self, result: Result) -> None:
        """Write a try's scores, or the reason why there are none.

        Raises:
            InputError: if the file cannot be written, or as ``rows`` does.
        """
        run, record = result.run, result.record
        row: Row = {
            **dict.fromkeys(COLUMNS, ""),
            "dataset": run.dataset,
            "model": run.model,
            "setting": str(run.setting),
            "seed": str(run.seed),
            "options": _text(run.tuned),
            "part": run.part,
            "config_sha256": run.config_sha256,
            "status": FAILED if record is None else DONE,
            "reason": result.reason,
        }
        if record is not None:
            split = record["split"]
            row |= {score: f"{record[score]:.6f}" for score in SCORES}
            row |= {"pixels": str(record["pixels"]), "split": split["name"], "commit": record["commit"] or ""}
            row |= {name: str(split[name]) for name in ("test_sha256", "leaked_pixels")}
            row |= {"split_sha256": split["sha256"], "train_seconds": f"{record['timing_s']['train']:.1f}"}
        change_rows(self.path, COLUMNS, self.rows, {_key(row): row})


def _key(row: Row) -> tuple[str, str, int, int]:
    return row["dataset"], row["model"], int(row["setting"]), int(row["seed"])


def _text(options: Setting) -> str:
    return " ".join(options)


def settings(plan: Plan, dataset: str, model: str) -> list[Setting]:
    """Return a model's settings on a dataset, each as options ``KEY=VALUE``; the first has none.

    The model's search space consists of the parts that the plan names. Each part's dimensions are drawn
    independently of the model, so that models that share a part try the same values of it. The choices of a
    dimension appear equally often (a Latin hypercube; McKay et al., Technometrics 21:239, 1979).

    Raises:
        InputError: if the space has fewer different settings than the plan asks for.
    """
    parts, wanted = plan.tuning["spaces"][model], plan.tuning["settings"]
    named = plan.raw(model, dataset).get("pretreatments") or {}
    pretreatment = {"pretreatment": {"steps": [f"pretreatment={name}" for name in named]}}
    dimensions = [
        (f"{part}.{name}", choices)
        for part in parts
        for known in (pretreatment, plan.tuning["parts"], plan.datasets[dataset].get("search", {}))
        for name, choices in known.get(part, {}).items()
        if choices
    ]
    if not dimensions:
        return [()]  # nothing to choose
    for draw in range(MOST_DRAWS):
        columns = [_column(name, choices, wanted - 1, draw) for name, choices in dimensions]
        found = [(), *(tuple(" ".join(row).split()) for row in zip(*columns, strict=True))]
        if len(set(found)) == wanted:
            return found
    raise InputError(f"{plan.path}: the search space of '{model}' on '{dataset}' has not {wanted} settings")


def _column(name: str, choices: Sequence[str], count: int, draw: int) -> list[str]:
    """Draw ``count`` choices, each equally often, in an order that follows from the dimension's name."""
    generator = np.random.default_rng([zlib.crc32(name.encode()), draw])
    first = generator.permutation(len(choices))
    return [choices[first[place % len(choices)]] for place in generator.permutation(count)]


def tuning_runs(plan: Plan, runs: Sequence[Run]) -> list[Run]:
    """List the tries for the models among ``runs``, scored on validation pixels.

    Raises:
        InputError: if a dataset's split has no validation pixels and the plan has no ``val`` for it, or the
            plan no ``tuning``.
    """
    if not plan.tuning:
        raise InputError(f"{plan.path}: --tune needs tuning=dict(group=, settings=, seeds=, parts=, spaces=)")
    listed = []
    for dataset, model in dict.fromkeys(
        (r.dataset, r.model) for r in runs if r.group == plan.tuning["group"]
    ):
        about = plan.datasets[dataset]
        if "settings_of" in about or about.get("untuned"):
            continue
        run = next(r for r in runs if (r.group, r.dataset, r.model) == (plan.tuning["group"], dataset, model))
        val = [f"split.val.{key}={value}" for key, value in about.get("val", {}).items()]
        for index, options in enumerate(
            settings(plan, dataset, model) if model in plan.tuning["spaces"] else ()
        ):
            for seed in plan.tuning["seeds"]:
                own_val = [*val, f"split.val.seed={seed}"] if val else []
                listed.append(
                    replace(
                        run,
                        group=GROUP,
                        seed=seed,
                        options=(*run.options, *own_val, "test_dataloader.dataset.part=val"),
                        part="val",
                        tuned=options,
                        setting=index,
                    )
                )
    return listed


def tune(table: TuningTable, runs: Sequence[Run], processes: Processes) -> list[Result]:
    """Run the tries that the table lacks, write each result at once, and return the failures.

    Raises:
        InputError: as ``board.prepare`` does, or if the table cannot be read or written.
    """
    possible, without = prepare(runs)
    rows = table.rows()

    left = [
        (run, sha256)
        for run, sha256 in possible
        if not is_done(rows.get((run.dataset, run.model, run.setting or 0, run.seed)), run, sha256)
    ]
    failed = []
    with RunProgress(len(left), len(possible) - len(left), without) as progress:
        for result in processes.results(left, progress.started, lambda run: False):
            progress.ended(result)
            if not result.busy:
                table.put(result)
            if result.reason:
                failed.append(result)
    return failed
