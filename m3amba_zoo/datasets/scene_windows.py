"""Evaluation windows: a grid over whole scenes, for stitching."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from m3amba_zoo.datasets.windows import check_window, cut_labels, cut_raster, grid_origins, stride
from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import DATASETS
from m3amba_zoo.splits.scene_data import load_scene_data


@DATASETS.register_module()
class SceneWindows(Dataset):
    """Windows on a grid that covers every pixel of the scenes (or those of one part).

    Patch-wise models read a margin M around the pixels that they classify: the grid is then laid for the
    T x T pixels in the middle, and neighbouring inputs overlap by 2 M. Elsewhere M = 0.

    Args:
        source, split: configs, as for ``load_scene_data``.
        modalities: which rasters, in which order.
        window: T, side of the square of pixels that get logits.
        part: ``val`` or ``test``: which pixels are scored.
        overlap: share of a window that the next one covers again, 0 to below 1.
        whole_scenes: False leaves out windows without a pixel of the part (no full map is then made).
        mirror_small_scenes: allow windows larger than a scene.
        margin: M, the model's ``margin``; mirrored at the scene's border.

    An item has ``inputs`` (float32 ``(C, T + 2 M, T + 2 M)`` by modality) and the place of its T x T pixels:
    ``scene`` (index), ``row``, ``column`` of their upper left corner, which may be negative. With
    ``whole_scenes=False`` it has ``needed`` too, bool ``(T, T)``: the part's pixels, to which a patch-wise
    model restricts itself.
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
        margin: int = 0,
    ) -> None:
        if margin < 0:
            raise InputError(f"margin is {margin}, expected 0 or more pixels")
        self.data = load_scene_data(source, split)
        self.data.check_modalities(modalities)
        self.modalities, self.window, self.part = tuple(modalities), window, part
        self.margin, self.whole_scenes = margin, whole_scenes
        step = stride(window, overlap)
        self._origins, self._masks = [], []
        for index, (scene, mask) in enumerate(self.data.split.parts(self.data.scenes, part)):
            check_window(scene, window, mirror_small_scenes)
            self._masks.append(mask)
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
            "margin": self.margin,
            "part": self.part,
        }

    def __len__(self) -> int:
        return len(self._origins)

    def __getitem__(self, position: int) -> dict[str, Any]:
        index, row, column = self._origins[position]
        rasters = self.data.scenes[index].rasters
        top, left, side = row - self.margin, column - self.margin, self.window + 2 * self.margin
        inputs = {m: cut_raster(rasters[m], top, left, side) for m in self.modalities}
        item: dict[str, Any] = {
            "inputs": {m: torch.from_numpy(np.ascontiguousarray(x)) for m, x in inputs.items()},
            "scene": index,
            "row": row,
            "column": column,
        }
        if not self.whole_scenes:
            needed = cut_labels(self._masks[index], row, column, self.window) > 0
            item["needed"] = torch.from_numpy(needed)
        return item
