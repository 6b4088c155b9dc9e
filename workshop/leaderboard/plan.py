"""The plan: which models run on which datasets with which seeds, in groups with tables of their own.

A plan is a config file with ``seeds``, ``datasets``, ``models``, ``variants``, ``groups``, ``tuning``,
``papers`` and ``goal``. ``configs/leaderboard.py`` is the zoo's plan and explains the keys.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from mmengine.config import Config

from m3amba_zoo.config import apply_options, complete, config_sha256, read_raw, set_seed
from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import CLASSIFIERS

DEFAULT_PLAN = Path("configs", "leaderboard.py")
PLACE = "{dataset}"
Tuned = Mapping[tuple[str, str], tuple[str, ...]]
"""The options chosen for a dataset and model."""


@dataclass(frozen=True)
class Run:
    """One model on one dataset with one seed.

    Attributes:
        group, dataset, model: name the result, together with the seed; a variant is ``MODEL_VARIANT``.
        base: the model of a variant (``m3amba`` of ``m3amba_hsi``), else the model itself.
        seed: the seed of the training and of the split.
        folder: the folder of the plan's configs.
        config: the config file, relative to ``folder``.
        data: the dataset for a recipe; None for a config with its own dataset.
        options: ``KEY=VALUE`` changes of the config.
        part: the part of the split that is scored.
        max_leaked_pixels: how many test pixels its training windows may show; None for any number.
        test_sha256: the hash of the test part that the plan sets apart for all runs of the dataset; empty if
            the plan does not say, None if each run has its own.
        tuned: the options of the setting that was chosen on validation pixels; empty if none was.
        setting: the number of the try in a tuning; None for other runs.
    """

    group: str
    dataset: str
    model: str
    base: str
    seed: int
    folder: Path
    config: str
    data: str | None = None
    options: tuple[str, ...] = ()
    part: str = "test"
    max_leaked_pixels: int | None = 0
    test_sha256: str | None = ""
    tuned: tuple[str, ...] = ()
    setting: int | None = None

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Group, dataset, model and seed, which identify a row of the table."""
        return self.group, self.dataset, self.model, self.seed

    @property
    def place(self) -> Path:
        """The relative path of its files."""
        try_ = "" if self.setting is None else f"setting{self.setting}-"
        return Path(self.group, self.dataset, self.model, f"{try_}seed{self.seed}")

    @property
    def all_options(self) -> tuple[str, ...]:
        """The tuned setting's options, then the run's own."""
        return (*self.tuned, *self.options)

    @property
    def arguments(self) -> list[str]:
        """The arguments of ``tools/train.py`` that name config, dataset, seed and options."""
        arguments = [str(self.folder / self.config), "--seed", str(self.seed)]
        arguments += ["--data", self.data] if self.data else []
        return [*arguments, *(["--cfg-options", *self.all_options] if self.all_options else [])]

    def read(self) -> Config:
        """Return the config that the run trains with.

        Raises:
            InputError: if the config cannot be read, or an option does not fit.
        """
        config = self._stated()
        set_seed(config, self.seed)
        complete(config)
        return config

    def _stated(self) -> Config:
        """Return the config with the run's options, before its seed and what follows from it."""
        config = copy.deepcopy(_read(self.folder / self.config, self.data))
        apply_options(config, self.all_options)
        return config

    @cached_property
    def repeats_itself(self) -> bool:
        """Whether every seed gives the same result: neither the model nor its split draws anything."""
        config = self._stated()
        if not config.get("classifier") or CLASSIFIERS.get(config.classifier.type).random:
            return False
        split = config.get("split") or config.test_dataloader.dataset.split
        return not {"val", "random"} & split.keys()

    @cached_property
    def config_sha256(self) -> str:
        """The hash of what decides the run's result."""
        return config_sha256(self.read())

    def __str__(self) -> str:
        return f"{self.place}".replace("\\", "/")


@lru_cache(maxsize=512)
def _read(path: Path, data: str | None) -> Config:
    return read_raw(path, data)


@dataclass(frozen=True)
class Plan:
    """The content of a plan file; see ``configs/leaderboard.py``."""

    path: Path
    seeds: tuple[int, ...]
    datasets: Mapping[str, Mapping[str, Any]]
    models: Mapping[str, str]
    variants: Mapping[str, Mapping[str, Any]]
    groups: Mapping[str, Mapping[str, Any]]
    tuning: Mapping[str, Any]
    papers: Mapping[str, Mapping[str, Mapping[str, str]]]
    goal: Mapping[str, Any]

    def runs(self, tuned: Tuned | None = None) -> list[Run]:
        """List the runs in the plan's order.

        Args:
            tuned: the chosen options by dataset and model, for the runs of these models and their variants.

        Raises:
            InputError: if a config is absent.
        """
        return [
            run
            for group in self.groups
            for dataset in self.datasets
            for run in self._runs(group, dataset, tuned or {})
        ]

    def _runs(self, group: str, dataset: str, tuned: Tuned) -> Iterator[Run]:
        entry, about = self.groups[group], self.datasets[dataset]
        if dataset not in entry.get("datasets", self.datasets):
            return
        seeds = [seed for seed in entry.get("seeds", self.seeds) if seed in about.get("seeds", self.seeds)]
        leak = entry.get("max_leaked_pixels", about.get("max_leaked_pixels", 0))
        for model, base, config, options in self._members(entry, dataset):
            path = self.path.parent / config.replace(PLACE, dataset)
            if PLACE in config and not path.is_file():
                continue  # such a model may lack a config for some datasets
            if not path.is_file():
                raise InputError(f"{self.path}: model '{model}' has the config {config}, which is absent")
            first = Run(
                group,
                dataset,
                model,
                base,
                seeds[0],
                self.path.parent,
                config.replace(PLACE, dataset),
                None if PLACE in config else dataset,
                (*entry.get("options", ()), *options),
                max_leaked_pixels=leak,
                test_sha256=None if entry.get("own_test_parts") else about.get("test_sha256", ""),
                tuned=tuned.get((about.get("settings_of", dataset), base), ()),
            )
            yield first
            if not first.repeats_itself:
                yield from (replace(first, seed=seed) for seed in seeds[1:])

    def _members(
        self, group: Mapping[str, Any], dataset: str
    ) -> Iterator[tuple[str, str, str, Sequence[str]]]:
        """Yield name, base, config and options of each model, or of each of the group's variants."""
        if "variants" not in group:
            for model in self.datasets[dataset].get("models", self.models):
                yield model, model, self.models[model], ()
            return
        for name in group["variants"]:
            variant = self.variants[name]
            if dataset in variant["datasets"]:
                for base in variant["models"]:
                    config = variant.get("config", self.models[base])
                    yield f"{base}_{name}", base, config, variant.get("options", ())


def read_plan(path: Path) -> Plan:
    """Read a plan and check it.

    Raises:
        InputError: if the file cannot be read, lacks a key, has no seed or the same seed twice, or names a
            model, dataset or variant that it does not define.
    """
    _read.cache_clear()  # a config may have changed since the last plan was read
    plain = read_raw(path)._cfg_dict.to_dict()
    for key in ("seeds", "datasets", "models", "groups"):
        if not plain.get(key):
            raise InputError(f"{path}: the plan has no '{key}'")
    seeds = plain["seeds"]
    wrong = not isinstance(seeds, Sequence) or [s for s in seeds if not isinstance(s, int) or s < 0]
    if wrong or len(set(seeds)) < len(seeds):
        raise InputError(f"{path}: seeds is {seeds!r}, expected different whole numbers of 0 or more")
    for dataset, about in plain["datasets"].items():
        if foreign := set(about.get("models", ())) - set(plain["models"]):
            raise InputError(
                f"{path}: dataset '{dataset}' names the model '{min(foreign)}', which the plan does not have"
            )
    for name in (*plain["datasets"], *plain["groups"], *plain["models"]):
        if not re.fullmatch(r"[\w-]+", name):
            raise InputError(
                f"{path}: a dataset, group or model is called '{name}', expected letters, digits, _, -"
            )
    variants = plain.get("variants", {})
    for name, variant in variants.items():
        for part in ("models", "datasets"):
            if foreign := set(variant.get(part) or [None]) - set(plain[part]):
                raise InputError(
                    f"{path}: variant '{name}' has {part}={foreign}, expected some of the plan's"
                )
    for group, entry in plain["groups"].items():
        if foreign := set(entry.get("variants", ())) - set(variants):
            raise InputError(
                f"{path}: group '{group}' names the variant '{min(foreign)}', which the plan does not have"
            )
    _check_goal(path, plain)
    return Plan(
        path,
        tuple(seeds),
        plain["datasets"],
        plain["models"],
        variants,
        plain["groups"],
        plain.get("tuning", {}),
        plain.get("papers", {}),
        plain.get("goal", {}),
    )


def _check_goal(path: Path, plain: Mapping[str, Any]) -> None:
    goal = plain.get("goal", {})
    if foreign := set(goal.get("datasets", ())) - set(plain["datasets"]):
        raise InputError(f"{path}: goal names the dataset '{min(foreign)}', which the plan does not have")
    if goal and (lacking := {"model", "datasets", "margin"} - goal.keys()):
        raise InputError(f"{path}: goal has no '{min(lacking)}'")
    shown = goal.get("shown")
    if goal.get("readme") and not (
        isinstance(shown, dict) and all(isinstance(v, str) for v in shown.values())
    ):
        raise InputError(
            f"{path}: goal has a 'readme' and shown={shown!r}, expected its models, dict(MODEL='name')"
        )
