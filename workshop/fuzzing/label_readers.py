"""Readers of labels and of scenes: vector files, regions of ENVI, scene.yaml, tables of data sets, splits."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyogrio
import shapely
import yaml

from m3amba_zoo.rasters.grid import Grid
from m3amba_zoo.scenes.idtrees import SITES, IDTReeS
from m3amba_zoo.scenes.label_files import LabelShapes, parse_label_file
from m3amba_zoo.scenes.manifest import Manifest
from m3amba_zoo.scenes.mmlsv2 import LABELS, PRODUCTS, SIDE, TABLE, MMLSv2
from m3amba_zoo.scenes.scene import LandClass, Scene
from m3amba_zoo.scenes.vectors import list_attributes
from m3amba_zoo.splits.split import Split
from workshop.fuzzing.mutations import Reader, in_bytes, in_members, in_text, in_values
from workshop.fuzzing.raster_readers import COLUMNS, CRS, PLACE, ROWS, pixels, write_raster

CROPS = ("wheat", "maize")
NUMBERS = {name: number for number, name in enumerate(CROPS, start=1)}
TREES = {
    "M1": ("ACRU", "Acer rubrum L."),
    "M2": ("QUAL", "Quercus alba L."),
    "O1": ("ACRU", "Acer rubrum L."),
}
GRID = Grid((ROWS, COLUMNS), CRS, PLACE, "scene")


def write_boxes(path: Path, names: tuple[str, ...] = CROPS, attribute: str = "crop") -> Path:
    """Write a row of polygons, each with a name; the suffix tells the format."""
    left, top = PLACE.c, PLACE.f
    boxes = [shapely.box(left + 4 * k, top - 8, left + 4 * k + 3, top - 1) for k in range(len(names))]
    numbers = np.arange(len(names))
    pyogrio.raw.write(
        path,
        shapely.to_wkb(boxes),
        [np.array(names, object), numbers],
        [attribute, "number"],
        geometry_type="Polygon",
        crs=CRS,
        driver="LIBKML" if path.suffix == ".kml" else None,
    )
    return path


def _read_polygons(path: Path) -> None:
    labels = parse_label_file(str(path), {"path": path.name, "attribute": "crop"}, path.parent, "polygons")
    list_attributes(path)
    assert isinstance(labels, LabelShapes)
    labels.labels(GRID, NUMBERS)


def _regions(folder: Path) -> Path:
    points = "\n".join(f"{k} {k % COLUMNS + 1} {k // COLUMNS + 1}" for k in range(8))
    path = folder / "rois.txt"
    path.write_text(
        f"; ENVI Output of ROIs (5.3)\n; Number of ROIs: 2\n; File Dimension: {COLUMNS} x {ROWS}\n;\n"
        "; ROI name: wheat\n; ROI rgb value: {0, 205, 0}\n; ROI npts: 5\n;\n"
        "; ROI name: maize\n; ROI rgb value: {205, 0, 0}\n; ROI npts: 3\n;\n; ID X Y\n" + points + "\n"
    )
    return path


def _read_regions(path: Path) -> None:
    labels = parse_label_file(str(path), {"path": path.name}, path.parent, "labels")
    if isinstance(labels, LabelShapes):
        labels.labels(GRID, NUMBERS)
    else:  # it is taken for a raster
        labels.read()


def _scene(folder: Path) -> Path:
    write_raster(folder / "hsi.tif", pixels())
    write_raster(folder / "lidar.tif", pixels("float32", 1))
    write_raster(folder / "labels.tif", pixels("uint8", 1) % 3)
    document = {
        "name": "harbour",
        "modalities": {
            "hsi": {
                "path": "hsi.tif", "bands": ["0-1", 2], "nodata": [0, -1, 5], "unit": "reflectance",
                "wavelengths": [400, 500, 600], "scale": 0.5, "offset": -1,
            },
            "lidar": {"paths": [{"path": "lidar.tif", "nodata": 0}, "lidar.tif"], "align": "bilinear"},
        },
        "grid": "hsi",
        "labels": {"path": "labels.tif", "unlabelled": [0]},
        "classes": [
            {"name": "wheat", "color": [240, 200, 70], "values": [1]},
            {"name": "maize", "color": [0, 200, 70], "values": [2]},
        ],
    }  # fmt: skip
    path = folder / "scene.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def _read_scene(path: Path) -> None:
    source = Manifest(path)
    source.channels()
    source.load(rasters=False)
    source.load()


def _idtrees(folder: Path) -> Path:
    sensing = folder / "train" / "RemoteSensing"
    for site in SITES:
        for name, data in (("HSI", pixels("int16", 369)), ("CHM", pixels("float32", 1))):
            (sensing / name).mkdir(parents=True, exist_ok=True)
            write_raster(sensing / name / f"{site}_1.tif", data)
        (folder / "train" / "ITC").mkdir(exist_ok=True)
        names = tuple(tree for tree in TREES if tree[0] == site[0])
        write_boxes(folder / "train" / "ITC" / f"train_{site}.shp", names or ("nobody",), "indvdID")
    (folder / "train" / "Field").mkdir()
    path = folder / "train" / "Field" / "train_data.csv"
    rows = "".join(f"{tree},LBS,{taxon},{name}\n" for tree, (taxon, name) in TREES.items())
    path.write_text(f"indvdID,siteID,taxonID,scientificName\n{rows}")
    return path


def _read_idtrees(path: Path) -> None:
    IDTReeS(path.parents[2], min_pixels=1, min_plots=1).load(rasters=False)


def _mmlsv2(folder: Path) -> Path:
    cover = np.ones((1, SIDE, SIDE), np.uint8)
    cover[0, :2, :2] = 2
    (folder / LABELS).mkdir(parents=True)
    write_raster(folder / LABELS / "a.tif", cover)
    for product in PRODUCTS.values():
        (folder / product.folder).mkdir(parents=True, exist_ok=True)
        write_raster(folder / product.folder / "a.tif", np.ones((len(product.bands), SIDE, SIDE), np.uint8))
    path = folder / TABLE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("tile,landslide_px,split\na.tif,4,train\n")
    return path


def _read_mmlsv2(path: Path) -> None:
    root = path
    while root.joinpath(TABLE) != path:
        root = root.parent
    MMLSv2(root).load(rasters=False)


def _split(folder: Path) -> Path:
    train = np.zeros((ROWS, COLUMNS), bool)
    train[:4] = True
    masks = {"harbour": {"train": train, "val": np.zeros_like(train), "test": ~train}}
    Split("official", masks).save(folder / "split.npz")
    return folder / "split.npz"


def _read_split(path: Path) -> None:
    classes = tuple(LandClass(name, (0, 0, 0)) for name in CROPS)
    labels = np.ones((ROWS, COLUMNS), np.uint8)
    split = Split.read(path)
    split.check([Scene(name="harbour", rasters={}, labels=labels, classes=classes)])


def _in_split(random: Random, content: bytes) -> bytes:
    """Change a member's header of NumPy or the text of the split's header, which is a text of NumPy."""
    return in_members(lambda r, data: in_bytes(r, data[:200]) + data[200:])(random, content)


def _dump_yaml(value: Any) -> bytes:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).encode()


IN_YAML = in_values(yaml.safe_load, _dump_yaml)
IN_JSON = in_values(json.loads, lambda value: json.dumps(value).encode())

READERS = (
    Reader(
        "geojson",
        lambda folder: write_boxes(folder / "fields.geojson"),
        _read_polygons,
        (in_bytes, in_text, IN_JSON),
    ),
    *(
        Reader(
            name,
            partial(lambda end, folder: write_boxes(folder / f"fields.{end}"), end),
            _read_polygons,
            changes,
        )
        for name, end, changes in (
            ("geopackage", "gpkg", (in_bytes,)),
            ("shapefile", "shp", (in_bytes,)),
            ("kml", "kml", (in_bytes, in_text)),
            ("flatgeobuf", "fgb", (in_bytes,)),
        )
    ),
    Reader(
        "dbf",
        lambda folder: write_boxes(folder / "fields.shp").with_suffix(".dbf"),
        lambda path: _read_polygons(path.with_suffix(".shp")),
    ),
    Reader("regions", _regions, _read_regions, (in_text, in_bytes)),
    Reader("scene", _scene, _read_scene, (in_text, IN_YAML, IN_YAML, in_bytes)),
    Reader("idtrees_table", _idtrees, _read_idtrees, (in_text, in_bytes)),
    Reader("mmlsv2_table", _mmlsv2, _read_mmlsv2, (in_text, in_bytes)),
    Reader("split", _split, _read_split, (in_bytes, in_members(), _in_split)),
)
