"""Changes to a config that was read: options ``KEY=VALUE`` and seeds."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config, DictAction

from m3amba_zoo.errors import InputError, close_names, one_line

INIT_FROM, FREEZE = "init_from", "freeze"  # keys of a config: whose weights training starts from, what stays
# what can change the weights or the scores
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
    INIT_FROM,
    FREEZE,
)
# what says where files go, how the run is started and what is shown
OTHERS = (
    "auto_scale_lr",
    "compile",
    "default_scope",
    "env_cfg",
    "experiment_name",
    "find_unused_parameters",
    "launcher",
    "load_from",
    "log_level",
    "log_processor",
    "model_wrapper_cfg",
    "resume",
    "runner_type",
    "sync_bn",
    "visualizer",
    "work_dir",
)
# what is said once: the completion hands it on to these places (completion.py)
LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
SAID_ONCE: dict[str, tuple[str, ...]] = {
    "source": ("model.in_channels", "model.num_classes", *(f"{name}.dataset.source" for name in LOADERS)),
    "split": tuple(f"{name}.dataset.split" for name in LOADERS),
    "modalities": (
        "model.in_channels",
        "model.modalities",
        *(f"{name}.dataset.modalities" for name in LOADERS),
    ),
    "window": ("model.window", *(f"{name}.dataset.window" for name in LOADERS)),
    "tile": tuple(f"{name}.dataset.window" for name in LOADERS[1:]),
    "model.patch": ("train_dataloader.dataset.window", *(f"{name}.dataset.margin" for name in LOADERS[1:])),
}


def apply_options(config: Config, options: Sequence[str]) -> None:
    """Apply ``KEY=VALUE`` changes to a config.

    What is said once (``SAID_ONCE``) is forgotten where it was handed on before, so that ``complete`` hands
    the new value on.

    Raises:
        InputError: if an option is not ``KEY=VALUE``, does not fit the config, or names a variable of the
            file that nothing reads once the file has been read.
    """
    for option in options:
        _forget_copies(config, _key(option))
    for option in options:
        _require_known(config, _key(option))
        parser = ArgumentParser()
        parser.add_argument("--cfg-options", nargs="+", action=DictAction)
        try:
            config.merge_from_dict(parser.parse_args(["--cfg-options", option]).cfg_options)
        except Exception as error:
            reason = one_line(error)
            raise InputError(f"--cfg-options: '{option}' does not fit {config.filename}: {reason}") from error


def set_seed(config: Config, seed: int, splits: bool = True) -> None:
    """Set the run's seed and, for ``splits``, each ``seed`` inside a ``split`` anywhere in the config."""
    config.randomness = {**config.get("randomness", {}), "seed": seed}
    if not splits:
        return
    for node in _dicts(config._cfg_dict):
        for inner in _dicts(node.get("split")):
            if "seed" in inner:
                inner["seed"] = seed


def find(config: Config | Mapping[str, Any], place: str) -> tuple[Any, str]:
    """Return the mapping that holds a place such as ``model.window`` (None if there is none) and its key."""
    *path, key = place.split(".")
    node: Any = getattr(config, "_cfg_dict", config)
    for part in path:
        node = node.get(part) if isinstance(node, Mapping) else None
    return (node if isinstance(node, Mapping) else None), key


def _key(option: str) -> str:
    key, equals, _ = option.partition("=")
    if not equals or not key:
        raise InputError(f"--cfg-options: '{option}', expected KEY=VALUE")
    return key


def _forget_copies(config: Config, key: str) -> None:
    said = key if key in SAID_ONCE else key.partition(".")[0]
    if said not in config and key not in SAID_ONCE:
        return
    for place in SAID_ONCE.get(said, ()):
        node, name = find(config, place)
        if node is not None:
            node.pop(name, None)


def _require_known(config: Config, key: str) -> None:
    top = key.partition(".")[0]
    known = {*DECISIVE, *OTHERS, *(said for said in SAID_ONCE if "." not in said)}
    if top in known:
        return
    if top in config:
        raise InputError(
            f"--cfg-options: '{top}' is a variable of {config.filename} that nothing reads once the file has "
            "been read; change the entries that use it, such as model.NAME=VALUE"
        )
    hint = close_names(top, known) or f"expected an entry of the config, such as {', '.join(DECISIVE[:4])}"
    raise InputError(f"--cfg-options: {config.filename} has no '{top}'; {hint}")


def _dicts(node: Any) -> Iterator[dict]:
    """Yield every dict of a config, from the outside in."""
    if isinstance(node, dict):
        yield node
    children = node.values() if isinstance(node, Mapping) else node if isinstance(node, (list, tuple)) else ()
    for child in children:
        yield from _dicts(child)
