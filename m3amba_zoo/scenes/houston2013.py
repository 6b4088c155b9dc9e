"""Houston 2013: hyperspectral and LiDAR data of the IEEE GRSS Data Fusion Contest 2013."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.rasters.opening import read_georaster, read_grid
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.envi_roi import read_regions
from m3amba_zoo.scenes.scene import LandClass
from m3amba_zoo.scenes.simulation import HsiSpec, LidarSpec
from m3amba_zoo.scenes.standard_scene import Folder, MatArray, Modality, Place, StandardScene

CONTEST = "2013_IEEE_GRSS_DF_Contest"
CASI_WAVELENGTHS = tuple(np.round(np.linspace(364.0, 1046.1, 144), 1).tolist())
"""Band centres of the contest's CASI image in nm, as its ENVI header lists them: 364.0 to 1046.1, even."""


@dataclass(frozen=True)
class ContestImage(Place):
    """An image of the contest as GeoTIFF or ENVI file; the suffix may differ from that of ``file``."""

    def search(self, folder: Folder) -> list[Path]:
        """Return the image files of the contest's name."""
        stem = Path(self.file).stem.lower()
        suffixes = ("", ".tif", ".tiff", ".img", ".dat")
        return [file for file in folder.files if file.name.lower() in [stem + suffix for suffix in suffixes]]

    def read(self, path: Path, size: tuple[int, int]) -> NDArray:
        """Read all bands."""
        return read_georaster(path).raster.data

    def georeference(self, path: Path) -> dict[str, Any]:
        """Return the image's ``crs`` and ``transform``."""
        grid = read_grid(path)
        return {"crs": grid.crs, "transform": grid.transform}


@dataclass(frozen=True)
class ContestRegions(Place):
    """Regions of interest that ENVI wrote as text: one region per class, in the order of the classes."""

    def search(self, folder: Folder) -> list[Path]:
        """Return the text file of the contest's name."""
        return folder.named(self.file)

    def read(self, path: Path, size: tuple[int, int]) -> NDArray:
        """Draw the regions into a label map ``(1, H, W)``."""
        regions = read_regions(path)
        regions.require_size(size, "the scene")
        labels = np.zeros((1, *size), np.uint8)
        for number, region in enumerate(regions.regions, start=1):
            labels[0, region.rows, region.columns] = number
        return labels


@SOURCES.register_module(name="houston2013")
class Houston2013(StandardScene):
    """Houston 2013: HSI and a LiDAR surface model of the University of Houston campus, June 2012, 2.5 m.

    Host: IEEE GRSS Data Fusion Contest 2013, University of Houston, on registration. The terms forbid
    redistribution. The scene circulates with and without the cloud shadow in its east. The files do not
    tell which, so a card that reports on it must.

    =====================  ========  ===================  ==============================================
    file                   key       shape, dtype         sha256 (bytes)
    =====================  ========  ===================  ==============================================
    HSI.mat                HSI       349 x 1905 x 144     not measured (uint16 in the contest's image)
    LiDAR_1.mat/LiDAR.mat  LiDAR     349 x 1905           not measured (float32 in the contest's image), m
    TRLabel.mat            TRLabel   349 x 1905, 0..15    b0ea556a... (5058)
    TSLabel.mat            TSLabel   349 x 1905, 0..15    43759d8f... (9617)
    =====================  ========  ===================  ==============================================

    or as the contest gave them out: ``2013_IEEE_GRSS_DF_Contest_CASI.tif``, ``..._LiDAR.tif`` (GeoTIFF or
    ENVI, the scene is then georeferenced) with ``..._Samples_TR.txt`` and ``..._Samples_VA.txt`` (ENVI
    regions as text).

    Modalities: ``hsi`` (144, 349, 1905), 364 to 1046 nm; ``lidar`` (1, 349, 1905). 15 classes. Official
    split: 2,832 training and 12,197 test pixels.

    Cite: Debes et al., Hyperspectral and LiDAR data fusion: outcome of the 2013 GRSS Data Fusion Contest,
    IEEE JSTARS 7 (2014) 2405-2418.
    """

    name = folder = "houston2013"
    host = (
        "the IEEE GRSS Data Fusion Contest 2013 (University of Houston, on registration; its terms forbid "
        "redistribution)"
    )
    classes = (
        LandClass("healthy grass", (60, 205, 60)),
        LandClass("stressed grass", (175, 225, 70)),
        LandClass("synthetic grass", (0, 150, 125)),
        LandClass("trees", (0, 95, 30)),
        LandClass("soil", (160, 105, 60)),
        LandClass("water", (30, 110, 225)),
        LandClass("residential", (250, 205, 195)),
        LandClass("commercial", (215, 45, 45)),
        LandClass("road", (125, 125, 135)),
        LandClass("highway", (255, 150, 30)),
        LandClass("railway", (95, 50, 120)),
        LandClass("parking lot 1", (250, 230, 90)),
        LandClass("parking lot 2", (190, 160, 25)),
        LandClass("tennis court", (125, 215, 240)),
        LandClass("running track", (240, 100, 180)),
    )
    size = (349, 1905)
    modalities = {  # noqa: RUF012  # a table, read only
        "hsi": Modality(
            144,
            "uint16",
            (MatArray("HSI.mat", "HSI"), ContestImage(f"{CONTEST}_CASI.tif")),
            HsiSpec(144, CASI_WAVELENGTHS[0], CASI_WAVELENGTHS[-1]),
            unit="digital number of spectral radiance",
            wavelengths=CASI_WAVELENGTHS,
        ),
        "lidar": Modality(
            1,
            "float32",
            (
                MatArray("LiDAR_1.mat", "LiDAR"),
                MatArray("LiDAR.mat", "LiDAR"),
                ContestImage(f"{CONTEST}_LiDAR.tif"),
            ),
            LidarSpec(),
            unit="m",
        ),
    }
    train = (MatArray("TRLabel.mat", "TRLabel"), ContestRegions(f"{CONTEST}_Samples_TR.txt"))
    test = (MatArray("TSLabel.mat", "TSLabel"), ContestRegions(f"{CONTEST}_Samples_VA.txt"))
    train_counts = (198, 190, 192, 188, 186, 182, 196, 191, 193, 191, 181, 192, 184, 181, 187)
    test_counts = (
        1053, 1064, 505, 1056, 1056, 143, 1072, 1053, 1059, 1036, 1054, 1041, 285, 247, 473
    )  # fmt: skip
