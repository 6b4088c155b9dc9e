"""IDTReeS 2020: hyperspectral and LiDAR data of 85 forest plots (20 m x 20 m) with tree taxa as labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters import Raster
from m3amba_zoo.rasters.grid import Grid, require_same_grid
from m3amba_zoo.rasters.opening import read_georaster, read_grid
from m3amba_zoo.reading import read_table
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.palette import distinct_color
from m3amba_zoo.scenes.scene import LandClass, Scene
from m3amba_zoo.scenes.shapes import Shapes, cover_by_value, merge_covers
from m3amba_zoo.scenes.source import Source
from m3amba_zoo.scenes.vectors import read_shapes

SITES = ("MLBS", "OSBS")
KEPT_NEON_BANDS = np.r_[0:192, 210:283, 315:419]
WAVELENGTHS = 383.5 + 5.0078 * KEPT_NEON_BANDS
"""Nominal centres of the bands in nm, see ``IDTReeS``."""

LIDAR_FOLDERS = {"height": "CHM", "metrics": "LIDAR"}
METRICS = (
    "h_max",
    "h_p50",
    "h_mean",
    "h_std",
    "h_min",
    "n_points",
    "intensity_mean",
    "intensity_first",
    "returns_mean",
)
"""Bands of the metrics: heights in m above ground, points, intensities (all, first returns), returns."""

MIN_PIXELS, MIN_PLOTS, TAXA_WITH_BOTH = 200, 3, 13
"""The default thresholds, and how many taxa of the published data reach them."""

Covers = dict[object, NDArray[np.bool_]]


@SOURCES.register_module(name="idtrees")
class IDTReeS(Source):
    """IDTReeS 2020 training data: the plots as scenes, the taxa of the field data as classes.

    Source: Graves et al., Data science competition for cross-site individual tree species identification
    from airborne remote sensing data, PeerJ 11:e16578 (2023); data: Zenodo, record 3934932. NEON sites MLBS
    (46 plots, Virginia) and OSBS (39, Florida), WGS 84 / UTM zone 17N.

    Files below the folder ``idtrees/train``, as published:

    * ``RemoteSensing/HSI/<plot>.tif``: ``hsi``, 369 x 20 x 20 int16, 1 m, reflectance x 10000.
    * ``RemoteSensing/CHM/<plot>.tif``: ``lidar``, 1 x 20 x 20 float32, canopy height above ground in m.
    * ``RemoteSensing/LIDAR/<plot>.tif``, made from the published point cloud: ``lidar`` if metrics are asked
      for in place of the height. 9 x 20 x 20 float32, the bands ``METRICS`` of a pixel's points without noise
      (classes 7 and 18), heights above the ground of class 2; NaN, the nodata, where no point fell.
    * ``ITC/train_<site>.shp``: 1,215 crowns with ``indvdID``; all are upright boxes around a crown, so
      their corners often show another tree or the ground.
    * ``Field/train_data.csv``: ``indvdID``, ``taxonID``, ``scientificName`` and more; 67 crowns have none.

    The files hold no wavelengths. Those given here are nominal, within about 3 nm: the NEON spectrometer's
    426 bands (383.5 + 5.0078 i nm, refitted by NEON each year) without those that the organisers' group
    drops for water vapour, i = 192..209, 283..314 and 419..425 (weecology/DeepTreeAttention,
    Hyperspectral.py). The spectra agree: they jump where these bands are missing, oxygen absorbs at 759 nm,
    and carbon dioxide at 2003 and 2053 nm.

    Found in the data: ``hsi`` 0..7590 without nodata. Negative reflectances are stored as 0. Shadows have
    them in single bands, and nearly all pixels of 19 plots of MLBS in band 0 (384 nm), which therefore tells
    flights apart rather than trees. ``lidar`` 0..37.3 m; nodata is declared and does not occur. OSBS_35
    repeats OSBS_16 pixel by pixel (neither has a pixel of a class kept by default). 42 crowns reach into
    two plots; 26 further pairs of plots touch or lie at most about 3 m apart.

    Labels: a pixel has the taxon of the crowns over its centre. If crowns of different taxa overlap there,
    it is unlabelled. Crowns without a taxon are ignored. A taxon is a class if it has at least
    ``min_pixels`` pixels under crowns (overlaps included) in at least ``min_plots`` plots. Classes are in
    the order of their codes: by default 13, with 17,870 labelled pixels. The objects are the crowns of one
    tree (``indvdID``); where crowns overlap, a pixel belongs to the later one in the file.
    """

    folder: ClassVar[str] = "idtrees"

    def __init__(
        self,
        root: str | Path | None = None,
        min_pixels: int = MIN_PIXELS,
        min_plots: int = MIN_PLOTS,
        lidar: str = "height",
    ) -> None:
        """Choose the folder and the taxa that become classes.

        Args:
            root: the folder with ``train``, or ``train`` itself; None searches ``data_roots()``.
            min_pixels: pixels under crowns that a taxon needs to be a class.
            min_plots: plots with such pixels that a taxon needs to be a class.
            lidar: ``height``, the canopy height, or ``metrics``, the nine metrics of the point cloud.

        Raises:
            InputError: if ``lidar`` is neither.
        """
        super().__init__(root)
        if lidar not in LIDAR_FOLDERS:
            raise InputError(f"idtrees: lidar is {lidar!r}; {' or '.join(LIDAR_FOLDERS)} is expected")
        self.lidar = lidar
        self.min_pixels, self.min_plots = min_pixels, min_plots

    def load(self, rasters: bool = True) -> list[Scene]:
        """Read the plots in order of their names and set ``classes``; see ``Source.load``."""
        base = self.root / "train" if (self.root / "train").is_dir() else self.root
        plots = self._plots(base)
        taxa = _read_taxa(base / "Field" / "train_data.csv")
        crowns = {site: read_shapes(base / "ITC" / f"train_{site}.shp", "indvdID") for site in SITES}
        grids = {plot: read_grid(base / "RemoteSensing" / "CHM" / f"{plot}.tif") for plot in plots}
        trees = {plot: _cover(crowns[plot.split("_")[0]], grid) for plot, grid in grids.items()}
        covers = {plot: _by_taxon(cover, taxa) for plot, cover in trees.items()}
        kept = self._choose_taxa(covers)
        names = dict(taxa.values())
        self.classes = tuple(
            LandClass(f"{taxon} ({names[taxon]})", distinct_color(index)) for index, taxon in enumerate(kept)
        )
        numbers: dict[object, int] = {taxon: number for number, taxon in enumerate(kept, start=1)}
        tree_numbers: dict[object, int] = {tree: number for number, tree in enumerate(taxa, start=1)}
        return [
            Scene(
                name=plot,
                rasters=self._read_rasters(base, plot, grid) if rasters else {},
                labels=merge_covers(covers[plot].items(), numbers, grid.shape)[0],
                classes=self.classes,
                crs=grid.crs,
                transform=grid.transform,
                objects=_number_trees(trees[plot], tree_numbers, grid.shape),
            )
            for plot, grid in grids.items()
        ]

    def channels(self) -> dict[str, int]:
        """Return the bands of the published rasters, or of the metrics."""
        return {"hsi": len(WAVELENGTHS), "lidar": len(METRICS) if self.lidar == "metrics" else 1}

    def num_classes(self) -> int:
        """Return the number for the published data; other thresholds count in the files."""
        published = (self.min_pixels, self.min_plots) == (MIN_PIXELS, MIN_PLOTS)
        return TAXA_WITH_BOTH if published else super().num_classes()

    def _plots(self, base: Path) -> list[str]:
        """Return the plots' names; both rasters of each, the crowns and the field data must be there."""
        plots = sorted((path.stem for path in base.glob("RemoteSensing/HSI/*.tif")), key=_plot_order)
        rasters = [base / "RemoteSensing" / "CHM" / f"{plot}.tif" for plot in plots]
        rasters = rasters or [base / "RemoteSensing" / "HSI" / "*.tif"]
        crowns = [base / "ITC" / f"train_{site}.shp" for site in SITES]
        self.require_files(
            [*rasters, *crowns, base / "Field" / "train_data.csv"],
            "IDTREES_competition_train_v2.zip of the IDTReeS 2020 competition (Zenodo, record 3934932) and "
            "unpack it, with its folder 'train',",
        )
        if self.lidar == "metrics":
            self.require_files(
                [base / "RemoteSensing" / "LIDAR" / f"{plot}.tif" for plot in plots],
                "the point clouds of the same record, make rasters of their metrics "
                f"({', '.join(METRICS)}) and put these",
            )
        for plot in plots:
            if plot.split("_")[0] not in SITES:
                raise InputError(
                    f"{base / 'RemoteSensing' / 'HSI' / plot}.tif: the plot's name should begin with a site, "
                    f"{' or '.join(SITES)}"
                )
        return plots

    def _read_rasters(self, base: Path, plot: str, of_labels: Grid) -> dict[str, Raster]:
        folder = base / "RemoteSensing"
        hsi = read_georaster(folder / "HSI" / f"{plot}.tif", unit="reflectance x 10000")
        unit = "m" if self.lidar == "height" else "see METRICS"
        lidar = read_georaster(folder / LIDAR_FOLDERS[self.lidar] / f"{plot}.tif", unit=unit)
        expected = self.channels()["lidar"]
        if len(lidar.raster.data) != expected:
            raise InputError(f"{lidar.raster.path}: {len(lidar.raster.data)} bands, expected {expected}")
        bands = METRICS if self.lidar == "metrics" else lidar.raster.bands
        if lidar.raster.bands not in ((), bands):
            raise InputError(
                f"{lidar.raster.path}: the bands are {', '.join(lidar.raster.bands)}, expected "
                f"{', '.join(bands)}"
            )
        for other in (lidar.grid, of_labels):
            require_same_grid(plot, hsi.grid, other)
        return {
            "hsi": replace(hsi.raster, wavelengths=WAVELENGTHS),
            "lidar": replace(lidar.raster, bands=bands),
        }

    def _choose_taxa(self, covers: dict[str, Covers]) -> list[str]:
        """Return the taxa with enough pixels and plots, in the order of their codes."""
        pixels: Counter[str] = Counter()
        plots: Counter[str] = Counter()
        for cover in covers.values():
            for taxon, mask in cover.items():
                pixels[str(taxon)] += int(mask.sum())
                plots[str(taxon)] += bool(mask.any())
        enough = (taxon for taxon, count in pixels.items() if count >= self.min_pixels)
        kept = sorted(taxon for taxon in enough if plots[taxon] >= self.min_plots)
        if not kept:
            most = ", ".join(f"{taxon} {count}" for taxon, count in pixels.most_common(3)) or "none"
            raise InputError(
                f"idtrees, {self.root}: no taxon has min_pixels={self.min_pixels} pixels in "
                f"min_plots={self.min_plots} plots (most pixels: {most}); smaller thresholds are expected"
            )
        return kept


def _plot_order(plot: str) -> tuple[str, int]:
    site, _, number = plot.partition("_")
    return site, int(number) if number.isdigit() else 0


def _read_taxa(path: Path) -> dict[str, tuple[str, str]]:
    """Read each tree's taxon code and name (genus and species, without author) by ``indvdID``."""
    _, rows = read_table(path, ("indvdID", "taxonID", "scientificName"))
    return {
        row["indvdID"]: (row["taxonID"], " ".join(row["scientificName"].split()[:2]))
        for _, row in rows
        if row["indvdID"] and row["taxonID"]
    }


def _cover(crowns: Shapes, grid: Grid) -> Covers:
    if grid.transform is None:
        raise InputError(f"{grid.path}: no georeference, but crowns are placed by coordinates")
    return dict(cover_by_value(crowns.to_crs(grid.crs), grid.shape, grid.transform))


def _by_taxon(trees: Covers, taxa: dict[str, tuple[str, str]]) -> Covers:
    """Join the crowns of each taxon; those of trees that the field data lacks are left out."""
    covers: Covers = {}
    for tree, mask in trees.items():
        if tree in taxa:
            taxon = taxa[str(tree)][0]
            covers[taxon] = covers[taxon] | mask if taxon in covers else mask
    return covers


def _number_trees(trees: Covers, numbers: dict[object, int], shape: tuple[int, int]) -> NDArray[np.int64]:
    """Map the number of each pixel's tree, ``(H, W)``; 0 where none of the field data stands."""
    objects = np.zeros(shape, np.int64)
    for tree, mask in trees.items():
        if tree in numbers:
            objects[mask] = numbers[tree]
    return objects
