"""Augsburg and Berlin, the scenes of the S2FL benchmark, which name their files alike.

Host: German Aerospace Center (DLR) and Technical University of Munich, with the S2FL paper; no licence is
stated with the copies that circulate.

Cite: Hong et al., Multimodal remote sensing benchmark datasets for land cover classification with a shared
and specific feature learning model, ISPRS J. Photogramm. Remote Sens. 178 (2021) 68-80.
"""

from __future__ import annotations

from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.scene import LandClass
from m3amba_zoo.scenes.simulation import DsmSpec, HsiSpec, SarSpec
from m3amba_zoo.scenes.standard_scene import MatArray, Modality, StandardScene

HSI = (MatArray("data_hsi.mat", "data", named=True), MatArray("data_HS_LR.mat", "data_HS_LR"))
SAR = (MatArray("data_sar.mat", "data", named=True), MatArray("data_SAR_HR.mat", "data_SAR_HR"))
DSM = (MatArray("data_DSM.mat", "data_DSM"), MatArray("data_DSM.mat", "data", named=True))


class S2FLScene(StandardScene):
    """What both scenes share: the host, and the files of the masks."""

    host = "the S2FL benchmark of Hong et al. 2021 (German Aerospace Center, TU Munich)"
    train = (MatArray("TrainImage.mat", "TrainImage"), MatArray("mask_train.mat", "mask_train"))
    test = (MatArray("TestImage.mat", "TestImage"), MatArray("mask_test.mat", "mask_test"))


@SOURCES.register_module(name="augsburg")
class Augsburg(S2FLScene):
    """Augsburg: HySpex HSI, Sentinel-1 SAR and a surface model of the city of Augsburg, 30 m.

    ============================  ==========================  ==================  =======================
    file                          key                         shape, dtype        sha256 (bytes)
    ============================  ==========================  ==================  =======================
    data_hsi.mat/data_HS_LR.mat   data/data_HS_LR             332 x 485 x 180     not measured
    data_sar.mat/data_SAR_HR.mat  data/data_SAR_HR            332 x 485 x 4       not measured
    data_DSM.mat (optional)       data_DSM/data               332 x 485 float64   b4c59568... (1146923), m
    TrainImage/mask_train.mat     TrainImage/mask_train       332 x 485, 0..7     b912b380... (1898)
    TestImage/mask_test.mat       TestImage/mask_test         332 x 485, 0..7     87f9c9e0... (26679)
    ============================  ==========================  ==================  =======================

    Modalities: ``hsi`` (180, 332, 485), 400 to 2500 nm; ``sar`` (4, 332, 485), dual-polarised features;
    ``dsm`` (1, 332, 485), read only if ``modalities`` names it. 7 classes. Official split: 761 training and
    77,533 test pixels.
    """

    name = folder = "augsburg"
    classes = (
        LandClass("forest", (0, 95, 30)),
        LandClass("residential area", (250, 175, 160)),
        LandClass("industrial area", (200, 45, 60)),
        LandClass("low plants", (150, 215, 75)),
        LandClass("allotment", (235, 205, 70)),
        LandClass("commercial area", (150, 80, 190)),
        LandClass("water", (30, 110, 225)),
    )
    size = (332, 485)
    modalities = {  # noqa: RUF012  # a table, read only
        "hsi": Modality(180, "uint16", HSI, HsiSpec(180)),
        "sar": Modality(4, "float64", SAR, SarSpec()),
        "dsm": Modality(1, "float64", DSM, DsmSpec(), unit="m", optional=True),
    }
    train_counts = (146, 264, 21, 248, 52, 7, 23)
    test_counts = (13361, 30065, 3830, 26609, 523, 1638, 1507)


@SOURCES.register_module(name="berlin")
class Berlin(S2FLScene):
    """Berlin: EnMAP-like HSI (simulated by its authors from HyMap) and Sentinel-1 SAR, urban and rural.

    ============================  ======================  ====================  =======================
    file                          key                     shape                 sha256
    ============================  ======================  ====================  =======================
    data_hsi.mat/data_HS_LR.mat   data/data_HS_LR         1723 x 476 x 244      not measured
    data_sar.mat/data_SAR_HR.mat  data/data_SAR_HR        1723 x 476 x 4        not measured
    TrainImage/mask_train.mat     TrainImage/mask_train   1723 x 476, 0..8      not measured
    TestImage/mask_test.mat       TestImage/mask_test     1723 x 476, 0..8      not measured
    ============================  ======================  ====================  =======================

    The host's dtypes could not be measured; a stand-in holds the HSI as uint16.

    Modalities: ``hsi`` (244, 1723, 476), 400 to 2500 nm; ``sar`` (4, 1723, 476), dual-polarised features.
    8 classes. Official split: about 2,820 training and 461,851 test pixels.
    """

    name = folder = "berlin"
    classes = (
        *Augsburg.classes[:4],
        LandClass("soil", (160, 105, 60)),
        *Augsburg.classes[4:],
    )
    size = (1723, 476)
    modalities = {  # noqa: RUF012  # a table, read only
        "hsi": Modality(244, "uint16", HSI, HsiSpec(244)),
        "sar": Modality(4, "float32", SAR, SarSpec()),
    }
    train_counts = (443, 423, 499, 376, 331, 280, 298, 170)
    test_counts = (54511, 268219, 19067, 58906, 17095, 13025, 24526, 6502)
