"""The standard scenes' files as their hosts lay them out, small and generated."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

from m3amba_zoo.scenes.houston2013 import Houston2013
from m3amba_zoo.scenes.muufl import MUUFL
from m3amba_zoo.scenes.s2fl import Augsburg, Berlin
from m3amba_zoo.scenes.standard_scene import StandardScene
from m3amba_zoo.scenes.trento import Trento

SIZE = (40, 52)
Files = dict[str, dict[str, Any]]


def arrays(source: type[StandardScene]) -> dict[str, np.ndarray]:
    """Every array a host might publish of a small scene, in MATLAB's axis order."""
    rng = np.random.default_rng(0)
    made = {
        name: rng.integers(0, 1000, (*SIZE, modality.bands)).astype(modality.dtype)
        for name, modality in source.modalities.items()
    }
    for name, modality in source.modalities.items():
        if modality.bands == 1:
            made[name] = made[name][..., 0]
    train, test = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    for label in range(1, len(source.classes) + 1):
        train.flat[20 * label : 20 * label + 3] = label
        test.flat[20 * label + 5 : 20 * label + 14] = label
    return {**made, "train": train, "test": test, "whole": np.maximum(train, test)}


def write(folder: Path, files: Files, version: str = "v5") -> Path:
    folder.mkdir(exist_ok=True)
    for name, variables in files.items():
        if version == "v5":
            scipy.io.savemat(folder / name, variables)
        else:
            with h5py.File(folder / name, "w") as file:
                for key, value in variables.items():
                    file[key] = value.T
    return folder


# source, and the name of an array by key by file
LAYOUTS: dict[str, tuple[type[StandardScene], dict[str, dict[str, str]]]] = {
    "houston2013": (
        Houston2013,
        {
            "HSI.mat": {"HSI": "hsi"},
            "LiDAR.mat": {"LiDAR": "lidar"},
            "TRLabel.mat": {"TRLabel": "train"},
            "TSLabel.mat": {"TSLabel": "test"},
        },
    ),
    "houston2013 in one file": (
        Houston2013,
        {"all.MAT": {"HSI": "hsi", "LiDAR": "lidar", "TRLabel": "train", "TSLabel": "test"}},
    ),
    "augsburg": (
        Augsburg,
        {
            "data_hsi.mat": {"data": "hsi"},
            "data_sar.mat": {"data": "sar"},
            "data_DSM.mat": {"data": "dsm"},
            "mask_train.mat": {"mask_train": "train"},
            "mask_test.mat": {"mask_test": "test"},
        },
    ),
    "augsburg, other host": (
        Augsburg,
        {
            "data_HS_LR.mat": {"data_HS_LR": "hsi"},
            "data_SAR_HR.mat": {"data_SAR_HR": "sar"},
            "data_DSM.mat": {"data_DSM": "dsm"},
            "TrainImage.mat": {"TrainImage": "train"},
            "TestImage.mat": {"TestImage": "test"},
        },
    ),
    "berlin": (
        Berlin,
        {
            "data_HS_LR.mat": {"data_HS_LR": "hsi"},
            "data_sar.mat": {"data": "sar"},
            "TrainImage.mat": {"TrainImage": "train"},
            "mask_test.mat": {"mask_test": "test"},
        },
    ),
    "muufl": (
        MUUFL,
        {"hsi.mat": {"HSI": "hsi"}, "lidar.mat": {"lidar": "lidar"}, "gt.mat": {"gt": "whole"}},
    ),
    "muufl, random masks": (
        MUUFL,
        {
            "hsi.mat": {"HSI": "hsi"},
            "lidar.mat": {"lidar": "lidar"},
            "train_test_gt.mat": {"trainlabels": "train", "testlabels": "test"},
        },
    ),
    "trento": (
        Trento,
        {
            "Italy_hsi.mat": {"data": "hsi"},
            "Italy_lidar.mat": {"data": "lidar"},
            "allgrd.mat": {"mask_test": "whole"},
        },
    ),
    "trento, all labels and the training mask": (
        Trento,
        {
            "Italy_hsi.mat": {"data": "hsi"},
            "Italy_lidar.mat": {"data": "lidar"},
            "allgrd.mat": {"mask_test": "whole"},
            "TRLabel.mat": {"TRLabel": "train"},
        },
    ),
    "trento, masks": (
        Trento,
        {
            "HSI.mat": {"HSI": "hsi"},
            "LiDAR.mat": {"LiDAR": "lidar"},
            "mask_train.mat": {"mask_train": "train"},
            "mask_test.mat": {"mask_test": "test"},
        },
    ),
}


def houston_files() -> Files:
    named = LAYOUTS["houston2013"][1]
    made = arrays(Houston2013)
    return {file: {key: made[role] for key, role in keys.items()} for file, keys in named.items()}
