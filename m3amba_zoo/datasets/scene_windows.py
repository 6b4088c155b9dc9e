"""Evaluation windows: a grid over whole scenes, for stitching."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.data import Dataset

from m3amba_zoo.datasets.windows import WindowGrid, check_window, cut_labels
from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import DATASETS
from m3amba_zoo.splits.scene_data import load_scene_data

HOLD_OUT = (
    "'--cfg-options split.val.fraction=0.2 split.val.guard=8' holds training pixels out (docs/training.md)"
)


@DATASETS.register_module()
class SceneWindows(Dataset):
    """Windows on a ``WindowGrid`` over every scene, or only those that show a pixel of one part.

    Patch-wise models read a margin of M pixels around the pixels that they classify: the grid is then laid
    for the T x T pixels in the middle, and neighbouring inputs overlap by 2 M. For other models M is 0.

    Args:
        source, split: configs, as for ``load_scene_data``.
        modalities: which rasters, in which order.
        window: T, the side of the square of pixels that get logits.
        part: ``val`` or ``test``: which pixels are scored.
        overlap: the share of a window that the next one covers again, 0 to below 1.
        whole_scenes: False leaves out windows without a pixel of the part (no full map is then made).
        mirror_small_scenes: allow windows larger than a scene.
        margin: M, the model's ``margin``; mirrored at the scene's border.

    An item has ``inputs`` (float32 ``(C, T + 2 M, T + 2 M)`` by modality) and the place of its T x T pixels:
    ``scene`` (index), ``row``, ``column`` of their upper left corner, which may be negative. With
    ``whole_scenes=False`` it also has ``needed``, bool ``(T, T)``: the part's pixels, to which a patch-wise
    model restricts itself.

    Raises:
        InputError: if a scene lacks a modality, the window does not fit, ``overlap`` or ``margin`` is out of
            range, or the split has no pixel of the part.
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
        self.data = load_scene_data(source, split)
        self.data.check_modalities(modalities)
        self.modalities, self.window, self.part = tuple(modalities), window, part
        self.margin, self.whole_scenes = margin, whole_scenes
        self._grids, self._masks, self._places = [], [], []
        for index, (scene, mask) in enumerate(self.data.split.parts(self.data.scenes, part)):
            check_window(scene, window, mirror_small_scenes)
            grid = WindowGrid(scene.shape, window, overlap, margin)
            self._grids.append(grid)
            self._masks.append(mask)
            for row, column in grid:
                if whole_scenes or cut_labels(mask, row, column, window).any():
                    self._places.append((index, row, column))
        if self.data.split.count(part) == 0:
            remedy = f"; {HOLD_OUT}" if part == "val" else ""
            raise InputError(
                f"split '{self.data.split.name}' of {self.data.name} has no {part} pixel{remedy}"
            )

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
        return len(self._places)

    def __getitem__(self, position: int) -> dict[str, Any]:
        index, row, column = self._places[position]
        rasters = {m: self.data.scenes[index].rasters[m] for m in self.modalities}
        inputs = self._grids[index].cut(rasters, row, column)
        item: dict[str, Any] = {
            "inputs": {m: torch.from_numpy(x) for m, x in inputs.items()},
            "scene": index,
            "row": row,
            "column": column,
        }
        if not self.whole_scenes:
            needed = cut_labels(self._masks[index], row, column, self.window) > 0
            item["needed"] = torch.from_numpy(needed)
        return item
