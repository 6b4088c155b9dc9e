"""Random rasters and a model with random weights, as files that a ``Predictor`` reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from mmengine.config import Config
from rasterio.transform import from_origin
from safetensors.torch import save_file

from m3amba_zoo.registry import MODELS

NODATA = -32768  # with such a value in the files, missing pixels are searched for, as in practice
ROWS_AT_ONCE = 512


def write_rasters(folder: Path, bands: Mapping[str, int], shape: tuple[int, int]) -> dict[str, str]:
    """Write a tiled int16 GeoTIFF of values from 0 to 2999 per modality unless it exists; return the paths.

    Args:
        folder: where to write.
        bands: the number of bands per modality.
        shape: rows and columns.
    """
    height, width = shape
    generator = np.random.default_rng(0)
    files = {}
    for modality, count in bands.items():
        path = folder / f"{modality}_{height}_{width}.tif"
        files[modality] = str(path)
        if path.exists():
            continue
        options = {"count": count, "height": height, "width": width, "dtype": "int16", "nodata": NODATA}
        options |= {"tiled": True, "blockxsize": 512, "blockysize": 512, "crs": "EPSG:32632"}
        place = from_origin(500_000, 5_000_000, 10, 10)
        with rasterio.open(path, "w", driver="GTiff", transform=place, **options) as file:
            for top in range(0, height, ROWS_AT_ONCE):
                rows = min(ROWS_AT_ONCE, height - top)
                window = rasterio.windows.Window(0, top, width, rows)
                file.write(generator.integers(0, 3000, (count, rows, width), np.int16), window=window)
    return files


def write_model(folder: Path, config: Mapping[str, Any]) -> Path:
    """Write a model's config and random weights into the folder unless it exists; return the folder."""
    if not folder.exists():
        folder.mkdir()
        torch.manual_seed(0)
        Config({"model": config}).dump(folder / "config.py")
        save_file(MODELS.build(config).state_dict(), folder / "random.safetensors")
    return folder
