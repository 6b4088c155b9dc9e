"""MUUFL Gulfport: hyperspectral and LiDAR data of a university campus in Mississippi."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.scene import LandClass
from m3amba_zoo.scenes.simulation import HsiSpec, LidarSpec
from m3amba_zoo.scenes.standard_scene import MatArray, Modality, StandardScene

# labelled pixels by class
COUNTS = (23246, 4270, 6882, 1826, 6687, 466, 2233, 6240, 1385, 183, 269)
STRUCT_FILE = "muufl_gulfport_campus_1_hsi_220_label.mat"
HSI = (MatArray(STRUCT_FILE, "hsi.Data"), MatArray("hsi.mat", "HSI"))
LIDAR = (MatArray(STRUCT_FILE, "hsi.Lidar.0.z"), MatArray("lidar.mat", "lidar"))
RETURNS = 2


@SOURCES.register_module(name="muufl")
class MUUFL(StandardScene):
    """MUUFL Gulfport: CASI HSI and LiDAR of the University of Southern Mississippi's Gulf Park campus, 2010.

    Host: Machine Learning and Sensing Lab, University of Florida (GatorSense/MUUFLGulfport on GitHub); use
    asks for citation of both reports below.

    =========================================  ======================  ==========================
    file                                       key                     shape
    =========================================  ======================  ==========================
    muufl_gulfport_campus_1_hsi_220_label.mat  hsi.Data                325 x 220 x 64
    the same                                   hsi.Lidar{1}.z, {2}.z   325 x 220 x 2 each
    the same                                   hsi.sceneLabels.labels  325 x 220, -1 or 1..11
    hsi.mat                                    HSI                     325 x 220 x 64
    lidar.mat                                  lidar                   325 x 220 x 2
    gt.mat                                     gt                      325 x 220, 0..11
    train_test_gt.mat (instead of gt.mat)      trainlabels,            325 x 220, 0..11
                                               testlabels
    =========================================  ======================  ==========================

    The file is one struct, or split into three; sha256 could not be measured.

    Modalities: ``hsi`` (64, 325, 220), from which the host removed noisy bands at both ends; ``lidar``
    (2, 325, 220), two channels of one of two returns, the first an elevation in m. A card must state which
    return it used, and which ``bands`` if not both. 11 classes, 53,687 labelled pixels. There is no official
    split: the random one in ``train_test_gt.mat`` leaks and is read as labels only.

    Cite: Gader, Zare, Close, Aitken and Tuell, MUUFL Gulfport hyperspectral and LiDAR airborne data set,
    Univ. of Florida, Tech. Rep. REP-2013-570; Du and Zare, Scene label ground truth map for MUUFL Gulfport
    data set, Univ. of Florida, Tech. Rep. 20170417.
    """

    name = folder = "muufl"
    host = "GatorSense/MUUFLGulfport on GitHub (University of Florida; cite its two reports)"
    classes = (
        LandClass("trees", (0, 95, 30)),
        LandClass("mostly grass", (110, 205, 60)),
        LandClass("mixed ground surface", (205, 190, 130)),
        LandClass("dirt and sand", (175, 120, 65)),
        LandClass("road", (125, 125, 135)),
        LandClass("water", (30, 110, 225)),
        LandClass("building shadow", (60, 45, 95)),
        LandClass("building", (215, 45, 45)),
        LandClass("sidewalk", (225, 225, 235)),
        LandClass("yellow curb", (255, 215, 0)),
        LandClass("cloth panels", (240, 100, 180)),
    )
    size = (325, 220)
    modalities = {  # noqa: RUF012  # a table, read only
        "hsi": Modality(64, "float32", HSI, HsiSpec(64, 410.0, 1010.0)),
        "lidar": Modality(2, "float32", LIDAR, LidarSpec(2 * RETURNS)),
    }
    train = (MatArray("train_test_gt.mat", "trainlabels"),)
    test = (MatArray("train_test_gt.mat", "testlabels"),)
    whole = (MatArray(STRUCT_FILE, "hsi.sceneLabels.labels"), MatArray("gt.mat", "gt"))
    # there is no standard split: a stand-in trains on 5 % of the pixels, as much of the literature does
    train_counts = tuple(max(count // 20, 1) for count in COUNTS)
    test_counts = tuple(count - max(count // 20, 1) for count in COUNTS)
    unlabelled = (0, -1)
    official_split = False

    def __init__(
        self,
        root: str | Path | None = None,
        modalities: Iterable[str] | None = None,
        bands: Mapping[str, Sequence[int]] | None = None,
        lidar_return: int = 1,
    ) -> None:
        """Choose the folder, the rasters and the LiDAR return.

        ``lidar_return`` is 1 or 2, as the host counts. ``lidar.mat`` holds one return and does not say which,
        so return 2 is read from the struct only. ``bands={"lidar": [0]}`` keeps one of its two channels.
        For the other arguments see ``StandardScene``.

        Raises:
            InputError: if there is no such modality, band or return.
        """
        if lidar_return not in range(1, RETURNS + 1):
            raise InputError(f"muufl: lidar_return is {lidar_return}, expected 1 or 2")
        if lidar_return != 1:
            place = MatArray(STRUCT_FILE, f"hsi.Lidar.{lidar_return - 1}.z")
            lidar = replace(self.modalities["lidar"], places=(place,))
            self.modalities = {**self.modalities, "lidar": lidar}
        super().__init__(root, modalities, bands)
