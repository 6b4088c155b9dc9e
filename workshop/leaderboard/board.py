"""From a plan to a table: which runs are left, those without data, and the results of the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatch

from m3amba_zoo.errors import InputError, close_names
from workshop.leaderboard.data_facts import NoDataError, facts_of
from workshop.leaderboard.plan import Plan, Run
from workshop.leaderboard.processes import Processes, Result
from workshop.leaderboard.progress import RunProgress
from workshop.leaderboard.table import DONE, FAILED, NO_DATA, Key, Row, Table


def select(plan: Plan, runs: Sequence[Run], only: Sequence[str], seeds: Sequence[int] | None) -> list[Run]:
    """Keep the runs whose group, model or dataset matches a pattern, with one of the seeds.

    Args:
        plan: whose seeds may be asked for.
        runs: of the plan.
        only: patterns such as ``lda*``, ``idtrees`` or ``main``; a run matches ``A|B`` by A or by B; with
            several patterns it must match each. Empty keeps all.
        seeds: those to keep; None keeps all.

    Raises:
        InputError: a pattern that no run matches, a seed that the plan does not have.
    """
    if foreign := set(seeds or ()) - set(plan.seeds):
        raise InputError(f"--seeds {min(foreign)}: the plan {plan.path} has the seeds {plan.seeds}")
    for pattern in only:
        matching = [run for run in runs if _matches(run, pattern)]
        if not matching:
            known = {name for run in runs for name in (run.group, run.dataset, run.model)}
            hint = close_names(pattern, known) or f"known: {', '.join(sorted(known))}"
            raise InputError(f"--only {pattern}: matches no group, model or dataset of the plan; {hint}")
    return [
        run
        for run in runs
        if all(_matches(run, pattern) for pattern in only) and (seeds is None or run.seed in seeds)
    ]


def _matches(run: Run, pattern: str) -> bool:
    names = (run.group, run.dataset, run.model)
    return any(fnmatch(name, choice) for choice in pattern.split("|") for name in names)


def prepare(runs: Iterable[Run]) -> tuple[list[tuple[Run, str]], list[tuple[Run, str]]]:
    """Divide runs into those that can run, with their split's hash, and those without data, with the reason.

    Raises:
        InputError: a config cannot be read, a split cannot be made, or it leaks more than the plan says.
    """
    possible, without = [], []
    for run in runs:
        try:
            possible.append((run, facts_of(run).split_sha256))
        except NoDataError as reason:
            without.append((run, str(reason)))
    return possible, without


def is_done(row: Row | None, run: Run, split_sha256: str) -> bool:
    """Whether a row is the result of this run: the config's and the split's hash are still the same."""
    return (
        row is not None
        and row["status"] == DONE
        and (row["config_sha256"], row["split_sha256"]) == (run.config_sha256, split_sha256)
    )


def fill(table: Table, runs: Sequence[Run], processes: Processes) -> list[Result]:
    """Run what has no result in the table yet, write each result at once, and return the failures.

    A result of a run whose data is not here is left alone: it comes from another machine.

    Raises:
        InputError: as ``prepare``; or the table cannot be read or written.
    """
    possible, without = prepare(runs)
    rows = table.rows()
    for run, reason in without:
        if (rows.get(run.key) or {}).get("status") != DONE:
            table.put_reason([run], NO_DATA, reason)
    left = [(run, sha256) for run, sha256 in possible if not is_done(rows.get(run.key), run, sha256)]
    hashes: dict[Key, str] = {run.key: sha256 for run, sha256 in left}
    failed = []
    with RunProgress(len(left), len(possible) - len(left), len(without)) as progress:
        found = processes.results(
            left,
            progress.started,
            lambda run: is_done(table.rows().get(run.key), run, hashes[run.key]),
        )
        for result in found:
            progress.ended(result)
            if result.record is not None:
                table.put(result.run, result.record)
            elif not result.busy:
                failed.append(result)
                table.put_reason([result.run], FAILED, result.reason)
    return failed
