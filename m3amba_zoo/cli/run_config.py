"""From a config file and options to a Runner, for the commands that train and test."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m3amba_zoo.errors import InputError

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner

LAUNCHERS = ("none", "pytorch", "slurm", "mpi")


def add_run_options(parser: ArgumentParser) -> None:
    """Add the options that training and testing share, in OpenMMLab's spelling."""
    parser.add_argument(
        "--work-dir", type=Path, metavar="DIR", help="default: work_dirs/<name of the config>"
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="change entries of the config, for example train_cfg.max_epochs=5",
    )
    parser.add_argument("--launcher", choices=LAUNCHERS, default="none", help="how processes are started")
    # torch.distributed.launch passes it; torchrun sets the environment variable
    parser.add_argument("--local-rank", "--local_rank", type=int, default=0, help="set by a launcher")


def read_config(
    path: Path, options: list[str], work_dir: Path | None, launcher: str, local_rank: int
) -> Config:
    """Read a config and apply the shared options.

    Raises:
        InputError: the config does not exist or cannot be read, an option is not ``key=value`` or does not
            fit, or the work dir cannot be written.
    """
    from mmengine.config import Config

    from m3amba_zoo.engine.installed_path import mend_installed_path

    mend_installed_path()
    if not path.is_file():
        raise InputError(f"{path}: no such config")
    sys.path.append(os.getcwd())  # where the user's modules named by custom_imports lie
    try:
        config = Config.fromfile(path)
    except InputError:
        raise
    except Exception as error:  # a config is Python: anything may happen
        raise InputError(f"{path}: the config cannot be read: {_one_line(error)}") from error
    _apply_options(config, path, options)
    config.launcher = launcher
    os.environ.setdefault("LOCAL_RANK", str(local_rank))
    config.work_dir = str(work_dir or config.get("work_dir") or Path("work_dirs") / path.stem)
    _require_writable(Path(config.work_dir))
    return config


def set_seed(config: Config, seed: int) -> None:
    """Set the run's seed, and the seeds named inside every ``split`` of the config."""
    config.randomness = {**config.get("randomness", {}), "seed": seed}
    _seed_splits(config._cfg_dict, seed)


def set_amp(config: Config) -> None:
    """Turn mixed precision on.

    Raises:
        InputError: the optimiser's wrapper is not one that has it.
    """
    kind = config.optim_wrapper.get("type", "OptimWrapper")
    if kind not in ("OptimWrapper", "AmpOptimWrapper"):
        raise InputError(f"--amp: optim_wrapper.type is '{kind}', expected OptimWrapper or AmpOptimWrapper")
    config.optim_wrapper.type = "AmpOptimWrapper"


@contextlib.contextmanager
def starting(config: Config, started: Callable[[], bool]) -> Iterator[None]:
    """Guard a run until it has ``started``: config faults become InputError, a new work dir goes again.

    Raises:
        InputError: the config names a part that is not registered, or gives one arguments it does not have.
    """
    work_dir = Path(config.work_dir).absolute()
    missing = [path for path in (work_dir, *work_dir.parents) if not path.exists()]
    try:
        yield
    except BaseException as error:
        if started():
            raise
        if missing:
            shutil.rmtree(missing[-1], ignore_errors=True)
        if isinstance(error, (KeyError, TypeError)) and (reason := _config_fault(error)):
            raise InputError(f"{config.filename}: {reason}") from error
        raise


def build_runner(config: Config) -> Runner:
    """Build the Runner that the config asks for (``runner_type``, else MMEngine's)."""
    from mmengine.registry import RUNNERS

    import m3amba_zoo.engine  # noqa: F401 - registers ZooRunner

    return RUNNERS.build(config)


def prepare(runner: Runner, test: bool) -> None:
    """Load the training data, and the test data too: what is wrong with it shall not show after an hour."""
    loops = ["train_loop", "test_loop"] if test else ["train_loop"]
    for loop in loops:
        getattr(runner, loop)  # MMEngine builds a loop, with its data, when it is first asked for


def _apply_options(config: Config, path: Path, options: list[str]) -> None:
    from mmengine.config import DictAction

    parser = ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    for option in options:
        if "=" not in option:
            raise InputError(f"--cfg-options: '{option}', expected KEY=VALUE")
        try:
            given = parser.parse_args(["--cfg-options", option]).cfg_options
            config.merge_from_dict(given)
        except Exception as error:
            raise InputError(f"--cfg-options: '{option}' does not fit {path}: {_one_line(error)}") from error


def _require_writable(work_dir: Path) -> None:
    existing = next(path for path in (work_dir.absolute(), *work_dir.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise InputError(f"{work_dir}: cannot be the work dir because {existing} is not a directory")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"{work_dir}: the work dir cannot be written (no permission for {existing})")


def _seed_splits(node: Any, seed: int) -> None:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "split":
                _replace_seed(value, seed)
            _seed_splits(value, seed)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _seed_splits(value, seed)


def _replace_seed(split: Any, seed: int) -> None:
    if isinstance(split, dict):
        for key, value in split.items():
            if key == "seed":
                split[key] = seed
            else:
                _replace_seed(value, seed)


def _config_fault(error: KeyError | TypeError) -> str | None:
    """Return what is wrong with the config, if MMEngine's or Python's message says so."""
    message = str(error.args[0]) if error.args else ""
    if unknown := re.match(r"(\S+) is not in the (?:\S+::)?(.+?) registry", message):
        name, kind = unknown.groups()
        close = get_close_matches(name, _registered(kind), n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
        return f"no {kind} is registered as '{name}'{hint}"
    if wrong := re.match(
        r"(\w+)\.__init__\(\) (got an unexpected keyword argument .*|missing \d+ .*)", message
    ):
        return f"{wrong[1]} {wrong[2]}"
    return None


def _registered(kind: str) -> list[str]:
    import mmengine.registry

    names: set[str] = set()
    for registry in vars(mmengine.registry).values():
        if isinstance(registry, mmengine.registry.Registry) and registry.name == kind:
            for member in (registry, *registry.children.values()):
                names |= set(member.module_dict)
    return sorted(names)


def _one_line(error: Exception) -> str:
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return f"{type(error).__name__}: {' '.join(text.split())}" if text else type(error).__name__
