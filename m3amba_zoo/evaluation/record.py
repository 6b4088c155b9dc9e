"""metrics.json: one run's scores with all that is needed to judge and repeat them."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from m3amba_zoo.config import config_sha256
from m3amba_zoo.evaluation.cost import memory_mib
from m3amba_zoo.evaluation.scene_metric import Evaluation
from m3amba_zoo.splits import leaked_pixels
from m3amba_zoo.splits.scene_data import SceneData
from m3amba_zoo.system.whole_file import whole_file

PACKAGES = ("m3amba_zoo", "torch", "mmengine", "open_clip_torch", "numpy", "numba", "scikit-learn")


def build_record(
    evaluation: Evaluation,
    data: SceneData,
    config: Config,
    *,
    window: int,
    model: Mapping[str, Any],
    selection: str,
    seed: int,
    timing: Mapping[str, float],
) -> dict[str, Any]:
    """Return the content of ``metrics.json``.

    Args:
        evaluation: of the test part.
        data: scenes and split it was computed on.
        config: of the run, as it was after options and seed.
        window: side of the training windows, for the count of leaked pixels (1 for a pixel classifier).
        model: name, parameters, operations, encoder and what else describes the network.
        selection: the rule that chose the weights, in words.
        seed: of the run.
        timing: seconds by stage.
    """
    return {
        **evaluation.scores,
        "dataset": data.name,
        "modalities": (modalities := list(model.get("modalities", []))),
        "wavelengths": _wavelengths(data, modalities),
        "split": {
            "name": data.split.name,
            "part": evaluation.part,
            "sha256": data.split.sha256,
            "leaked_pixels": leaked_pixels(data.split, data.scenes, window),
            "window": window,
            "pixels": {part: data.split.count(part) for part in ("train", "val", "test")},
        },
        "selection": selection,
        "seed": seed,
        "model": dict(model),
        "timing_s": {stage: round(seconds, 2) for stage, seconds in timing.items()},
        "pixels_per_second": round(mapped_pixels(evaluation) / max(timing["test"], 1e-9), 1),
        "memory_mib": memory_mib(),
        "threads": torch.get_num_threads(),
        "config_sha256": config_sha256(config),
        "versions": _versions(),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores",
        "commit": _commit(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


def mapped_pixels(evaluation: Evaluation) -> int:
    """Count the pixels that were given a class, labelled or not."""
    return sum(int((class_map > 0).sum()) for class_map in evaluation.class_maps.values())


def _wavelengths(data: SceneData, modalities: Sequence[str]) -> dict[str, list[float]]:
    """Return the band centres in nm of each modality whose files tell them."""
    rasters = data.scenes[0].rasters
    known = {m: rasters[m].wavelengths for m in modalities if m in rasters}
    return {m: [round(float(x), 3) for x in centres] for m, centres in known.items() if centres is not None}


def write_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write JSON aside and rename, so that a file is whole or absent.

    Raises:
        InputError: the place cannot be written, or the disk is full.
    """
    with whole_file(path) as aside:
        aside.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _commit() -> str | None:
    """Return the checkout's commit, with ``+`` where files differ from it; None outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
