"""Stand-ins: simulated data in a host's own file layout and full size, for scenes not to be passed on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import scipy.io

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.scenes.simulation import simulate_scene
from m3amba_zoo.scenes.standard_scene import MARKER, StandardScene


def simulate_stand_in(source: StandardScene, seed: int = 0) -> Scene:
    """Simulate a scene of a source's size, classes, sensors and official class counts.

    Args:
        source: the standard scene to stand in for.
        seed: of all chance; 0 or more.

    Returns:
        A scene ``simulated_<name>`` with every modality, optional ones too, and masks of exactly the counts.

    Raises:
        InputError: the seed is negative.
    """
    if seed < 0:
        raise InputError(f"the seed is {seed}, expected 0 or more")
    return simulate_scene(
        f"simulated_{source.name}",
        source.classes,
        source.size,
        {name: modality.sensor for name, modality in source.modalities.items()},
        seed,
        source.train_counts,
        source.test_counts,
    )


def write_stand_in(
    source: StandardScene,
    folder: str | Path,
    seed: int = 0,
    report: Callable[[str], None] = lambda message: None,
) -> list[Path]:
    """Write a simulated stand-in to a folder, in the layout that the source reads.

    The folder appears whole or not at all. It may hold an earlier stand-in, which is replaced, but nothing
    else: real data is never touched.

    Args:
        source: the standard scene to stand in for.
        folder: the folder to write.
        seed: of all chance, 0 or more; the same seed writes the same data.
        report: told of each step, for the user's patience.

    Returns:
        The files written; one is the marker ``SIMULATED.json``, which makes the source say ``simulated``.

    Raises:
        InputError: the folder holds other files or cannot be written, or the seed is negative.
    """
    folder = Path(folder)
    if seed < 0:
        raise InputError(f"seed is {seed}, expected 0 or more")
    _refuse_foreign_files(folder)
    aside = folder.with_name(f".{folder.name}-{os.getpid()}")
    try:
        aside.mkdir(parents=True)
        report(f"simulating {source.name}, seed {seed}")
        files = source.published_files(simulate_stand_in(source, seed))
        for name, variables in files.items():
            report(f"writing {folder / name}")
            scipy.io.savemat(aside / name, variables, do_compression=True)
        about = {"source": source.name, "seed": seed, "m3amba_zoo": _version(), "files": sorted(files)}
        (aside / MARKER).write_text(json.dumps(about, indent=1) + "\n")
        if folder.exists():
            shutil.rmtree(folder)  # an earlier stand-in, or empty
        aside.rename(folder)
    except OSError as error:
        raise InputError(f"{folder}: the stand-in cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return [folder / name for name in [*files, MARKER]]


def _refuse_foreign_files(folder: Path) -> None:
    """Raise InputError unless a folder is absent, empty, or holds an earlier stand-in and nothing else."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder for the stand-in, found a file")
    written = [MARKER]
    # without a marker, or with one that is not ours, every file is foreign
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        written += json.loads((folder / MARKER).read_text())["files"]
    foreign = sorted(file.name for file in folder.iterdir() if file.name not in written)
    if foreign:
        raise InputError(
            f"{folder}: holds {', '.join(foreign[:3])}{', ...' if len(foreign) > 3 else ''}, which is no "
            "simulated stand-in and might be real data; name another data root with --to"
        )


def _version() -> str:
    try:
        return version("m3amba_zoo")
    except PackageNotFoundError:
        return "not installed"
