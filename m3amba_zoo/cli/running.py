"""What the commands that train and test share: from options to a Runner, and what is printed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import traceback
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m3amba_zoo.cli.command_parser import CommandParser
from m3amba_zoo.cli.output import print_line
from m3amba_zoo.disk import existing
from m3amba_zoo.errors import InputError, close_names, one_line
from m3amba_zoo.locks import BusyError, work_dir_lock
from m3amba_zoo.memory import memory_fault
from m3amba_zoo.system import sweep

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner

CONFIG_HELP = "a file, or a name that 'm3amba configs' lists, such as m3amba_demo"
Stamps = dict[Path, tuple[int, int]]
# the environment variable that each launcher sets
LAUNCHERS = {
    "none": None,
    "pytorch": "RANK",
    "slurm": "SLURM_PROCID",
    "mpi": "OMPI_COMM_WORLD_RANK",
}


def add_run_options(parser: CommandParser) -> None:
    """Add the options that training and testing share, spelt as OpenMMLab does."""
    parser.add_argument(
        "--data",
        metavar="NAME|FILE",
        help="dataset of a recipe: a name that 'm3amba configs' lists, a file like those, a folder of "
        "'m3amba new scene' (its split.npz is the split), or a scene.yaml",
    )
    parser.add_argument("--work-dir", type=Path, metavar="DIR", help="default: work_dirs/NAME_OF_THE_CONFIG")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="change entries of the config, for example train_cfg.max_epochs=5 window=16 modalities=hsi",
    )
    parser.add_quiet()
    parser.add_argument("--launcher", choices=LAUNCHERS, default="none", help="what started the processes")
    # torch.distributed.launch passes this option; torchrun sets LOCAL_RANK instead
    parser.add_argument("--local-rank", "--local_rank", type=int, default=0, help="set by a launcher")


def config_of(args: Namespace, seed: int | None = None) -> Config:
    """Return the config that the options of ``add_run_options`` name.

    Raises:
        InputError: if the config cannot be read, an option does not fit, the work dir cannot be written, or
            the launcher did not start this process.
    """
    from m3amba_zoo.config import read_config

    variable = LAUNCHERS[args.launcher]
    if variable is not None and variable not in os.environ:
        raise InputError(
            f"--launcher {args.launcher}: {variable} is not set, so this launcher did not start the process"
        )
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    config = read_config(args.config, args.data, args.cfg_options, seed)
    config.launcher = args.launcher
    split = config.get("split") or {}
    if args.data is not None and split.get("type") == "file" and _leads(config):
        print_line(f"split: {split['path']}")
    config.work_dir = str(args.work_dir or config.get("work_dir") or Path("work_dirs") / name_of(config))
    require_writable(Path(config.work_dir))
    return config


def name_of(config: Config) -> str:
    """Return the run's name: ``experiment_name`` (of recipes with ``--data``) or the config's name."""
    return config.get("experiment_name") or Path(config.filename).stem


def require(config: Config, *keys: str) -> None:
    """Raise InputError if the config lacks one of the keys."""
    for key in keys:
        if config.get(key) is None:
            raise InputError(f"{config.filename}: has no '{key}'")


def set_amp(config: Config) -> None:
    """Turn mixed precision on.

    Raises:
        InputError: if the optimiser's wrapper does not support it.
    """
    kind = config.optim_wrapper.get("type", "OptimWrapper")
    kind = getattr(kind, "__name__", kind)  # MMEngine's configs in plain Python have the class itself
    if kind not in ("OptimWrapper", "AmpOptimWrapper"):
        raise InputError(f"--amp: optim_wrapper.type is '{kind}', expected OptimWrapper or AmpOptimWrapper")
    config.optim_wrapper.type = "AmpOptimWrapper"


@contextlib.contextmanager
def starting(config: Config, started: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold the work dir for a run: no other may use it, and what killed ones left half-written is removed.

    An error in the config becomes an InputError. The new work dir of a run that failed early is removed, if
    no training has started and no checkpoint is in it; of a run that is refused, its folder with the log.

    Args:
        config: the run's config.
        started: returns whether training has started.

    Raises:
        BusyError: if another run has the work dir.
        InputError: if the config names a part that is not registered or gives a part arguments that it does
            not have, or if a file cannot be written.
    """
    work_dir = Path(config.work_dir).absolute()
    missing = [path for path in (work_dir, *work_dir.parents) if not path.exists()]
    before = set(_folders_in(work_dir))
    try:
        with work_dir_lock(config.work_dir) if _leads(config) else contextlib.nullcontext():
            sweep(work_dir)
            yield
    except BaseException as error:
        if not started():
            if missing and not any(work_dir.rglob("*.pth")):
                shutil.rmtree(work_dir, ignore_errors=True)
                with contextlib.suppress(OSError):  # another run's work dir is in it
                    for parent in missing[1:]:
                        parent.rmdir()
            fault = _config_fault(error)
            if (fault or isinstance(error, InputError)) and not isinstance(error, BusyError):
                for folder in set(_folders_in(work_dir)) - before:  # the log of a run that was refused
                    shutil.rmtree(folder, ignore_errors=True)
            if fault:
                raise InputError(f"{config.filename}: {fault}") from error
        if "Expected more than 1 value per channel when training" in str(error):  # torch's words
            raise InputError(
                f"{config.filename}: a batch has one window, but batch norm needs two; expected windows an "
                "epoch and train_dataloader.batch_size that leave no single one, or "
                "train_dataloader.drop_last=True"
            ) from error
        if isinstance(error, OSError) and error.strerror and not error.filename and not memory_fault(error):
            raise InputError(f"{config.work_dir}: cannot be written ({error.strerror})") from error
        raise


def _folders_in(work_dir: Path) -> list[Path]:
    return [path for path in work_dir.iterdir() if path.is_dir()] if work_dir.is_dir() else []


def build_runner(config: Config, loops: tuple[str, ...], resumed: Path | None = None) -> Runner:
    """Build the Runner that the config names (``runner_type``, else MMEngine's) and its loops.

    All data is loaded and checked now, so that an error in the test data does not appear after an hour of
    training. What is resumed is no part of the config, whose hash is that of the training.

    Args:
        config: of the run.
        loops: to build, such as ``train_loop``.
        resumed: the checkpoint to go on from.

    Raises:
        InputError: if the optimiser is not registered, or the run lacks something that the zoo's parts need.
    """
    from mmengine.registry import OPTIMIZERS

    from m3amba_zoo import stopping
    from m3amba_zoo.engine import check_parts
    from m3amba_zoo.engine.runner import StopHook
    from m3amba_zoo.registry import RUNNERS

    optimizer = config.get("optim_wrapper", {}).get("optimizer", {}).get("type")
    if isinstance(optimizer, str) and OPTIMIZERS.get(optimizer) is None:  # MMEngine does not check it
        raise InputError(f"{config.filename}: {_unknown(optimizer, OPTIMIZERS.name)}")
    _forget_earlier_runs()
    with stopping.whole_steps():  # MMEngine formats the config, where an interrupt becomes a SyntaxError
        runner = RUNNERS.build(config)
    stopping.check()
    runner.register_hook(StopHook())
    if resumed is not None:
        runner._resume, runner._load_from = True, str(resumed)
    for loop in loops:
        getattr(runner, loop)  # MMEngine builds a loop at first access
    check_parts(runner)
    return runner


def _forget_earlier_runs() -> None:
    """Let this process run again: MMEngine keeps loggers by name and second; their folders may be gone."""
    from mmengine.logging import MessageHub, MMLogger
    from mmengine.registry import DefaultScope
    from mmengine.visualization import Visualizer

    for kept in (DefaultScope, MessageHub, MMLogger, Visualizer):
        kept._instance_dict.clear()


def _leads(config: Config) -> bool:
    """Return whether this process is the first of its run; it has not joined the others yet."""
    variable = LAUNCHERS[config.get("launcher") or "none"]
    return variable is None or os.environ.get(variable, "0") == "0"


def require_writable(work_dir: Path) -> None:
    """Raise InputError if a work dir, or the nearest folder above it that exists, cannot be written."""
    place = existing(work_dir)
    if not place.is_dir():
        raise InputError(f"{work_dir}: cannot be the work dir, because {place} is not a directory")
    if not os.access(place, os.W_OK | os.X_OK):
        raise InputError(f"{work_dir}: the work dir cannot be written (no permission for {place})")


def _config_fault(error: BaseException) -> str | None:
    """Return the error in the config if MMEngine, the optimiser or the data loader raised it, else None."""
    kinds = (KeyError, TypeError, ValueError, AssertionError, ImportError, SyntaxError)
    if not isinstance(error, kinds):
        return None
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    if not frame.f_globals.get("__name__", "").startswith(("mmengine.", "torch.optim.", "torch.utils.data.")):
        return None
    if unknown := re.match(r"(\S+) is not in the (?:\S+::)?(.+?) registry", str(error.args[0])):
        return _unknown(*unknown.groups())
    if "end should be larger than begin" in str(error):  # raised by a part of param_scheduler without steps
        return (
            "a part of param_scheduler begins after the end of the training; raise train_cfg.max_epochs "
            "(at least 2 epochs if the first is a warm-up)"
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


def print_header(runner: Runner, note: str | None) -> None:
    """Print the run, its model, device and log, and a note on the origin of the weights."""
    from m3amba_zoo.engine.any_runner import bare_model, built_loops, metainfo_of

    if not _is_main_process():
        return
    model = bare_model(runner)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    device = next(model.parameters()).device.type
    processes = f" x {runner.world_size}" if runner.world_size > 1 else ""
    print_line(
        f"{runner.experiment_name}: {type(model).__name__}, {trained:,} trained parameters, "
        f"{device}{processes}, seed {runner.seed}"
    )
    for loop in list(built_loops(runner).values())[:1]:
        if data := metainfo_of(loop).get("data"):
            print_line(f"data: {data.name}, split {data.split.name}")
            if getattr(data, "note", ""):
                print_line(data.note)
    print_line(f"log: {_shown(Path(runner.logger.log_file))}")
    if note:
        print_line(note)


def print_on_main(line: str) -> None:
    """Print a line, in the main process only."""
    if _is_main_process():
        print_line(line)


def print_scores(scores: Mapping[str, Any]) -> None:
    """Print the test's scores."""
    values = [f"{name} {value:.4f}" for name, value in scores.items() if isinstance(value, Real)]
    print_on_main("test: " + ", ".join(values))


def files_of(folder: str | Path) -> Stamps:
    """Return the size in bytes and the time of change in ns of each file below a folder."""
    files = (path for path in Path(folder).absolute().rglob("*") if path.is_file())
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def print_written(runner: Runner, before: Stamps) -> None:
    """Print the new and changed files of the work dir; a folder gets one line with its number of files."""
    if not _is_main_process():  # which may still be writing
        return
    work_dir = Path(runner.work_dir)
    written = [path for path, stamp in files_of(work_dir).items() if before.get(path) != stamp]
    counts = Counter(path.relative_to(work_dir).parts[0] for path in written)
    print_line(f"wrote to {_shown(work_dir)}:")
    for name in sorted(counts, key=lambda name: ((work_dir / name).is_dir(), name)):
        print_line(f"  {name}/ ({counts[name]} files)" if (work_dir / name).is_dir() else f"  {name}")


def _is_main_process() -> bool:
    from mmengine.dist import is_main_process

    return is_main_process()


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
