"""Weights know classes by number alone: names in another order would relabel what a model has learnt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.runner import Runner

from m3amba_zoo.engine.any_runner import built_loops
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.record import METRICS_FILE, read_record
from m3amba_zoo.system import sha256_of

CLASSES = "classes"  # of the entry ``data`` in a checkpoint's meta


def check_classes(
    runner: Runner, meta: Mapping[str, Any], path: str | Path, remedy: str, renamed: Mapping[str, str] = {}
) -> None:
    """Compare the classes that weights were trained with with those of a Runner's data.

    Nothing is compared where one side is not known.

    Args:
        runner: with its loops built.
        meta: of the checkpoint.
        path: of the checkpoint.
        remedy: what to do if only a name was changed, for the message.
        renamed: new names by the old ones.

    Raises:
        InputError: if they have other names, or another order; the message has both lists.
    """
    trained = _trained(meta, Path(path))
    if unknown := [name for name in renamed if name not in trained]:
        raise InputError(
            f"--renamed: no class is named '{unknown[0]}'; it was trained with {', '.join(trained)}"
        )
    before = [renamed.get(name, name) for name in trained]
    for loop in built_loops(runner).values():
        data: Any = (getattr(loop.dataloader.dataset, "metainfo", None) or {}).get("data")
        now = [entry.name for entry in getattr(data, "classes", ())]
        if before and now and before != now:
            expected = "their order" if sorted(before) == sorted(now) else "these names, in this order"
            raise InputError(
                f"{path}: was trained with the classes {', '.join(trained)}, but {data.name} has "
                f"{', '.join(now)}; expected {expected}, because a model knows classes by their number"
                f"{'' if sorted(before) == sorted(now) else remedy}"
            )


def _trained(meta: Mapping[str, Any], path: Path) -> list[str]:
    """Return the names of a checkpoint's classes: those of its results, which may be newer, or its own."""
    results = path.parent / METRICS_FILE
    record = read_record(results) if results.is_file() else {}
    if "per_class" in record and (record.get("weights") or {}).get("sha256") == sha256_of(path):
        return [entry["name"] for entry in record["per_class"]]
    return list(meta.get("data", {}).get(CLASSES, ()))
