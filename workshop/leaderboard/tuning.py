"""One procedure chooses every model's setting on validation pixels; ``tuning.csv`` keeps every try.

Each model has the same number of settings and the same seeds. The first setting is the config as it is; the
others are drawn from the model's search space, which the plan declares.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats.contingency import crosstab

from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.scores import SCORES
from m3amba_zoo.reading import library_errors
from workshop.leaderboard.board import is_done, prepare
from workshop.leaderboard.plan import Plan, Run
from workshop.leaderboard.processes import Processes, Result, RunProgress
from workshop.leaderboard.table import DONE, FAILED, WHOLE_NUMBER, Row, change_rows, read_rows

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
DRAWS = 300
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
            for column in ("setting", "seed"):
                if not WHOLE_NUMBER.fullmatch(row[column]):
                    raise InputError(f"{where}: {column} is '{row[column]}', expected a whole number")
            key = _key(row)
            if row["status"] == DONE:
                _check_scores(row, where)
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
        """Return the best setting of each dataset and model of which every try has been run.

        The best setting has the highest mean of OA, AA and kappa on validation pixels over the seeds. Of
        equally good ones the first is chosen. A setting with a try that failed cannot be chosen: a model of
        which every setting failed has none. Tries of another config, split or test part than the plan's now
        do not count.
        """
        rows = self.rows()
        tries: dict[tuple[str, str], dict[int, list[Run]]] = {}
        if rows:
            for run in tuning_runs(plan, plan.runs()):
                tries.setdefault((run.dataset, run.model), {}).setdefault(run.setting or 0, []).append(run)
        chosen = {}
        for place, of_settings in tries.items():
            scored = [[self._score(rows, run) for run in runs] for runs in of_settings.values()]
            means = [np.mean([s for s in scores if s is not None]) for scores in scored if None not in scores]
            if len(means) == len(of_settings) and max(means) > -np.inf:
                best = int(np.argmax(means))
                chosen[place] = of_settings[best][0].tuned
        return chosen

    def _score(self, rows: Mapping[tuple[str, str, int, int], Row], run: Run) -> float | None:
        """Return the mean of a try's OA, AA and kappa: minus infinity if it failed, None if not run."""
        row = rows.get((run.dataset, run.model, run.setting or 0, run.seed))
        if row is None or row["config_sha256"] != run.config_sha256:
            return None
        if row["status"] == FAILED:
            return -np.inf
        if run.test_sha256 and row["test_sha256"] != run.test_sha256:
            return None
        return float(np.mean([float(row[score]) for score in SCORES]))

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
            "options": " ".join(run.tuned),
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


def _check_scores(row: Row, where: str) -> None:
    """Raise InputError unless the scores of a row are numbers from -1 to 1."""
    for score in SCORES:
        with library_errors(where, f"{score} is '{row[score]}', expected a fraction"):
            value = float(row[score])
        if not -1 <= value <= 1:
            raise InputError(f"{where}: {score} is '{row[score]}', expected a fraction")


def _key(row: Row) -> tuple[str, str, int, int]:
    return row["dataset"], row["model"], int(row["setting"]), int(row["seed"])


def settings(plan: Plan, dataset: str, model: str) -> list[Setting]:
    """Return a model's settings on a dataset, each as options ``KEY=VALUE``; the first has none.

    The model's search space consists of parts, each with dimensions. A dimension's choices appear equally
    often, give or take one (a Latin hypercube; McKay et al., Technometrics 21:239, 1979). Of many draws a
    part takes that whose columns have the least to do with each other and with those of the parts before, so
    that the effects of two dimensions can be told apart. A part's columns depend on the parts before it
    alone: models that begin with the same parts try the same values of them.

    Raises:
        InputError: if the space has fewer different settings than the plan asks for.
    """
    wanted = plan.tuning["settings"]
    columns: list[list[str]] = []
    for part in plan.tuning["spaces"][model]:
        own = plan.datasets[dataset].get("search", {}).get(part, {})
        dimensions = {**plan.tuning["parts"].get(part, {}), **own}
        if dimensions:
            columns += min(
                (
                    [
                        _column(choices, wanted - 1, (draw, number))
                        for number, choices in enumerate(dimensions.values())
                    ]
                    for draw in range(DRAWS)
                ),
                key=lambda drawn: _dependence([*columns, *drawn]),
            )
    found = [(), *(tuple(" ".join(row).split()) for row in zip(*columns, strict=True))]
    if len(set(found)) < wanted:
        raise InputError(
            f"{plan.path}: the search space of '{model}' on '{dataset}' has not {wanted} settings"
        )
    return found


def _column(choices: Sequence[str], count: int, seed: tuple[int, int]) -> list[str]:
    """Draw ``count`` choices, each equally often."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(choices))
    return [choices[order[place % len(choices)]] for place in generator.permutation(count)]


def _dependence(columns: Sequence[Sequence[str]]) -> float:
    """Sum up how far each pair of columns is from independent (chi squared of their contingency table)."""
    total = 0.0
    for first, second in itertools.combinations(columns, 2):
        table = crosstab(first, second).count
        expected = np.outer(table.sum(1), table.sum(0)) / len(first)
        total += float(((table - expected) ** 2 / expected).sum())
    return total


def is_tuned(plan: Plan, dataset: str, model: str) -> bool:
    """Return whether the plan has a model's settings on a dataset chosen by tries on that dataset."""
    about = plan.datasets[dataset]
    return model in plan.tuning.get("spaces", {}) and not {"settings_of", "untuned"} & about.keys()


def tuning_runs(plan: Plan, runs: Sequence[Run]) -> list[Run]:
    """List the tries for the models among ``runs``, scored on validation pixels.

    Raises:
        InputError: if a dataset's split has no validation pixels and the plan has no ``val`` for it, or the
            plan no ``tuning``.
    """
    if not plan.tuning:
        raise InputError(f"{plan.path}: --tune needs tuning=dict(group=, settings=, seeds=, parts=, spaces=)")
    first: dict[tuple[str, str], Run] = {}
    for run in runs:
        if run.group == plan.tuning["group"] and is_tuned(plan, run.dataset, run.model):
            first.setdefault((run.dataset, run.model), run)
    return [try_ for run in first.values() for try_ in _tries(plan, run)]


def _tries(plan: Plan, run: Run) -> Iterator[Run]:
    """Yield every setting of a run's model with every seed."""
    val = [f"split.val.{key}={value}" for key, value in plan.datasets[run.dataset].get("val", {}).items()]
    if not val and not (run.read().get("split") or {}).get("val"):
        raise InputError(
            f"{plan.path}: the split of '{run.dataset}' has no validation pixels; "
            "val=dict(fraction=, guard=) is expected in the plan or in the dataset's split"
        )
    for index, options in enumerate(settings(plan, run.dataset, run.model)):
        for seed in plan.tuning["seeds"]:
            own_val = [*val, f"split.val.seed={seed}"] if val else []
            yield replace(
                run,
                group=GROUP,
                seed=seed,
                options=(*run.options, *own_val, "test_dataloader.dataset.part=val"),
                part="val",
                tuned=options,
                setting=index,
            )


def waiting(plan: Plan, runs: Sequence[Run], chosen: Mapping[tuple[str, str], Setting]) -> list[Run]:
    """Return the runs whose model's settings are still to be chosen."""
    return [
        run
        for run in runs
        if is_tuned(plan, dataset := plan.datasets[run.dataset].get("settings_of", run.dataset), run.base)
        and (dataset, run.base) not in chosen
    ]


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
