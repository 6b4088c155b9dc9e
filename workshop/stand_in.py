"""Stand-ins: simulated data in a host's file layout and full size, for scenes that may not be passed on."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import scipy.io

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.scenes.simulation import simulate_scene
from m3amba_zoo.scenes.standard_scene import MARKER, StandardScene
from m3amba_zoo.system.whole_file import whole_folder


def simulate_stand_in(source: StandardScene, seed: int = 0) -> Scene:
    """Simulate a scene ``simulated_<name>`` of a source's size, classes, sensors and official class counts.

    It has every modality, optional ones too.

    Raises:
        InputError: if the seed is negative.
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
        seed: of all random draws, 0 or more; the same seed writes the same data.
        report: is called with a message at each step.

    Returns:
        The files written; one is the marker ``SIMULATED.json``, by which the source knows a stand-in.

    Raises:
        InputError: if the folder holds other files or cannot be written, or the seed is negative.
    """
    folder = Path(folder)
    _refuse_foreign_files(folder)
    report(f"simulating {source.name}, seed {seed}")
    files = source.published_files(simulate_stand_in(source, seed))
    with whole_folder(folder, replace=True) as aside:
        for name, variables in files.items():
            report(f"writing {folder / name}")
            scipy.io.savemat(aside / name, variables, do_compression=True)
        about = {"source": source.name, "seed": seed, "m3amba_zoo": _version(), "files": sorted(files)}
        (aside / MARKER).write_text(json.dumps(about, indent=1) + "\n")
    return [folder / name for name in [*files, MARKER]]


def _refuse_foreign_files(folder: Path) -> None:
    """Raise InputError unless a folder is absent, empty, or holds an earlier stand-in and nothing else."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder for the stand-in, found a file")
    written = [MARKER]
    # without a readable marker of ours, every file is foreign
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        written += json.loads((folder / MARKER).read_text())["files"]
    foreign = sorted(file.name for file in folder.iterdir() if file.name not in written)
    if foreign:
        raise InputError(
            f"{folder}: holds {', '.join(foreign[:3])}{', ...' if len(foreign) > 3 else ''}, which is not a "
            "simulated stand-in and might be real data; name another data root with --to"
        )


def _version() -> str:
    try:
        return version("m3amba_zoo")
    except PackageNotFoundError:
        return "not installed"
