"""The runs that ``figure``, ``table`` and ``report`` are given: work dirs and published models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m3amba_zoo.config import read_config
from m3amba_zoo.config.options import first_difference, seedless_sha256
from m3amba_zoo.config.reading import read_config_bytes
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.record import METRICS_FILE, check_scores, read_record
from m3amba_zoo.evaluation.run_groups import RunGroup, check_one_part
from m3amba_zoo.evaluation.scores import SCORES
from m3amba_zoo.hub.index import PublishedModel
from m3amba_zoo.hub.resolve import locate
from m3amba_zoo.hub.trained_model import visible_files
from m3amba_zoo.splits import SceneData, load_scene_data

if TYPE_CHECKING:
    from mmengine.config import Config


@dataclass(frozen=True)
class GivenRun:
    """A run or a card.

    Attributes:
        given: as the user named it.
        name: of the model, for people.
        folder: of its files.
        records: the content of ``metrics.json`` by seed; a card has that of each seed.
        seed: of the run, or of a card's weights.
        called: the NAME of ``NAME=RUN``; "" without.
        published: what the index says of a published model.
    """

    given: str
    name: str
    folder: Path
    records: Mapping[int, Mapping[str, Any]]
    seed: int
    called: str = ""
    published: PublishedModel | None = None

    @property
    def record(self) -> Mapping[str, Any]:
        """The record of the run, or of a card's weights."""
        return self.records[self.seed]

    @cached_property
    def config(self) -> Config:
        """The config of the training.

        Raises:
            InputError: if the folder has not one config, or it cannot be read.
        """
        paths = visible_files(self.folder, "*.py")
        if len(paths) != 1:
            raise InputError(f"{self.folder}: holds {len(paths)} configs (*.py), expected the training's")
        if self.published is not None:
            return read_config_bytes(self.published.read(paths[0]), paths[0])
        return read_config(paths[0])

    def load_data(self) -> SceneData:
        """Load the scenes that the run was tested on, and check that its test part is found again.

        Raises:
            DataNotFoundError: if the data is not on this machine.
            InputError: if the config names no data, or the test part is another one.
        """
        dataset = (self.config.get("test_dataloader") or {}).get("dataset") or {}
        if not {"source", "split"} <= dataset.keys():
            raise InputError(f"{self.config.filename}: test_dataloader.dataset has no source and split")
        data = load_scene_data(dataset["source"], dataset["split"])
        split, part = self.record["split"], "test_sha256"
        if part not in split:  # an early version's; the hash of the whole split is known then
            part = "sha256"
        said, found = split.get(part), getattr(data.split, part)
        if found != said:
            raise InputError(
                f"{self.given}: was scored on a split with {part} {str(said)[:8]}, but the data on this "
                f"machine gives {found[:8]}"
            )
        return data


def read_given_runs(given: Sequence[str]) -> list[GivenRun]:
    """Read runs that were scored on one test part.

    Raises:
        InputError: as ``read_given_run`` or ``check_one_part``.
    """
    runs = [read_given_run(text) for text in given]
    records = {run.given: run.record for run in runs}
    for run in runs[: len(runs) if len(runs) > 1 else 0]:
        records |= {f"{run.given} (seed {seed})": record for seed, record in run.records.items()}
    check_one_part(records)
    return runs


def grouped(runs: Sequence[GivenRun]) -> list[RunGroup]:
    """Group runs by name, in the order of their first.

    Raises:
        InputError: if two runs of one name have one seed, or configs that differ in more than the seed.
    """
    groups: dict[str, list[GivenRun]] = {}
    for run in runs:
        groups.setdefault(run.name, []).append(run)
    found = []
    for name, of_name in groups.items():
        first, records = of_name[0], dict(of_name[0].records)
        for run in of_name[1:]:
            if both := records.keys() & run.records.keys():
                raise InputError(
                    f"{first.given} and {run.given} are both '{name}' with seed {min(both)}; expected "
                    "different seeds, or NAME=RUN to tell them apart"
                )
            if seedless_sha256(run.config) != seedless_sha256(first.config):
                raise InputError(
                    f"{run.given} is '{name}' like {first.given}, but has another config "
                    f"({first_difference(first.config, run.config)}); NAME=RUN tells them apart"
                )
            records |= run.records
        found.append(RunGroup(name, dict(sorted(records.items()))))
    return found


def read_given_run(given: str) -> GivenRun:
    """Read a run or a card, given as ``RUN`` or ``NAME=RUN``.

    Raises:
        InputError: if it is not found, its ``metrics.json`` is damaged, lacks scores or contradicts itself.
    """
    name, equals, place = given.partition("=")
    if not equals or Path(given).exists():
        name, place = "", given
    found = locate(place, pretrained=False)
    if not found.folder.is_dir():
        state = "is a file" if found.folder.exists() else "no such folder"
        raise InputError(f"{place}: {state}; expected a work dir with a {METRICS_FILE}, or a published model")
    path = found.folder / METRICS_FILE
    content = None if found.published is None else found.published.read(path)
    if content is None and not path.is_file():
        raise InputError(f"{found.folder}: has no {METRICS_FILE}, which a finished training or test writes")
    record = read_record(path, content)
    by_seed = record.get("runs", {str(record.get("seed", "")): record})
    records = {int(seed): one for seed, one in by_seed.items() if seed.isdecimal()}
    seed = record.get("seed")
    if seed not in records:
        raise InputError(f"{path}: expected 'seed', and a run of this seed")
    for number, one in records.items():
        _check_results(one, f"{path}: run {number}" if "runs" in record else str(path))
    is_card = "runs" in record
    said = found.folder.resolve().name if is_card else records[seed].get("model", {}).get("name")
    shown = name or said or found.folder.name
    return GivenRun(place, shown, found.folder, records, seed, name, found.published)


def _check_results(record: Mapping[str, Any], name: str) -> None:
    """Raise InputError if a record has not the results of a run, or they contradict each other."""
    for key in (*SCORES, "per_class", "split"):
        if key not in record:
            raise InputError(f"{name}: has no '{key}', expected the results of a training or test")
    for number, entry in enumerate(record["per_class"]):
        if "accuracy" not in entry:
            raise InputError(f"{name}: in per_class.{number}, there is no 'accuracy'")
    if {"predicted", "confusion"} <= record.keys():
        check_scores(record, name)
