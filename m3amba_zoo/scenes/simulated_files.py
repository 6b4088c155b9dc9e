"""Simulated scenes as files: in a host's layout, or the rasters, polygons and labels that a user brings.

Stand-ins are simulated data in the layout and full size of scenes that may not be passed on.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import rasterio
import rasterio.features
import scipy.io
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import from_origin

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters import Raster
from m3amba_zoo.rasters.summary import SIMULATED_TAG
from m3amba_zoo.scenes.muufl import MUUFL, RETURNS, STRUCT_FILE
from m3amba_zoo.scenes.scene import UNLABELLED, LandClass, Scene
from m3amba_zoo.scenes.simulated import simulate_scene
from m3amba_zoo.scenes.simulation import HsiSpec, SensorSpec
from m3amba_zoo.scenes.standard_scene import MARKER, MatArray, Place, StandardScene
from m3amba_zoo.system import whole_folder

ATTRIBUTE = "class"
PLACE_CRS, METRES = "EPSG:32632", 30
PLACE = from_origin(600_000, 5_350_000, METRES, METRES)
"""Somewhere in Europe: the scene is nowhere, but maps need a place."""
TAGS = {SIMULATED_TAG: "yes", "TIFFTAG_IMAGEDESCRIPTION": "simulated by m3amba_zoo"}


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


def write_simulated_rasters(
    source: StandardScene,
    folder: str | Path,
    size: tuple[int, int] | None = None,
    bands: int | None = None,
    seed: int = 0,
    report: Callable[[str], None] = lambda message: None,
) -> list[Path]:
    """Simulate a scene like a standard one and write ``simulated_*`` files, as a user brings them.

    They are a GeoTIFF for each modality, ``simulated_fields.gpkg`` (polygons, their class in the attribute
    ``class``) and ``simulated_labels.tif`` (the same as a raster, named and coloured). Rasters have the tag
    ``SIMULATED``.

    Args:
        source: the standard scene; its optional modalities are left out.
        folder: a new or empty folder. It appears whole or not at all.
        size: rows and columns; None takes the standard scene's.
        bands: of the hyperspectral image, over the sensor's range; None takes the sensor's.
        seed: of all random draws, 0 or more.
        report: is called with a line for each file.

    Returns:
        The files, rasters first.

    Raises:
        InputError: if the folder holds files or cannot be written, or the size does not do.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: exists and is not an empty folder; nothing is overwritten")
    for option, value, least in (("seed", seed, 0), ("bands", 1 if bands is None else bands, 1)):
        if value < least:
            raise InputError(f"{option} is {value}, expected {least} or more")
    sensors: dict[str, SensorSpec] = {}
    for name, modality in source.modalities.items():
        sensor = modality.sensor
        if not modality.optional:
            is_hsi = isinstance(sensor, HsiSpec) and bands is not None
            sensors[name] = replace(sensor, bands=bands) if is_hsi else sensor  # type: ignore[type-var]
    scene = simulate_scene(f"simulated_{source.name}", source.classes, size or source.size, sensors, seed)
    written = []
    with whole_folder(folder) as aside:
        for name, raster in scene.rasters.items():
            path = aside / f"simulated_{name}.tif"
            _write_raster(path, raster)
            written.append(path.name)
            report(f"{path.name}: {len(raster.data)} bands, {raster.unit or 'no unit'}")
        count = _write_polygons(aside / "simulated_fields.gpkg", scene)
        report(f"simulated_fields.gpkg: {count} polygons, attribute '{ATTRIBUTE}'")
        _write_labels(aside / "simulated_labels.tif", scene.labels, scene.classes)
        report(f"simulated_labels.tif: the same {len(scene.classes)} classes as a raster")
    return [folder / name for name in (*written, "simulated_fields.gpkg", "simulated_labels.tif")]


def _write_raster(path: Path, raster: Raster) -> None:
    """Write bands with their names, or wavelengths in nm, and their unit."""
    with _create(path, raster.data) as file:
        for band in range(1, len(raster.data) + 1):
            if raster.bands:
                file.set_band_description(band, raster.bands[band - 1])
            if raster.wavelengths is not None:
                centre = f"{raster.wavelengths[band - 1]:.2f}"
                file.update_tags(band, wavelength=centre, wavelength_units="Nanometers")
            file.set_band_unit(band, raster.unit)


def _write_labels(path: Path, labels: NDArray, classes: tuple[LandClass, ...]) -> None:
    names = {f"CLASS_{number}": entry.name for number, entry in enumerate(classes, start=1)}
    with _create(path, labels[None].astype(np.uint8), names, nodata=0) as file:
        file.write_colormap(1, {number: (*entry.color, 255) for number, entry in enumerate(classes, start=1)})


def _write_polygons(path: Path, scene: Scene) -> int:
    """Write one polygon around each set of pixels of one class that touch by a side; return how many."""
    drawn = rasterio.features.shapes(
        scene.labels.astype(np.uint8), scene.labelled.astype(np.uint8), transform=PLACE
    )
    geometries, numbers = zip(*drawn, strict=True)
    names = np.array([scene.classes[int(number) - 1].name for number in numbers], object)
    pyogrio.raw.write(
        path,
        shapely.to_wkb(np.array([shapely.geometry.shape(geometry) for geometry in geometries])),
        [names],
        [ATTRIBUTE],
        driver="GPKG",
        geometry_type="Polygon",
        crs=PLACE_CRS,
        layer_metadata={SIMULATED_TAG: "yes"},
    )
    return len(names)


def _create(
    path: Path, data: NDArray, tags: Mapping[str, str] | None = None, nodata: float | None = None
) -> rasterio.io.DatasetWriter:
    """Create a GeoTIFF of ``(C, H, W)`` and leave it open for what describes its bands."""
    count, rows, columns = data.shape
    file = rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=count,
        height=rows,
        width=columns,
        dtype=data.dtype.name,
        crs=CRS.from_string(PLACE_CRS),
        transform=PLACE,
        nodata=nodata,
        compress="deflate",
    )
    file.write(data)
    file.update_tags(**TAGS, **(tags or {}))
    return file
