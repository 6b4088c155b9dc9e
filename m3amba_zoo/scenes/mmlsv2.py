"""MMLSv2: landslides of Valles Marineris, Mars, on optical, elevation and thermal-inertia tiles."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters import Raster
from m3amba_zoo.rasters.grid import require_same_grid
from m3amba_zoo.rasters.opening import GeoRaster, read_georaster
from m3amba_zoo.reading import read_table
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.scene import LandClass, Scene
from m3amba_zoo.scenes.source import Source


class Product(NamedTuple):
    """A folder of tiles: its name, the bands of a tile, the unit, and the value of missing pixels."""

    folder: str
    bands: tuple[str, ...]
    unit: str
    nodata: float | None = None


PRODUCTS = {
    "opt": Product("OPT", ("red", "green", "blue", "gray"), "8-bit brightness", 0),
    "dem": Product("DEM", ("elevation",), "m"),
    "therm": Product("THERM", ("thermal inertia",), "8-bit", 0),
}
LABELS, TABLE = "LABEL", "tiles.csv"
SIDE = 128
"""Rows and columns of a tile."""
COLUMNS = ("tile", "landslide_px")
WHOLE_NUMBER = re.compile("[0-9]{1,9}")


@SOURCES.register_module(name="mmlsv2")
class MMLSv2(Source):
    """The labelled tiles of MMLSv2: 531 scenes of 128 x 128 pixels of 232 m, in one CRS of Mars.

    Source: Paheding et al., MMLSv2: a multimodal dataset for Martian landslide detection in remote sensing
    imagery (CVPR workshops 2026, arXiv 2602.08112); data: github.com/MAIN-Lab/MMLS_v2, MIT. The published
    test parts have no public labels, so these are the 465 training and 66 validation tiles. As published, a
    tile is one file of seven bands: red, green, blue, elevation, slope, thermal inertia and gray, and its
    mask is 0 or 1. Here a modality has a file of its own, and the slope is left out, because it follows from
    the elevation.

    Files below the folder ``mmlsv2``, one ``<tile>.tif`` per tile in each folder:

    * ``OPT``: ``opt``, 4 x 128 x 128 uint8: red, green, blue (18..255) and gray (0..254, finer).
    * ``DEM``: ``dem``, 1 x 128 x 128 int16, elevation in m, -5834..6988.
    * ``THERM``: ``therm``, 1 x 128 x 128 uint8, thermal inertia scaled to 0..254.
    * ``LABEL``: labels, 128 x 128 uint8, 1 (none) or 2 (landslide); every tile has both.
    * ``tiles.csv``: one row per tile with its number of landslide pixels; the files are checked against it.

    Missing values: gray is 0 in about half of 12 tiles of rows 27 and 28, in whole rectangles, and thermal
    inertia in stripes of five tiles of columns 6 and 7. A value of 0 is therefore taken as missing in ``opt``
    and ``therm`` (no red, green or blue is below 18; 47 dark pixels of gray fall under it as well).

    Elevation is left absolute. It spans 5.2 km within a median tile, as much as between tiles, and tells
    little of where landslides are (the correlation of a tile's mean with its share of landslide is -0.09).

    There is no official split: of the challenge's 66 validation tiles 63 touch a training tile. Tiles touch
    each other, and a slide covers several, so whole regions should test, with a tile between them and
    training (``by_scene`` with ``region`` and ``guard``).
    """

    folder: ClassVar[str] = "mmlsv2"
    classes = (LandClass("none", (222, 200, 160)), LandClass("landslide", (190, 50, 30)))

    def __init__(
        self, root: str | Path | None = None, modalities: Sequence[str] = ("opt", "dem", "therm")
    ) -> None:
        """Choose the folder and the rasters.

        Args:
            root: the folder with ``OPT``, ``DEM``, ``THERM``, ``LABEL`` and ``tiles.csv``; None searches
                ``data_roots()``.
            modalities: some of ``opt``, ``dem`` and ``therm``.

        Raises:
            InputError: if there is no such modality.
        """
        super().__init__(root)
        for name in modalities:
            if name not in PRODUCTS:
                raise InputError(f"mmlsv2 has no modality '{name}', it has {', '.join(PRODUCTS)}")
        self.modalities = tuple(modalities)

    def load(self, rasters: bool = True) -> list[Scene]:
        """Read the tiles in order of their names; see ``Source.load``."""
        modalities = self.modalities if rasters else ()
        scenes = []
        for tile, landslide in self._tiles(modalities).items():
            cover = read_georaster(self.root / LABELS / f"{tile}.tif")
            scenes.append(
                Scene(
                    name=tile,
                    rasters={name: self._read(tile, name, cover) for name in modalities},
                    labels=_labels(cover, landslide),
                    classes=self.classes,
                    crs=cover.grid.crs,
                    transform=cover.grid.transform,
                )
            )
        return scenes

    def channels(self) -> dict[str, int]:
        """Count the products' bands."""
        return {name: len(PRODUCTS[name].bands) for name in self.modalities}

    def _tiles(self, modalities: Sequence[str]) -> Mapping[str, int]:
        """Return the tiles in order of their names, with the landslide pixels that each should have.

        Raises:
            DataNotFoundError: if the table or a tile's file is absent.
            InputError: if the table is not as expected, or a tile is not in it.
        """
        table, fetch = (
            self.root / TABLE,
            "the dataset MMLSv2 (github.com/MAIN-Lab/MMLS_v2), one file per modality,",
        )
        self.require_files([table], fetch)
        tiles = _read_table(table)
        folders = [LABELS, *(PRODUCTS[name].folder for name in modalities)]
        self.require_files(
            [self.root / folder / f"{tile}.tif" for folder in folders for tile in tiles], fetch
        )
        for folder in folders:
            for path in sorted((self.root / folder).glob("*.tif")):
                if path.stem not in tiles:
                    raise InputError(f"{path}: {table} has no row of this tile, it lists {len(tiles)} tiles")
        return tiles

    def _read(self, tile: str, name: str, cover: GeoRaster) -> Raster:
        product = PRODUCTS[name]
        read = read_georaster(self.root / product.folder / f"{tile}.tif", unit=product.unit)
        _check_size(read, len(product.bands))
        require_same_grid(tile, cover.grid, read.grid)
        return replace(read.raster, bands=product.bands, nodata=product.nodata)


def _read_table(path: Path) -> dict[str, int]:
    """Read the tiles' names, without ``.tif`` and in order, and their numbers of landslide pixels."""
    tiles: dict[str, int] = {}
    for place, row in read_table(path, COLUMNS)[1]:
        tile, count = Path(row["tile"]).stem, row["landslide_px"]
        if not tile or tile in tiles or not WHOLE_NUMBER.fullmatch(count):
            raise InputError(
                f"{place}: tile '{row['tile']}' with '{count}' landslide pixels; a tile that no other row "
                "names and a whole number are expected"
            )
        tiles[tile] = int(count)
    if not tiles:
        raise InputError(f"{path}: lists no tile; a row per tile is expected")
    return dict(sorted(tiles.items()))


def _check_size(read: GeoRaster, bands: int) -> None:
    if read.raster.data.shape != (bands, SIDE, SIDE):
        found = " x ".join(map(str, read.raster.data.shape))
        raise InputError(
            f"{read.raster.path}: {found} (bands, rows, columns), expected {bands} x {SIDE} x {SIDE}"
        )


def _labels(cover: GeoRaster, landslide: int) -> NDArray[np.uint8]:
    """Return a tile's labels, checked: 1 or 2, with the table's number of 2."""
    _check_size(cover, 1)
    labels, path = cover.raster.data[0], cover.raster.path
    foreign = (labels != 1) & (labels != 2)
    if foreign.any():
        row, column = np.argwhere(foreign)[0]
        raise InputError(
            f"{path}: label {labels[row, column]} at row {row}, column {column}; 1 (none) or 2 (landslide) "
            "is expected"
        )
    if (found := int((labels == 2).sum())) != landslide:
        raise InputError(f"{path}: {found} landslide pixels, but {TABLE} says {landslide}")
    return labels.astype(np.uint8)
