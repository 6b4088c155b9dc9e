"""What the commands that train and test print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from rich import get_console


@master_only
def print_header(runner: Runner) -> None:
    """Name the run, its model, device and log."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    device = next(model.parameters()).device
    processes = f" x {runner.world_size}" if runner.world_size > 1 else ""
    _print(
        f"{runner.experiment_name}: {type(model).__name__}, {trained:,} trained parameters, "
        f"{device.type}{processes}, seed {runner.seed}"
    )
    _print(f"log: {_shown(Path(runner.logger.log_file))}")


@master_only
def print_metrics(metrics: Mapping[str, Any]) -> None:
    """Print the test's scores."""
    values = [f"{name} {value:.4f}" for name, value in metrics.items() if isinstance(value, Real)]
    _print("test: " + ", ".join(values))


@master_only
def print_written(runner: Runner, since: float) -> None:
    """Name the files written to the work dir since a time; folders of many are summed up."""
    work_dir = Path(runner.work_dir)
    files = [f for f in work_dir.rglob("*") if f.is_file() and f.stat().st_mtime >= since]
    counts = Counter(file.relative_to(work_dir).parts[0] for file in files)
    _print(f"wrote to {_shown(work_dir)}:")
    for name in sorted(counts, key=lambda name: ((work_dir / name).is_dir(), name)):
        _print(f"  {name}/ ({counts[name]} files)" if (work_dir / name).is_dir() else f"  {name}")


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _print(line: str) -> None:
    get_console().print(line, markup=False, highlight=False, soft_wrap=True)
