"""A run's maps as files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.georaster import write_class_map
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits import Split
from m3amba_zoo.system.whole_file import whole_file
from m3amba_zoo.visualization.maps import map_figure

DOTS_PER_INCH = 200


def write_maps(
    work_dir: Path, scenes: Sequence[Scene], class_maps: Mapping[str, NDArray[np.uint8]], split: Split
) -> list[Path]:
    """Write ``map.png``, see ``map_figure``, and a GeoTIFF ``maps/<scene>.tif`` of each class map.

    Args:
        work_dir: the folder to write to.
        scenes: with rasters, for the composites.
        class_maps: ``(H, W)`` uint8 by scene, 1..K, 0 where nothing was predicted.
        split: whose test part is scored.

    Returns:
        The files written, ``map.png`` first.

    Raises:
        InputError: a file cannot be written.
    """
    figure = map_figure(scenes, class_maps, split)
    png, folder = work_dir / "map.png", work_dir / "maps"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from error
    with whole_file(png) as aside:
        figure.savefig(aside, format="png", dpi=DOTS_PER_INCH)
    written = [png]
    for scene in scenes:
        if scene.name in class_maps:
            path = folder / (re.sub(r"[^\w.-]+", "_", scene.name) + ".tif")  # a name may hold slashes
            write_class_map(path, class_maps[scene.name], scene.classes, scene.crs, scene.transform)
            written.append(path)
    return written
