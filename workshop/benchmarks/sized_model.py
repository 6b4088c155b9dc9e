"""The zoo's model sizes as the benchmarks build them: Houston 2013's bands and classes, without CLIP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from m3amba_zoo.config.reading import read_config_file

SIZES = Path(__file__).parents[2] / "configs" / "_base_" / "models"
CHANNELS = {"hsi": 144, "lidar": 1}
CLASSES = 15
CLIP_FEATURES = 512


def model_config(size: str, window: int) -> tuple[dict[str, Any], bool]:
    """Return the config of a size (t, s or b) without its CLIP encoder, and whether it has one."""
    config = dict(read_config_file(SIZES / f"m3amba-{size}.py").model)
    with_encoder = config.pop("encoder", None) is not None
    return {**config, "in_channels": CHANNELS, "num_classes": CLASSES, "window": window}, with_encoder
