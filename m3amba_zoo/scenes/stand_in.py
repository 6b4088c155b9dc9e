"""Stand-ins: simulated data in a host's file layout and full size, for scenes that may not be passed on."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.muufl import MUUFL, RETURNS, STRUCT_FILE
from m3amba_zoo.scenes.scene import UNLABELLED, Scene
from m3amba_zoo.scenes.simulated import simulate_scene
from m3amba_zoo.scenes.standard_scene import MARKER, MatArray, Place, StandardScene
from m3amba_zoo.system import whole_folder


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
    scene = simulate_stand_in(source, seed)
    files = _muufl_files(scene) if isinstance(source, MUUFL) else _host_files(source, scene)
    with whole_folder(folder, replace=True) as aside:
        for name, variables in files.items():
            report(f"writing {folder / name}")
            scipy.io.savemat(aside / name, variables, do_compression=True)
        about = {"source": source.name, "seed": seed, "m3amba_zoo": _version(), "files": sorted(files)}
        (aside / MARKER).write_text(json.dumps(about, indent=1) + "\n")
    return [folder / name for name in [*files, MARKER]]


def _host_files(source: StandardScene, scene: Scene) -> dict[str, dict[str, Any]]:
    """Lay a scene out in its host's files, the inverse of ``load``: MATLAB values by file and key."""
    arrays: list[tuple[Place, NDArray]] = []
    for name, modality in source.modalities.items():
        image = scene.rasters[name].data.astype(modality.dtype).transpose(1, 2, 0)
        arrays.append((modality.places[0], image[..., 0] if modality.bands == 1 else image))
    official = scene.official or {}
    masks = {part: np.where(mask, scene.labels, UNLABELLED) for part, mask in official.items()}
    for part, mask in {**masks, "whole": scene.labels}.items():
        arrays += [(place, mask.astype(np.uint8)) for place in getattr(source, part)[:1]]
    files: dict[str, dict[str, Any]] = {}
    for place, array in arrays:
        assert isinstance(place, MatArray)  # the first place always is, see StandardScene
        files.setdefault(place.file, {})[place.key] = array
    return files


def _muufl_files(scene: Scene) -> dict[str, dict[str, Any]]:
    """Lay a scene out as MUUFL's struct; the scene's LiDAR holds the channels of both returns."""
    rows, columns = scene.shape
    returns = np.empty((1, RETURNS), object)  # a MATLAB cell
    elevations = scene.rasters["lidar"].data.astype("float32").transpose(1, 2, 0)
    for index, z in enumerate(np.split(elevations, RETURNS, axis=2)):
        returns[0, index] = {
            "x": np.arange(columns, dtype=float),
            "y": np.arange(rows, dtype=float),
            "z": z,
            "info": f"simulated return {index + 1}",
        }
    labels = np.where(scene.labels > 0, scene.labels.astype(float), -1.0)
    names = np.array([land.name for land in scene.classes], object)
    hsi = {
        "Data": scene.rasters["hsi"].data.astype("float32").transpose(1, 2, 0),
        "Lidar": returns,
        "sceneLabels": {"labels": labels, "Materials_Type": names},
    }
    return {STRUCT_FILE: {"hsi": hsi}}


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
