"""Selects a plan's runs, checks their data and splits, and runs those that have no result yet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from functools import lru_cache
from typing import Any

from mmengine.config import Config

from m3amba_zoo.errors import DataNotFoundError, InputError, close_names
from m3amba_zoo.evaluation.significance import FixedPart, fixed_part
from m3amba_zoo.models.baselines import PixelClassifier
from m3amba_zoo.registry import CLASSIFIERS
from m3amba_zoo.splits import SceneData, leaked_pixels, load_scene_data, shown_by
from workshop.leaderboard.plan import Plan, Run
from workshop.leaderboard.processes import Processes, Result, RunProgress
from workshop.leaderboard.table import DONE, FAILED, NO_DATA, Row, Table

SIMULATED = "simulated"


class NoDataError(Exception):
    """A dataset's files are not on this machine; the message says why in a few words."""


def select(plan: Plan, runs: Sequence[Run], only: Sequence[str], seeds: Sequence[int] | None) -> list[Run]:
    """Keep the runs that match every pattern and have one of the seeds.

    Args:
        plan: the plan of the runs.
        runs: some of the plan's runs.
        only: patterns for the group, dataset or model, such as ``lda*``, ``idtrees`` or ``main``; ``A|B``
            matches what A or B matches. An empty list keeps all runs.
        seeds: the seeds to keep; None keeps all.

    Raises:
        InputError: if no run matches a pattern, or the plan does not have a seed.
    """
    if foreign := set(seeds or ()) - set(plan.seeds):
        raise InputError(f"--seeds {min(foreign)}: the plan {plan.path} has the seeds {plan.seeds}")
    for pattern in only:
        if not any(_matches(run, pattern) for run in runs):
            known = {name for run in runs for name in (run.group, run.dataset, run.model)}
            hint = close_names(pattern, known) or f"known: {', '.join(sorted(known))}"
            raise InputError(f"--only {pattern}: matches no group, dataset or model of the plan; {hint}")
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
        InputError: as ``split_hash`` does.
    """
    possible, without = [], []
    for run in runs:
        try:
            possible.append((run, split_hash(run)))
        except NoDataError as reason:
            without.append((run, str(reason)))
    return possible, without


def is_done(row: Row | None, run: Run, split_sha256: str) -> bool:
    """Return whether a row is a result of this run with the same config and split."""
    return (
        row is not None
        and row["status"] == DONE
        and (row["config_sha256"], row["split_sha256"]) == (run.config_sha256, split_sha256)
    )


def fill(plan: Plan, table: Table, runs: Sequence[Run], processes: Processes) -> list[Result]:
    """Run what has no result in the table yet, write each result at once, and return the failures.

    If a run's data is not on this machine, its result is kept: it was computed on another machine.

    Raises:
        InputError: as ``prepare`` does, or if the table cannot be read or written.
    """
    possible, without = prepare(runs)
    rows = table.rows()
    for run in {run.dataset: run for run, _ in possible if run.test_sha256 is not None}.values():
        table.put_part(run.dataset, part_of(run, plan.datasets[run.dataset].get("block")))
    for run, reason in without:
        if (rows.get(run.key) or {}).get("status") != DONE:
            table.put_reason(run, NO_DATA, reason)
    left = [(run, sha256) for run, sha256 in possible if not is_done(rows.get(run.key), run, sha256)]
    hashes = {run.key: sha256 for run, sha256 in left}
    failed = []
    with RunProgress(len(left), len(possible) - len(left), without) as progress:
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
                table.put_reason(result.run, FAILED, result.reason)
    return failed


def split_hash(run: Run) -> str:
    """Make a run's split, measure its leak with the window that the run trains on, and return its hash.

    Raises:
        NoDataError: if the data is not on this machine, or only a simulated stand-in of it is.
        InputError: if the config cannot be read or has no data, if the split cannot be made or has another
            test part than the plan's, or if it leaks more than the plan allows.
    """
    config = run.read()
    dataset = (config.get("test_dataloader") or {}).get("dataset") or {}
    for key in ("source", "split"):
        if key not in dataset:
            raise InputError(f"{run}: {config.filename} has no test_dataloader.dataset.{key}")
    if config.get("split", dataset["split"]) != dataset["split"]:
        raise InputError(
            f"{run}: 'split' of {config.filename} differs from test_dataloader.dataset.split, so the plan's "
            "options would not reach the data; expected one split"
        )
    source, split = (json.dumps(dataset[key], sort_keys=True) for key in ("source", "split"))
    data = _data(source, split)
    if data.simulated and SIMULATED not in run.dataset:
        raise NoDataError(f"only a simulated stand-in of '{dataset['source']['type']}' is here")
    window = shown_by(data, _window(config, dataset), dataset.get("modalities", ()))
    leaked = _leaked(source, split, window)
    if run.max_leaked_pixels is not None and leaked > run.max_leaked_pixels:
        raise InputError(
            f"{run}: training windows show {leaked} test pixels of split '{data.split.name}', but the plan's "
            f"max_leaked_pixels is {run.max_leaked_pixels}"
        )
    if run.test_sha256 and data.split.test_sha256 != run.test_sha256:
        raise InputError(
            f"{run}: its config makes a test part with the hash {data.split.test_sha256}, but the plan has "
            f"set apart {run.test_sha256}"
        )
    return data.split.sha256


def part_of(run: Run, block: int | None) -> FixedPart:
    """Return the test part of a run's dataset, in the blocks of ``fixed_part``."""
    dataset = run.read().test_dataloader.dataset
    data = _data(*(json.dumps(dataset[key], sort_keys=True) for key in ("source", "split")))
    return fixed_part(data, block)


def _window(config: Config, dataset: Mapping[str, Any]) -> int:
    """Return the side, in pixels, of the square that a run reads around a training pixel."""
    if config.get("classifier"):
        arguments = {"modalities": list(dataset["modalities"])}
        built: PixelClassifier = CLASSIFIERS.build(config.classifier.to_dict(), default_args=arguments)
        return built.window
    training = (config.get("train_dataloader") or {}).get("dataset") or dataset
    return int(training["window"])


@lru_cache(maxsize=256)
def _leaked(source_json: str, split_json: str, window: int) -> int:
    data = _data(source_json, split_json)
    return leaked_pixels(data.split, data.scenes, window)


@lru_cache(maxsize=64)
def _data(source_json: str, split_json: str) -> SceneData:
    """Make a split of a source's scenes, and keep their labels alone."""
    source = json.loads(source_json)
    try:
        data = load_scene_data(source, json.loads(split_json))
    except DataNotFoundError as error:
        raise NoDataError(f"the files of '{source['type']}' are not here") from error
    return replace(data, scenes=tuple(replace(scene, rasters={}) for scene in data.scenes))
