"""Berlin: hyperspectral and SAR data of the German Aerospace Center."""

from __future__ import annotations

from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.augsburg import HOST, HSI, SAR, TEST, TRAIN
from m3amba_zoo.scenes.scene import LandClass
from m3amba_zoo.scenes.simulation import HsiSpec, SarSpec
from m3amba_zoo.scenes.standard_scene import Modality, StandardScene


@SOURCES.register_module(name="berlin")
class Berlin(StandardScene):
    """Berlin: EnMAP-like HSI (simulated by its authors from HyMap) and Sentinel-1 SAR, urban and rural.

    Host: German Aerospace Center (DLR) and Technical University of Munich, with the S2FL paper; no licence
    is stated with the copies that circulate.

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

    Cite: Hong et al., Multimodal remote sensing benchmark datasets for land cover classification with a
    shared and specific feature learning model, ISPRS J. Photogramm. Remote Sens. 178 (2021) 68-80.
    """

    name = folder = "berlin"
    host = HOST
    classes = (
        LandClass("forest", (0, 95, 30)),
        LandClass("residential area", (250, 175, 160)),
        LandClass("industrial area", (200, 45, 60)),
        LandClass("low plants", (150, 215, 75)),
        LandClass("soil", (160, 105, 60)),
        LandClass("allotment", (235, 205, 70)),
        LandClass("commercial area", (150, 80, 190)),
        LandClass("water", (30, 110, 225)),
    )
    size = (1723, 476)
    modalities = {  # noqa: RUF012  # a table, read only
        "hsi": Modality(244, "uint16", HSI, HsiSpec(244)),
        "sar": Modality(4, "float32", SAR, SarSpec()),
    }
    train, test = TRAIN, TEST
    train_counts = (443, 423, 499, 376, 331, 280, 298, 170)
    test_counts = (54511, 268219, 19067, 58906, 17095, 13025, 24526, 6502)
