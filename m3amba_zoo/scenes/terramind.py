"""TerraMind's example tiles: multispectral (Sentinel-2), SAR (Sentinel-1), elevation, land use and cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.grid import require_same_grid
from m3amba_zoo.rasters.opening import GeoRaster, read_georaster
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.scene import UNLABELLED, LandClass, Scene
from m3amba_zoo.scenes.source import Source


class Product(NamedTuple):
    """A folder of tiles: its name, the bands of a tile, the unit, and the bands' centres in nm."""

    folder: str
    bands: tuple[str, ...]
    unit: str
    wavelengths: tuple[float, ...] | None = None


S2_BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
S2_WAVELENGTHS = (442.7, 492.4, 559.8, 664.6, 704.1, 740.5, 782.8, 832.8, 864.7, 945.1, 1613.7, 2202.4)
"""Centres of Sentinel-2A's bands (ESA, Sentinel-2 MSI user guide); 2B differs by 1 nm, in B12 by 17 nm."""

PRODUCTS = {
    "s2": Product("S2L2A", S2_BANDS, "reflectance x 10000", S2_WAVELENGTHS),
    "s1": Product("S1RTC", ("VV", "VH"), "dB"),
    "dem": Product("DEM", ("elevation",), "m"),
}
LABELS = "LULC"
MIN_PIXELS, CLASSES_WITH_MIN_PIXELS = 1000, 7
"""The default of ``min_pixels``, and how many classes of the published tiles have as many."""
LAND_COVER = (
    LandClass("water", (30, 110, 225)),
    LandClass("trees", (0, 95, 30)),
    LandClass("flooded vegetation", (0, 165, 150)),
    LandClass("crops", (240, 200, 70)),
    LandClass("built", (215, 45, 45)),
    LandClass("bare", (170, 115, 65)),
    LandClass("snow/ice", (190, 225, 245)),
    LandClass("clouds", (150, 150, 155)),
    LandClass("rangeland", (165, 215, 105)),
)
"""The classes of the label files with the values 1 to 9; 0 means no data."""


@SOURCES.register_module(name="terramind")
class TerraMind(Source):
    """The five example tiles of TerraMind, 224 x 224 pixels of 10 m each, as five scenes.

    Source: Jakubik et al., TerraMind: large-scale generative multimodality for Earth observation (arXiv
    2504.11171); data: github.com/IBM/terramind, folder ``examples``, Apache-2.0. Each tile has its own UTM
    zone (in Brazil, Tanzania, Chile, Canada and Denmark).

    Each of these folders below ``terramind`` holds one ``<tile>.tif`` per tile:

    * ``S2L2A``: ``s2``, 12 x 224 x 224 int16, surface reflectance x 10000.
    * ``S1RTC``: ``s1``, 2 x 224 x 224 float64, VV and VH, terrain-corrected backscatter in dB.
    * ``DEM``: ``dem``, 1 x 224 x 224 int16, elevation in m (on request).
    * ``LULC``: labels, 224 x 224 uint8, 0 (no data) to 9; made by a model, not surveyed.

    Found in the data: ``s2`` 1..14968 (snow above 10000), ``s1`` -32.8..2.6 dB, ``dem`` 0..1218 m; no nodata,
    NaN or zero in ``s2`` and ``s1``. In tile 433D_629L_3_1 all of ``s2`` lies 1000 higher than in the others
    (at 2.2 micrometres even water is at 1100), because the offset of ESA's processing baseline 04.00 was not
    subtracted. It is left as published. Tile 609U_541L_3_0 is all snow/ice, and no other tile has any.

    Labels: a class with fewer than ``min_pixels`` pixels in all tiles together is unlabelled and not in the
    class table, since no split into blocks could train and test it. By default these are flooded vegetation
    (90 pixels in 3 blocks of 32 x 32) and clouds (none). Seven classes stay: water 29118, trees 30295,
    crops 87238, built 12539, bare 3316 (one tile, 14 blocks), snow/ice 50176, rangeland 38108.
    """

    folder: ClassVar[str] = "terramind"

    def __init__(
        self,
        root: str | Path | None = None,
        modalities: Sequence[str] = ("s2", "s1"),
        min_pixels: int = MIN_PIXELS,
    ) -> None:
        """Choose the folder, the rasters and the classes.

        Args:
            root: the folder with ``S2L2A``, ``S1RTC``, ``DEM`` and ``LULC``; None searches ``data_roots()``.
            modalities: some of ``s2``, ``s1`` and ``dem``.
            min_pixels: labelled pixels that a class needs; the default is about one block of 32 x 32.

        Raises:
            InputError: if there is no such modality.
        """
        super().__init__(root)
        for name in modalities:
            if name not in PRODUCTS:
                raise InputError(f"terramind has no modality '{name}', it has {', '.join(PRODUCTS)}")
        self.modalities, self.min_pixels = tuple(modalities), min_pixels

    def load(self, rasters: bool = True) -> list[Scene]:
        """Read the tiles in order of their names and set ``classes``; see ``Source.load``."""
        tiles = self._tiles(self.modalities if rasters else ())
        covers = {tile: read_georaster(self.root / LABELS / f"{tile}.tif") for tile in tiles}
        counts = np.sum([_count(cover) for cover in covers.values()], axis=0)
        kept = [value for value, count in enumerate(counts) if value and count >= max(self.min_pixels, 1)]
        if not kept:
            raise InputError(
                f"terramind: no class has min_pixels={self.min_pixels} pixels, {counts[1:].max()} at most; a "
                "smaller number is expected"
            )
        self.classes = tuple(LAND_COVER[value - 1] for value in kept)
        numbers = np.zeros(len(LAND_COVER) + 1, np.uint8)
        numbers[kept] = np.arange(1, len(kept) + 1)
        return [
            Scene(
                name=tile,
                rasters={name: self._read(tile, name, cover).raster for name in self.modalities if rasters},
                labels=numbers[cover.raster.data[0]],
                classes=self.classes,
                crs=cover.grid.crs,
                transform=cover.grid.transform,
            )
            for tile, cover in covers.items()
        ]

    def channels(self) -> dict[str, int]:
        """Count the products' bands."""
        return {name: len(PRODUCTS[name].bands) for name in self.modalities}

    def num_classes(self) -> int:
        """Return the number for the published tiles; another ``min_pixels`` counts in the label files."""
        return CLASSES_WITH_MIN_PIXELS if self.min_pixels == MIN_PIXELS else super().num_classes()

    def _tiles(self, modalities: Sequence[str]) -> list[str]:
        """Return the tiles' names; each needs a file in every folder that is read."""
        tiles = sorted(path.stem for path in (self.root / LABELS).glob("*.tif"))
        files = [self.root / PRODUCTS[name].folder / f"{tile}.tif" for name in modalities for tile in tiles]
        self.require_files(
            files if tiles else [self.root / LABELS / "*.tif"],
            "the folders S2L2A, S1RTC, DEM and LULC from 'examples' of github.com/IBM/terramind",
        )
        return tiles

    def _read(self, tile: str, name: str, cover: GeoRaster) -> GeoRaster:
        product = PRODUCTS[name]
        read = read_georaster(self.root / product.folder / f"{tile}.tif", unit=product.unit)
        if len(read.raster.data) != len(product.bands):
            raise InputError(
                f"{read.raster.path}: {len(read.raster.data)} bands, expected {', '.join(product.bands)}"
            )
        require_same_grid(tile, cover.grid, read.grid)
        wavelengths = None if product.wavelengths is None else np.array(product.wavelengths)
        return read._replace(raster=replace(read.raster, bands=product.bands, wavelengths=wavelengths))


def _count(cover: GeoRaster) -> NDArray[np.int64]:
    """Count a label file's pixels by value, 0 to 9."""
    values = cover.raster.data[0]
    foreign = (values < UNLABELLED) | (values > len(LAND_COVER))
    if foreign.any():
        row, column = np.argwhere(foreign)[0]
        raise InputError(
            f"{cover.raster.path}: label {values[row, column]} at row {row}, column {column}; 0 (no data) to "
            f"{len(LAND_COVER)} are expected"
        )
    return np.bincount(values.ravel(), minlength=len(LAND_COVER) + 1)
