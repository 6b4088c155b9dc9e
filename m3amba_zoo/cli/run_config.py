"""From a config file and options to a Runner, for the commands that train and test."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from m3amba_zoo.errors import InputError, close_names, one_line

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner

# launcher -> the environment variable that shows its presence
LAUNCHERS = {
    "none": None,
    "pytorch": "RANK",
    "slurm": "SLURM_PROCID",
    "mpi": "OMPI_COMM_WORLD_LOCAL_RANK",
}


def add_run_options(parser: ArgumentParser) -> None:
    """Add the options that training and testing share, in OpenMMLab's spelling."""
    parser.add_argument(
        "--data",
        metavar="NAME|FILE",
        help="dataset of a recipe: a name below configs/_base_/datasets, a file like those, or a scene.yaml",
    )
    parser.add_argument(
        "--work-dir", type=Path, metavar="DIR", help="default: work_dirs/<name of the config>"
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="change entries of the config, for example train_cfg.max_epochs=5 window=16 modalities=hsi",
    )
    parser.add_argument("--launcher", choices=LAUNCHERS, default="none", help="what started the processes")
    # torch.distributed.launch passes it; torchrun sets the environment variable
    parser.add_argument("--local-rank", "--local_rank", type=int, default=0, help="set by a launcher")


def config_of(args: Namespace, seed: int | None = None) -> Config:
    """Return the config that the options of ``add_run_options`` ask for.

    Raises:
        InputError: if the config cannot be read, an option does not fit, the work dir cannot be written, or
            the launcher did not start this process.
    """
    from m3amba_zoo.config import read_config

    variable = LAUNCHERS[args.launcher]
    if variable is not None and variable not in os.environ:
        raise InputError(
            f"--launcher {args.launcher}: {variable} is not set, so that no launcher started this"
        )
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    sys.path.append(os.getcwd())  # where the user's modules named by custom_imports lie
    config = read_config(args.config, args.data, args.cfg_options, seed)
    config.launcher = args.launcher
    name = config.get("experiment_name") or args.config.stem
    config.work_dir = str(args.work_dir or config.get("work_dir") or Path("work_dirs") / name)
    _require_writable(Path(config.work_dir))
    return config


def require(config: Config, *keys: str) -> None:
    """Raise InputError if the config lacks one of the keys."""
    for key in keys:
        if config.get(key) is None:
            raise InputError(f"{config.filename}: has no '{key}'")


def set_amp(config: Config) -> None:
    """Turn mixed precision on.

    Raises:
        InputError: if the optimiser's wrapper has no mixed precision.
    """
    kind = config.optim_wrapper.get("type", "OptimWrapper")
    if kind not in ("OptimWrapper", "AmpOptimWrapper"):
        raise InputError(f"--amp: optim_wrapper.type is '{kind}', expected OptimWrapper or AmpOptimWrapper")
    config.optim_wrapper.type = "AmpOptimWrapper"


@contextlib.contextmanager
def starting(config: Config, started: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Guard a run: a fault of the config becomes one sentence, and a run that never started leaves no folder.

    A new work dir is removed only if no training has started in it and no checkpoint lies in it.

    Args:
        config: of the run.
        started: says whether training has started.

    Raises:
        InputError: if the config names a part that is not registered or gives one arguments that it does not
            have, or if a file cannot be written.
    """
    work_dir = Path(config.work_dir).absolute()
    missing = [path for path in (work_dir, *work_dir.parents) if not path.exists()]
    try:
        yield
    except BaseException as error:
        if not started():
            if missing and not any(work_dir.rglob("*.pth")):
                shutil.rmtree(work_dir, ignore_errors=True)
                with contextlib.suppress(OSError):  # another run has put its work dir there
                    for parent in missing[1:]:
                        parent.rmdir()
            if fault := _config_fault(error):
                raise InputError(f"{config.filename}: {fault}") from error
        if isinstance(error, OSError) and error.strerror and not error.filename:
            raise InputError(f"{config.work_dir}: cannot be written ({error.strerror})") from error
        raise


def build_runner(config: Config, loops: tuple[str, ...]) -> Runner:
    """Build the Runner that the config asks for (``runner_type``, else MMEngine's) and its loops.

    All data is loaded and checked now: a fault in the test data must not show after an hour of training.

    Raises:
        InputError: if the optimiser is not registered, or the run lacks what the zoo's parts need.
    """
    from mmengine.registry import OPTIMIZERS

    from m3amba_zoo.engine import check_parts
    from m3amba_zoo.registry import RUNNERS

    optimizer = config.get("optim_wrapper", {}).get("optimizer", {}).get("type")
    if isinstance(optimizer, str) and OPTIMIZERS.get(optimizer) is None:  # MMEngine does not check it
        raise InputError(f"{config.filename}: {_unknown(optimizer, OPTIMIZERS.name)}")
    runner = RUNNERS.build(config)
    for loop in loops:
        getattr(runner, loop)  # MMEngine builds a loop when it is first asked for
    check_parts(runner)
    return runner


def _require_writable(work_dir: Path) -> None:
    path = work_dir.absolute()
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    if not existing.is_dir():
        raise InputError(f"{work_dir}: cannot be the work dir because {existing} is not a directory")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"{work_dir}: the work dir cannot be written (no permission for {existing})")


def _config_fault(error: BaseException) -> str | None:
    """Return what is wrong with the config if MMEngine, the optimiser or the data loader raised the error."""
    if not isinstance(error, (KeyError, TypeError, ValueError, AssertionError)):
        return None
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    if not frame.f_globals.get("__name__", "").startswith(("mmengine.", "torch.optim.", "torch.utils.data.")):
        return None
    if unknown := re.match(r"(\S+) is not in the (?:\S+::)?(.+?) registry", str(error.args[0])):
        return _unknown(*unknown.groups())
    if "end should be larger than begin" in str(error):  # raised by a param_scheduler of no length
        return (
            "a part of param_scheduler begins when training has ended; raise train_cfg.max_epochs "
            "(at least 2 epochs, where the first warms up)"
        )
    return one_line(error)


def _unknown(name: str, kind: str) -> str:
    hint = close_names(name, _registered(kind))
    return f"no {kind} is registered as '{name}'" + (f"; {hint}" if hint else "")


def _registered(kind: str) -> list[str]:
    import mmengine.registry

    names: set[str] = set()
    for registry in vars(mmengine.registry).values():
        if isinstance(registry, mmengine.registry.Registry) and registry.name == kind:
            for member in (registry, *registry.children.values()):
                names |= set(member.module_dict)
    return sorted(names)
