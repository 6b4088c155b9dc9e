"""Evaluation windows: a grid over whole scenes, for stitching."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from m3amba_zoo.datasets.scene_data import load_scene_data
from m3amba_zoo.datasets.windows import check_window, cut_raster, grid_origins, stride
from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import DATASETS


@DATASETS.register_module()
class SceneWindows(Dataset):
    """Windows on a grid that covers every pixel of the scenes (or those of one part).

    Args:
        source, split: configs, as for ``load_scene_data``.
        modalities: which rasters, in which order.
        window: S.
        part: ``val`` or ``test``: which pixels are scored.
        overlap: share of a window that the next one covers again, 0 to below 1.
        whole_scenes: False leaves out windows without a pixel of the part (no full map is then made).
        mirror_small_scenes: allow windows larger than a scene.

    An item has ``inputs`` (float32 ``(C, S, S)`` by modality) and its place: ``scene`` (index), ``row``,
    ``column`` of the upper left corner, which may be negative.
    """

    def __init__(
        self,
        source: dict,
        split: dict,
        modalities: Sequence[str],
        window: int,
        part: str = "test",
        overlap: float = 0.0,
        whole_scenes: bool = True,
        mirror_small_scenes: bool = False,
    ) -> None:
        self.data = load_scene_data(source, split)
        self.data.check_modalities(modalities)
        self.modalities, self.window, self.part = tuple(modalities), window, part
        step = stride(window, overlap)
        self._origins = []
        for index, (scene, mask) in enumerate(self.data.split.parts(self.data.scenes, part)):
            check_window(scene, window, mirror_small_scenes)
            for row in grid_origins(scene.shape[0], window, step):
                for column in grid_origins(scene.shape[1], window, step):
                    rows = slice(max(row, 0), row + window)
                    columns = slice(max(column, 0), column + window)
                    if whole_scenes or mask[rows, columns].any():
                        self._origins.append((index, row, column))
        if self.data.split.count(part) == 0:
            raise InputError(f"split '{self.data.split.name}' of {self.data.name} has no {part} pixel")

    @property
    def metainfo(self) -> dict[str, Any]:
        """The shared data, for hooks and metrics."""
        return {
            "data": self.data,
            "modalities": self.modalities,
            "window": self.window,
            "part": self.part,
        }

    def __len__(self) -> int:
        return len(self._origins)

    def __getitem__(self, position: int) -> dict[str, Any]:
        index, row, column = self._origins[position]
        rasters = self.data.scenes[index].rasters
        return {
            "inputs": {
                m: torch.from_numpy(np.ascontiguousarray(cut_raster(rasters[m], row, column, self.window)))
                for m in self.modalities
            },
            "scene": index,
            "row": row,
            "column": column,
        }
