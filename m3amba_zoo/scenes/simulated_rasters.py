"""Simulated scenes as the files that a user brings: GeoTIFFs, polygons, a label raster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyogrio
import rasterio
import rasterio.features
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import from_origin

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters import Raster
from m3amba_zoo.rasters.summary import SIMULATED_TAG
from m3amba_zoo.scenes.scene import LandClass, Scene
from m3amba_zoo.scenes.simulated import simulate_scene
from m3amba_zoo.scenes.simulation import HsiSpec, SensorSpec
from m3amba_zoo.scenes.standard_scene import StandardScene
from m3amba_zoo.system import whole_folder

ATTRIBUTE = "class"
PLACE_CRS, METRES = "EPSG:32632", 30
PLACE = from_origin(600_000, 5_350_000, METRES, METRES)
"""Somewhere in Europe: the scene is nowhere, but maps need a place."""
TAGS = {SIMULATED_TAG: "yes", "TIFFTAG_IMAGEDESCRIPTION": "simulated by m3amba_zoo"}


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
