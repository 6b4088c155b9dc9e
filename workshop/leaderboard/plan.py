"""The plan: which configs run on which datasets with which seeds, in groups that are never mixed.

A plan is a config file with ``seeds``, ``datasets``, ``groups``, ``tuning``, ``papers`` and ``goal``;
``configs/leaderboard.py`` is the zoo's, and says what the keys hold.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from mmengine.config import Config

from m3amba_zoo.config import read_config
from m3amba_zoo.config.options import apply_option, config_sha256, set_seed
from m3amba_zoo.errors import InputError

PLACE = "{dataset}"


@dataclass(frozen=True)
class Run:
    """One config with its options and seed.

    Attributes:
        group, dataset, model: where its result belongs; the model is the config's name without the dataset.
        base: the model that it is a variant of (``m3amba`` of ``m3amba_hsi``), else the model itself.
        seed: of the run and its split.
        folder: where the plan's configs are.
        config: the config file, relative to ``folder``.
        options: ``KEY=VALUE`` changes of the config.
        part: of the split that is scored.
        max_leaked_pixels: how many test pixels its training windows may show; None for any number.
        tuned: the setting that was chosen on validation pixels, empty where none was.
        label: names the run among those of its model.
    """

    group: str
    dataset: str
    model: str
    base: str
    seed: int
    folder: Path
    config: str
    options: tuple[str, ...] = ()
    part: str = "test"
    max_leaked_pixels: int | None = 0
    tuned: str = ""
    label: str = ""

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Group, dataset, model and seed: what a row of results is found by."""
        return self.group, self.dataset, self.model, self.seed

    @property
    def place(self) -> Path:
        """Where its files lie, below any root."""
        return Path(self.group, self.dataset, self.model, self.label or f"seed{self.seed}")

    @property
    def all_options(self) -> tuple[str, ...]:
        """The options, the tuned setting among them."""
        return (*self.options, self.tuned) if self.tuned else self.options

    def read(self) -> Config:
        """Return the config as the run sees it.

        Raises:
            InputError: it cannot be read, or an option does not fit.
        """
        config = copy.deepcopy(_read(self.folder / self.config))
        for option in self.all_options:
            apply_option(config, option)
        set_seed(config, self.seed)
        return config

    @cached_property
    def config_sha256(self) -> str:
        """The hash of what decides its result."""
        return config_sha256(self.read())

    def __str__(self) -> str:
        return f"{self.place}".replace("\\", "/")


@lru_cache(maxsize=512)
def _read(path: Path) -> Config:
    return read_config(path)


@dataclass(frozen=True)
class Plan:
    """What a plan file holds; see ``read_plan``."""

    path: Path
    seeds: tuple[int, ...]
    datasets: Mapping[str, Mapping[str, Any]]
    groups: Mapping[str, Mapping[str, Any]]
    tuning: Mapping[str, Any]
    papers: Mapping[str, Mapping[str, Mapping[str, str]]]
    goal: Mapping[str, Any]

    def runs(self, tuned: Mapping[tuple[str, str], str] | None = None) -> list[Run]:
        """List the runs in the plan's order.

        Args:
            tuned: the chosen option by dataset and model; runs of these models and of their variants have it.

        Raises:
            InputError: a group finds no config on any dataset, or two configs of a model.
        """
        runs: list[Run] = []
        for group, entry in self.groups.items():
            before = len(runs)
            for dataset in self.datasets:
                for model, base, config in self._configs(group, dataset):
                    for seed in self.seeds:
                        runs.append(
                            Run(
                                group,
                                dataset,
                                model,
                                base,
                                seed,
                                self.path.parent,
                                config,
                                tuple(entry.get("options", ())),
                                max_leaked_pixels=self._max_leaked(group, dataset),
                                tuned=(tuned or {}).get((dataset, base), ""),
                            )
                        )
            if len(runs) == before and not entry.get("optional"):
                raise InputError(f"{self.path}: group '{group}' finds no config {entry['configs']}")
        return runs

    def _max_leaked(self, group: str, dataset: str) -> int | None:
        entry = self.groups[group]
        if "max_leaked_pixels" in entry:
            return entry["max_leaked_pixels"]
        return self.datasets[dataset].get("max_leaked_pixels", 0)

    def _configs(self, group: str, dataset: str) -> Iterator[tuple[str, str, str]]:
        """Yield model, base and config file of a group on a dataset."""
        found: dict[str, str] = {}
        for pattern in self.groups[group]["configs"]:
            for path in sorted(self.path.parent.glob(pattern.replace(PLACE, dataset))):
                named = [name for name in self.datasets if f"_{name}_" in f"_{path.stem}_"]
                if max(named, key=len) != dataset:  # simulated_houston's configs end with houston, too
                    continue
                base, _, variant = f"{path.stem}_".partition(f"_{dataset}_")
                model = "_".join(filter(None, (base, variant.rstrip("_"))))
                config = path.relative_to(self.path.parent).as_posix()
                if found.setdefault(model, config) != config:
                    raise InputError(
                        f"{self.path}: group '{group}' has two configs of model '{model}' on {dataset}: "
                        f"{found[model]} and {config}"
                    )
                yield model, base, config


def read_plan(path: Path) -> Plan:
    """Read a plan and check it.

    Raises:
        InputError: the file cannot be read, or lacks a key; no seed, or one twice; a group without configs.
    """
    _read.cache_clear()  # configs are read once a plan
    config = read_config(path)
    for key in ("seeds", "datasets", "groups"):
        if not config.get(key):
            raise InputError(f"{path}: the plan has no '{key}'")
    seeds = config.seeds
    wrong = not isinstance(seeds, Sequence) or [s for s in seeds if not isinstance(s, int) or s < 0]
    if wrong or len(set(seeds)) < len(seeds):
        raise InputError(f"{path}: seeds is {seeds!r}; different whole numbers of 0 or more are expected")
    plain = config._cfg_dict.to_dict()
    for name in (*plain["datasets"], *plain["groups"]):
        if not re.fullmatch(r"[\w-]+", name):
            raise InputError(
                f"{path}: '{name}' is no name of a dataset or group, expected letters and digits"
            )
    for group, entry in plain["groups"].items():
        if not entry.get("configs"):
            raise InputError(f"{path}: group '{group}' has no 'configs'")
        without = [pattern for pattern in entry["configs"] if PLACE not in pattern]
        if without:
            raise InputError(f"{path}: group '{group}' has the config '{without[0]}', expected {PLACE} in it")
    if foreign := set(plain.get("goal", {}).get("datasets", ())) - set(plain["datasets"]):
        raise InputError(f"{path}: goal names the dataset '{min(foreign)}', which the plan does not have")
    goal = plain.get("goal", {})
    if goal and (lacking := {"model", "datasets", "margin"} - goal.keys()):
        raise InputError(f"{path}: goal has no '{min(lacking)}'")
    shown = goal.get("shown")
    if goal.get("readme") and not (
        isinstance(shown, dict) and all(isinstance(v, str) for v in shown.values())
    ):
        raise InputError(
            f"{path}: goal has a 'readme' and shown={shown!r}, expected its models, dict(MODEL='name')"
        )
    return Plan(
        path,
        tuple(seeds),
        plain["datasets"],
        plain["groups"],
        plain.get("tuning", {}),
        plain.get("papers", {}),
        plain.get("goal", {}),
    )
