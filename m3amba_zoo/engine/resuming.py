"""Going on from a checkpoint: with the same config as before, or extended by name and recorded as such.

Weights know classes by number alone: names in another order would relabel what a model has learnt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import IterBasedTrainLoop, Runner

from m3amba_zoo.config import config_sha256, read_config
from m3amba_zoo.config.options import LOADERS, decisive, flat
from m3amba_zoo.engine.any_runner import built_loops, metainfo_of
from m3amba_zoo.engine.training import without_long_warm_up
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.record import METRICS_FILE, read_record
from m3amba_zoo.models.weights import LAST_CHECKPOINT, named_checkpoint
from m3amba_zoo.system import sha256_of

DECIDED_BY = "decided_by"  # the entry of a checkpoint's meta
EXTENDED = "extended"  # the message hub's list of what was changed at which epoch
SHOWN = 6
RENAME_LATER = (
    "; once it is trained, 'm3amba test CONFIG CHECKPOINT --renamed OLD=NEW' gives a class a new name"
)
# of what decides a result, the part that comes after training
OF_THE_TEST = ("test_dataloader", "test_cfg", "test_evaluator")
# how a machine reads the windows, not which
OF_THE_MACHINE = ("num_workers", "pin_memory", "persistent_workers", "prefetch_factor")
# which checkpoints are kept decides nothing; `save_best` and `rule` do
OF_FILES = ("interval", "max_keep_ckpts", "save_last", "save_begin", "out_dir", "filename_tmpl")
CLASSES = "classes"  # of the entry ``data`` in a checkpoint's meta


def decided_by(runner: Runner) -> dict[str, Any]:
    """Return what decides a training's weights, as its checkpoints keep it.

    ``config_sha256`` is the one that its results name, ``processes`` their number, ``config`` the part of the
    config that decides the weights, as JSON; ``encoders``, where there are any, the fingerprints of those
    whose features are modalities.
    """
    decided = _decided_by(runner.cfg, runner.world_size, runner.message_hub.get_info(EXTENDED, []))
    return {**decided, **({"encoders": encoders} if (encoders := _encoders(runner)) else {})}


def _encoders(runner: Runner) -> dict[str, str]:
    """Return the fingerprints of the encoders whose features the run reads, by modality."""
    return {
        modality: of.fingerprint
        for info in map(metainfo_of, built_loops(runner).values())
        if "data" in info
        for modality, of in getattr(info["data"], "encoded", {}).items()
        if modality in info.get("modalities", ())
    }


def resumed_file(runner: Runner) -> Path:
    """Return the checkpoint that a Runner resumes: the one it was given, else the last of its work dir."""
    return Path(runner._load_from or named_checkpoint(Path(runner.work_dir) / LAST_CHECKPOINT))


def go_on(runner: Runner, checkpoint: dict[str, Any], extend: bool) -> None:
    """Check that a checkpoint may be resumed; where it is to be extended, lay the schedule anew.

    Args:
        runner: resumes the checkpoint.
        checkpoint: as it was read; its schedule, the optimiser's settings and the record of what was changed
            are replaced if it is extended.
        extend: whether a changed config is meant.

    Raises:
        InputError: if what decides the weights differs, or nothing says what it was, and it is not to be
            extended; if no epoch is left to extend it by; or if the classes are others or in another order.
    """
    path, meta = resumed_file(runner), checkpoint["meta"]
    check_classes(runner, meta, path, RENAME_LATER)
    before = _said(meta, path) or _written_beside(path, runner.world_size)
    changed = _changed(before, decided_by(runner)) if before else None
    if changed == {}:
        if extend:
            runner.logger.warning(f"{path} is not extended: the config is the one that it was trained with")
        return
    what = "does not say what it was trained with (an earlier version wrote it)"
    if changed is not None:
        what = _told(changed)
    if not extend:
        raise InputError(
            f"{path}: {what}; --resume goes on with the same config only, --resume --extend lays the "
            "schedule anew over the epochs that are left and records it, another --work-dir trains afresh"
        )
    runner.logger.warning(f"{path} is extended: it {what}; the schedule starts anew")
    _lay_anew(runner, checkpoint, changed or {})
    noted = {
        "epoch": meta["epoch"],
        "config_sha256": (before or {}).get("config_sha256"),
        "changed": {place: list(values) for place, values in (changed or {}).items()},
    }
    hub = checkpoint["message_hub"]
    hub["runtime_info"][EXTENDED] = [*hub["runtime_info"].get(EXTENDED, []), noted]
    hub["resumed_keys"][EXTENDED] = True


def check_tested(runner: Runner, meta: Mapping[str, Any], path: str | Path) -> None:
    """Compare what decided a checkpoint's weights with the config of a test; the test's settings may differ.

    A checkpoint that does not say what decided it is accepted.

    Args:
        runner: tests the checkpoint, on any number of processes.
        meta: of the checkpoint.
        path: of the checkpoint.

    Raises:
        InputError: if the config is not the one of the training, so that its hash would be a wrong one.
    """
    before = _said(meta, path)
    if before is None:
        return
    changed = _changed({**before, "processes": runner.world_size}, decided_by(runner))
    changed.pop("val_dataloader.dataset.window", None)  # `tile` sets it together with the test's
    if changed:
        raise InputError(
            f"{path}: {_told(changed)}; test it with the config of its training, which its work dir holds"
        )


def _said(meta: Mapping[str, Any], path: str | Path) -> dict[str, Any] | None:
    """Return what a checkpoint says that decided it; None if it says nothing.

    Raises:
        InputError: if it says so in another way than a training.
    """
    before = meta.get(DECIDED_BY)
    if not before:
        return None
    config = None
    with suppress(ValueError, RecursionError):
        config = json.loads(before.get("config", ""))
    if not isinstance(config, dict) or "processes" not in before:
        raise InputError(f"{path}: 'meta.{DECIDED_BY}' does not hold the config that decided the weights")
    return dict(before)


def _told(changed: Mapping[str, tuple[Any, Any]]) -> str:
    places = [f"{place} was {old!r} and is {new!r}" for place, (old, new) in changed.items()]
    more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    return f"was trained with another config: {', '.join(places[:SHOWN])}{more}"


def _of_training(config: Config) -> dict[str, Any]:
    """Return what decides a training's weights, without the seed, which a checkpoint brings itself."""
    kept = {key: value for key, value in decisive(config).items() if key not in OF_THE_TEST}
    hooks = dict(kept.get("default_hooks") or {})
    hooks["checkpoint"] = {k: v for k, v in (hooks.get("checkpoint") or {}).items() if k not in OF_FILES}
    kept["default_hooks"] = hooks
    kept["randomness"] = {k: v for k, v in (kept.get("randomness") or {}).items() if k != "seed"}
    return kept


def _written_beside(path: Path, processes: int) -> dict[str, Any] | None:
    """Return what decided a training from the config in its work dir, for checkpoints of earlier versions.

    A config that is newer than the checkpoint is not believed: another run, interrupted, may have left it.
    """
    configs = [file for file in sorted(path.parent.glob("*.py")) if not file.name.startswith(".")]
    if len(configs) != 1 or configs[0].stat().st_mtime_ns > path.stat().st_mtime_ns:
        return None
    return _decided_by(read_config(configs[0]), processes)


def _decided_by(config: Config, processes: int, extended: Sequence[Any] = ()) -> dict[str, Any]:
    return {
        "config_sha256": config_sha256(config, extended),
        "processes": processes,
        "config": json.dumps(_of_training(config), default=repr),
    }


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the old and the new value of each place of the config that differs, None where it is absent."""
    old, new = (
        flat(
            {
                **json.loads(one["config"]),
                "processes": one["processes"],
                "fingerprint of the encoder": one.get("encoders", {}),
            }
        )
        for one in (before, now)
    )
    places = [place for place in {**old, **new} if old.get(place) != new.get(place)]
    places = [place for place in places if not _is_of_the_machine(place)]
    return {place: (old.get(place), new.get(place)) for place in places}


def _is_of_the_machine(place: str) -> bool:
    loader, _, key = place.partition(".")
    return loader in LOADERS and key in OF_THE_MACHINE


def _lay_anew(runner: Runner, checkpoint: dict[str, Any], changed: Mapping[str, Any]) -> None:
    """Build the schedule for what is left of the training, and give the optimiser the config's settings.

    The optimiser keeps its state (AdamW's moments) where it is of the same kind and has the same groups.
    """
    loop, done = runner.train_loop, checkpoint["meta"]
    whole = loop._max_epochs, loop._max_iters
    if isinstance(loop, IterBasedTrainLoop):
        left = 1, loop.max_iters - done["iter"]
    else:
        epochs = loop.max_epochs - done["epoch"]
        left = epochs, epochs * len(loop.dataloader)
    if min(left) <= 0:
        raise InputError(
            f"--extend: {resumed_file(runner)} has {done['epoch']} epochs and {done['iter']} iterations, and "
            "train_cfg asks for no more; raise train_cfg.max_epochs"
        )
    runner.optim_wrapper = wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    several = isinstance(wrapper, OptimWrapperDict)
    wrappers = dict(wrapper.items()) if several else {"": wrapper}
    for one in wrappers.values():
        for group in one.param_groups:  # the schedule over the whole training has changed them already
            first = {key: value for key, value in group.items() if key.startswith("initial_")}
            group.update((key.removeprefix("initial_"), value) for key, value in first.items())
    if runner.cfg.get("param_scheduler") is not None:
        loop._max_epochs, loop._max_iters = left  # where a part of the schedule ends that does not say it
        try:
            schedule = runner.cfg.param_scheduler
            if not isinstance(loop, IterBasedTrainLoop):
                schedule = without_long_warm_up(schedule, left[0])
            runner.param_schedulers = runner.build_param_scheduler(schedule)
        finally:
            loop._max_epochs, loop._max_iters = whole
    checkpoint.pop("param_schedulers", None)
    saved = checkpoint["optimizer"] if several else {"": checkpoint["optimizer"]}
    other_kind = any(place.endswith("optimizer.type") for place in changed)
    if other_kind or any(not _keep_state(one, saved.get(name)) for name, one in wrappers.items()):
        checkpoint.pop("optimizer")
        runner.logger.warning("the optimiser is another one than before: it starts without its state")


def _keep_state(wrapper: OptimWrapper, saved: dict[str, Any] | None) -> bool:
    """Put an optimiser's settings into its saved state; return False if they have other groups."""
    groups = wrapper.optimizer.param_groups
    if not saved or [len(g["params"]) for g in groups] != [len(g["params"]) for g in saved["param_groups"]]:
        return False
    saved["param_groups"] = [
        {**group, "params": old["params"]} for group, old in zip(groups, saved["param_groups"], strict=True)
    ]
    saved.pop("base_param_settings", None)
    if not saved.get("loss_scaler"):  # bfloat16 scales nothing, and float16's scaler refuses an empty state
        saved.pop("loss_scaler", None)
    return True


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
        data: Any = metainfo_of(loop).get("data")
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
