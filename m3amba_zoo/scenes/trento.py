"""Trento: hyperspectral and LiDAR data of a rural area in Italy."""

from __future__ import annotations

import logging

from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.scene import LandClass, Scene
from m3amba_zoo.scenes.simulation import HsiSpec, LidarSpec
from m3amba_zoo.scenes.standard_scene import MatArray, Modality, StandardScene

HSI = (MatArray("Italy_hsi.mat", "data", named=True), MatArray("HSI.mat", "HSI"))
LIDAR = (MatArray("Italy_lidar.mat", "data", named=True), MatArray("LiDAR.mat", "LiDAR"))

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

    ``allgrd.mat`` holds all 30,214 labelled pixels. Alone it gives labels without an official split. With
    ``TRLabel.mat``, the pixels that do not train are the test mask.

    Modalities: ``hsi`` (63, 166, 600), 403 to 989 nm; ``lidar`` (2, 166, 600). 6 classes. Official split:
    819 training and 29,395 test pixels; saturated in the literature, a smoke test.

    Cite: Rasti, Ghamisi and Gloaguen, Hyperspectral and LiDAR fusion using extinction profiles and total
    variation component analysis, IEEE TGRS 55 (2017) 3997-4007.
    """

    name = folder = "trento"
    host = "the University of Trento, or a host that passes it on (for example tyust-dayu/Trento on GitHub)"
    classes = (
        LandClass("apple trees", (225, 70, 90)),
        LandClass("buildings", (250, 175, 60)),
        LandClass("ground", (165, 110, 65)),
        LandClass("woods", (0, 95, 30)),
        LandClass("vineyard", (155, 210, 75)),
        LandClass("roads", (125, 125, 135)),
    )
    size = (166, 600)
    modalities = {  # noqa: RUF012  # a table, read only
        "hsi": Modality(63, "float32", HSI, HsiSpec(63, 402.9, 989.1)),
        "lidar": Modality(2, "float32", LIDAR, LidarSpec(2)),
    }
    train = (MatArray("TRLabel.mat", "TRLabel"), MatArray("mask_train.mat", "mask_train"))
    # hosts use the key mask_test for two things: the test mask, and in allgrd.mat all labels
    test = (MatArray("TSLabel.mat", "TSLabel"), MatArray("mask_test.mat", "mask_test", named=True))
    whole = (MatArray("allgrd.mat", "mask_test", named=True),)
    train_counts = (129, 125, 105, 154, 184, 122)
    test_counts = (3905, 2778, 374, 8969, 10317, 3052)

    def load(self, rasters: bool = True) -> list[Scene]:
        """Read the scene; warn if the file of the official split is missing; see ``Source.load``."""
        scenes = super().load(rasters)
        if scenes[0].official is None:
            logger.warning(
                "%s: there is no TRLabel.mat (key TRLabel, 819 training pixels) beside allgrd.mat and so no "
                "official split; fetch it from %s, or use a split of type 'blocks'",
                *(self.name, self.host),
            )
        return scenes
