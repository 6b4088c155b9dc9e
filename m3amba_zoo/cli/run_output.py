"""What the commands that train and test print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.runner import Runner
from rich import get_console

from m3amba_zoo.engine.any_runner import bare_model

Stamps = dict[Path, tuple[int, int]]


@master_only
def print_header(runner: Runner, note: str | None) -> None:
    """Print the run, its model, device and log, and a note on where the weights come from."""
    model = bare_model(runner)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    device = next(model.parameters()).device.type
    processes = f" x {runner.world_size}" if runner.world_size > 1 else ""
    _print(
        f"{runner.experiment_name}: {type(model).__name__}, {trained:,} trained parameters, "
        f"{device}{processes}, seed {runner.seed}"
    )
    _print(f"log: {_shown(Path(runner.logger.log_file))}")
    if note:
        _print(note)


@master_only
def print_scores(scores: Mapping[str, Any]) -> None:
    """Print the test's scores."""
    values = [f"{name} {value:.4f}" for name, value in scores.items() if isinstance(value, Real)]
    _print("test: " + ", ".join(values))


def files_of(folder: str | Path) -> Stamps:
    """Return the size in bytes and time of change in ns of each file below a folder."""
    files = (path for path in Path(folder).absolute().rglob("*") if path.is_file())
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


@master_only
def print_written(runner: Runner, before: Stamps) -> None:
    """Print the files of the work dir that are new or changed; a folder gets one line with their number."""
    work_dir = Path(runner.work_dir)
    written = [path for path, stamp in files_of(work_dir).items() if before.get(path) != stamp]
    counts = Counter(path.relative_to(work_dir).parts[0] for path in written)
    _print(f"wrote to {_shown(work_dir)}:")
    for name in sorted(counts, key=lambda name: ((work_dir / name).is_dir(), name)):
        _print(f"  {name}/ ({counts[name]} files)" if (work_dir / name).is_dir() else f"  {name}")


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _print(line: str) -> None:
    get_console().print(line, markup=False, highlight=False, soft_wrap=True)
