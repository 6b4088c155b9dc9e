"""The keys of a config: which decide the result (and their hash), changes by option and seed, differences."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from mmengine.config import Config, DictAction

from m3amba_zoo.errors import InputError, close_names, one_line

INIT_FROM, FREEZE = "init_from", "freeze"  # the weights that training starts from; the frozen parameters
IMPORTS_FROM = "imports_from"  # the folders in which a training found modules of the user
REPORT = "report"  # whether a run writes report.html
# keys that can change the weights or the scores
DECISIVE = (
    "model",
    "classifier",
    "train_dataloader",
    "val_dataloader",
    "test_dataloader",
    "train_cfg",
    "val_cfg",
    "test_cfg",
    "val_evaluator",
    "test_evaluator",
    "optim_wrapper",
    "param_scheduler",
    "default_hooks",
    "custom_hooks",
    "custom_imports",
    "randomness",
    "auto_scale_lr",
    "sync_bn",
    "load_from",
    INIT_FROM,
    FREEZE,
)
# keys for the place of files, the start of the run and what is shown
OTHERS = (
    "compile",
    "default_scope",
    "env_cfg",
    "experiment_name",
    "find_unused_parameters",
    IMPORTS_FROM,
    "launcher",
    "log_level",
    "log_processor",
    "model_wrapper_cfg",
    REPORT,
    "resume",
    "runner_type",
    "scan_backend",
    "visualizer",
    "work_dir",
)
MISSPELT = 0.88  # difflib's similarity: of a letter or two, but not of train_loader to train_dataloader
OF_EVERY_SPLIT = ("val", "random")  # options of a split, whatever makes it
DISPLAY_HOOKS = ("logger", "progress", "report")
CLASSICAL = ("classifier", "test_dataloader", "custom_imports", "randomness")
CLASSIFIER_DATA = ("source", "split", "modalities", "part")
LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
# keys that a config states once, and the places that completion.py copies them to
STATED_ONCE: dict[str, tuple[str, ...]] = {
    "source": ("model.in_channels", "model.num_classes", *(f"{name}.dataset.source" for name in LOADERS)),
    "split": tuple(f"{name}.dataset.split" for name in LOADERS),
    "modalities": (
        "model.in_channels",
        "model.modalities",
        *(f"{name}.dataset.modalities" for name in LOADERS),
    ),
    "window": ("model.window", *(f"{name}.dataset.window" for name in LOADERS)),
    "tile": tuple(f"{name}.dataset.window" for name in LOADERS[1:]),
    "pretreatment": ("model.data_preprocessor.pretreatment", "classifier.pretreatment"),
    "model.patch": ("train_dataloader.dataset.window", *(f"{name}.dataset.margin" for name in LOADERS[1:])),
}


def apply_options(config: Config, options: Sequence[str]) -> None:
    """Apply ``KEY=VALUE`` changes to a config.

    Copies of a key in ``STATED_ONCE`` are removed before it is changed, so that ``complete`` makes new ones.

    Raises:
        InputError: if an option is not ``KEY=VALUE``, does not fit the config, or names a variable of the
            file that has no effect once the file has been read.
    """
    written_for = list((config.get("model") or {}).get("in_channels") or ())
    for option in options:
        _forget_copies(config, _key(option))
    _change_maker(config, options)
    for option in options:
        _require_known(config, _key(option))
        parser = ArgumentParser()
        parser.add_argument("--cfg-options", nargs="+", action=DictAction)
        try:
            config.merge_from_dict(parser.parse_args(["--cfg-options", option]).cfg_options)
        except Exception as error:
            reason = one_line(error)
            raise InputError(f"--cfg-options: '{option}' does not fit {config.filename}: {reason}") from error
    wanted = config.get("modalities") or []
    added = set([wanted] if isinstance(wanted, str) else wanted) - set(written_for)
    if written_for and added:
        raise InputError(  # a written config has no pretreatment of modalities that it did not read
            f"--cfg-options: {config.filename} was written for {', '.join(written_for)}; "
            f"'{min(added)}' needs the config that it was made from"
        )


def refuse_misspelt(config: Config) -> None:
    """Refuse entries of a config that nothing reads and whose names are close to those of a Runner's.

    A variable of one's own is no entry: other entries of the files use it.

    Raises:
        InputError: if there is one; the message has the close names.
    """
    runners = (*DECISIVE, *OTHERS)
    for key in config.keys() - _known_entries():
        close = get_close_matches(key, runners, n=1, cutoff=MISSPELT)
        if close and len(re.findall(rf"\b{re.escape(key)}\b", config.text)) < 2:
            raise InputError(f"{config.filename}: nothing reads '{key}'; did you mean '{close[0]}'?")


def require_read(config: Config, options: Sequence[str], read: set[str]) -> None:
    """Refuse options that nothing of a config reads.

    Args:
        config: completed.
        options: as ``apply_options`` took them.
        read: what ``complete`` returned.

    Raises:
        InputError: if an option has no effect; the message names it.
    """
    classical = config.get("classifier") is not None
    for key in map(_key, options):
        top = key.partition(".")[0]
        unread = top in STATED_ONCE and top not in read
        if unread or (classical and top in DECISIVE and top not in CLASSICAL):
            raise InputError(f"--cfg-options: nothing in {config.filename} reads '{key}'; leave it out")


def set_seed(config: Config, seed: int, splits: bool = True) -> None:
    """Set the run's seed and, if ``splits`` is true, that of each split's ``val`` and ``random``.

    The seed of a split's maker stays: it belongs to the dataset, whose test part is the same for all seeds.
    """
    config.randomness = {**config.get("randomness", {}), "seed": seed}
    if not splits:
        return
    for node in dicts_in(config._cfg_dict):
        split = node.get("split")
        for key in ("val", "random"):
            if isinstance(split, Mapping) and isinstance(split.get(key), dict):
                split[key]["seed"] = seed


def decisive(config: Config) -> dict[str, Any]:
    """Return the keys that decide a run's result, without work dir, log and display, as plain containers.

    A classical classifier is decided by its own settings, its data and the seed, because it reads no windows.
    The model's ``modalities`` are left out, because they repeat those of the data.

    Args:
        config: completed, as ``read_config`` returns it.
    """
    plain = config._cfg_dict.to_dict()
    if plain.get("classifier"):
        dataset = (plain.get("test_dataloader") or {}).get("dataset") or {}
        plain = {key: plain.get(key) for key in CLASSICAL if key != "test_dataloader"}
        plain["classifier"] = {key: value for key, value in plain["classifier"].items() if value != {}}
        plain["test_dataloader"] = {key: dataset[key] for key in CLASSIFIER_DATA if key in dataset}
    elif isinstance(plain.get("model"), dict):
        plain["model"] = {key: value for key, value in plain["model"].items() if key != "modalities"}
    if plain.get("resume"):
        plain["load_from"] = None  # the run that is resumed, which has the same config
    if isinstance(plain.get(INIT_FROM), str):
        plain[INIT_FROM] = {"weights": plain[INIT_FROM]}  # as training writes it
    hooks = plain.get("default_hooks") or {}
    plain["default_hooks"] = {name: hook for name, hook in hooks.items() if name not in DISPLAY_HOOKS}
    return {key: plain[key] for key in DECISIVE if plain.get(key) not in (None, {}, [])}


def config_sha256(config: Config, extended: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return the sha256 of the keys that decide a run's result.

    Args:
        config: completed, as ``read_config`` returns it.
        extended: what ``--extend`` changed; such a run is none of the config alone, and has another hash.
    """
    content = decisive(config)
    if extended:
        content["extended"] = list(extended)
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=repr).encode()).hexdigest()


def flat(node: Any, place: str = "") -> dict[str, Any]:
    """Return the leaves of nested dicts and lists by their place, such as ``optim_wrapper.optimizer.lr``."""
    entries: Any = enumerate(node) if isinstance(node, (list, tuple)) else ()
    entries = node.items() if isinstance(node, Mapping) else entries
    if not node or not isinstance(node, (Mapping, list, tuple)):
        return {place: node}
    below = (flat(entry, f"{place}.{key}" if place else str(key)) for key, entry in entries)
    return {name: leaf for leaves in below for name, leaf in leaves.items()}


def find(config: Config | Mapping[str, Any], place: str) -> tuple[Any, str]:
    """Return the mapping that holds a place such as ``model.window``, or None, and the place's last key."""
    *path, key = place.split(".")
    node: Any = getattr(config, "_cfg_dict", config)
    for part in path:
        node = node.get(part) if isinstance(node, Mapping) else None
    return (node if isinstance(node, Mapping) else None), key


def dicts_in(node: Any) -> Iterator[dict]:
    """Yield every dict of a config, from the outside in."""
    if isinstance(node, dict):
        yield node
    children = node.values() if isinstance(node, Mapping) else node if isinstance(node, (list, tuple)) else ()
    for child in children:
        yield from dicts_in(child)


def _known_entries() -> set[str]:
    return {*DECISIVE, *OTHERS, *(key for key in STATED_ONCE if "." not in key)}


def _key(option: str) -> str:
    key, equals, _ = option.partition("=")
    if not equals or not key:
        raise InputError(f"--cfg-options: '{option}', expected KEY=VALUE")
    return key


def _forget_copies(config: Config, key: str) -> None:
    stated = key if key in STATED_ONCE else key.partition(".")[0]
    if stated not in config and key not in STATED_ONCE:
        return
    for place in STATED_ONCE.get(stated, ()):
        node, name = find(config, place)
        if node is not None:
            node.pop(name, None)


def _change_maker(config: Config, options: Sequence[str]) -> None:
    """Prepare a config for options on its split: another maker has none of the options of the one before.

    Raises:
        InputError: if the split is replaced by a text; the message has the options that name it.
    """
    for option in options:
        key, _, value = option.partition("=")
        if key == "split" or (key == "split.type" and value.endswith(".npz")):
            right = f"split.type=file split.path={value}" if value.endswith(".npz") else f"split.type={value}"
            raise InputError(f"--cfg-options: '{option}', expected {right}")
        split = config.get("split")
        if key == "split.type" and isinstance(split, Mapping) and split.get("type") != value:
            config.split = {part: split[part] for part in OF_EVERY_SPLIT if part in split}


def _require_known(config: Config, key: str) -> None:
    top = key.partition(".")[0]
    known = _known_entries()
    if top in known:
        return
    if top in config:
        raise InputError(
            f"--cfg-options: '{top}' is a variable of {config.filename}, which has no effect once the file "
            "has been read; change the entries that use it, such as model.NAME=VALUE"
        )
    hint = close_names(top, known) or f"expected an entry of the config, such as {', '.join(DECISIVE[:4])}"
    raise InputError(f"--cfg-options: {config.filename} has no '{top}'; {hint}")


def seedless_sha256(config: Config) -> str:
    """Return the hash of a config without its seeds: equal for the runs of one config over several seeds."""
    return config_sha256(_seedless(config))


def first_difference(config: Config, other: Config) -> str:
    """Return where two configs differ beside their seeds, as text: the place, and the value of each."""
    first, second = (_leaves(each) for each in (config, other))
    for place in [*first, *second]:
        if first.get(place) != second.get(place):
            return f"{place} is {second.get(place)!r} and {first.get(place)!r}"
    return "their seeds are set in different places"


def _seedless(config: Config) -> Config:
    config = copy.deepcopy(config)
    set_seed(config, 0)
    return config


def _leaves(config: Config) -> dict[str, object]:
    config = _seedless(config)
    config.pop("work_dir", None)
    return flat(config._cfg_dict.to_dict())
