"""Trento: hyperspectral and LiDAR data of a rural area in Italy."""

from __future__ import annotations

import logging

from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes import class_tables
from m3amba_zoo.scenes.host_files import MatArray
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.scenes.simulation import HsiSpec, LidarSpec
from m3amba_zoo.scenes.standard_scene import Modality, StandardScene

logger = logging.getLogger(__name__)


@SOURCES.register_module(name="trento")
class Trento(StandardScene):
    """Trento: AISA Eagle HSI and LiDAR of orchards and woods south of Trento, 1 m.

    Host: Lorenzo Bruzzone's group, University of Trento, passed on by several GitHub repositories; no licence
    is stated with them.

    =========================  =============  =========================  ============================
    file                       key            shape, dtype               sha256 (bytes)
    =========================  =============  =========================  ============================
    Italy_hsi.mat/HSI.mat      data/HSI       166 x 600 x 63 float32     not measured
    Italy_lidar.mat/LiDAR.mat  data/LiDAR     166 x 600 x 2 float32      a04dc901... (404109)
    TRLabel.mat                TRLabel        166 x 600, 0..6            not measured
    TSLabel.mat                TSLabel        166 x 600, 0..6            not measured
    allgrd.mat                 mask_test      166 x 600 uint8, 0..6      7e3fb2a2... (3235)
    =========================  =============  =========================  ============================

    ``allgrd.mat`` holds all 30,214 labelled pixels: alone it gives labels without an official split, with
    ``TRLabel.mat`` the rest is the test mask.

    Modalities: ``hsi`` (63, 166, 600), 403 to 989 nm; ``lidar`` (2, 166, 600). 6 classes. Official split:
    819 training and 29,395 test pixels; saturated in the literature, a smoke test.

    Cite: Rasti, Ghamisi and Gloaguen, Hyperspectral and LiDAR fusion using extinction profiles and total
    variation component analysis, IEEE TGRS 55 (2017) 3997-4007.
    """

    name = folder = "trento"
    host = "the University of Trento, or who passes it on (for example tyust-dayu/Trento on GitHub)"
    classes = class_tables.TRENTO
    size = (166, 600)
    modalities = {  # noqa: RUF012  # a table, read only
        "hsi": Modality(
            63,
            "float32",
            (MatArray("Italy_hsi.mat", "data", named=True), MatArray("HSI.mat", "HSI")),
            HsiSpec(63, 402.9, 989.1),
        ),
        "lidar": Modality(
            2,
            "float32",
            (MatArray("Italy_lidar.mat", "data", named=True), MatArray("LiDAR.mat", "LiDAR")),
            LidarSpec(2),
        ),
    }
    train = (MatArray("TRLabel.mat", "TRLabel"), MatArray("mask_train.mat", "mask_train"))
    # key mask_test is used for two things: the test mask, and in allgrd.mat all labels
    test = (MatArray("TSLabel.mat", "TSLabel"), MatArray("mask_test.mat", "mask_test", named=True))
    whole = (
        MatArray(
            "allgrd.mat",
            "mask_test",
            named=True,
            sha256="7e3fb2a2ea22c2661dfc768db3cb93c9643b324e7e64fadedfa57f5edbf1818f",
        ),
    )
    train_counts = class_tables.TRENTO_TRAIN_COUNTS
    test_counts = class_tables.TRENTO_TEST_COUNTS

    def load(self, rasters: bool = True) -> list[Scene]:
        """Read the scene, with a warning where the file of the official split is missing; see Source.load."""
        scenes = super().load(rasters)
        if scenes[0].official is None:
            logger.warning(
                "%s: there is no TRLabel.mat (key TRLabel, 819 training pixels) beside allgrd.mat and so no "
                "official split; fetch it from %s, or use a split of type 'blocks'",
                *(self.name, self.host),
            )
        return scenes
