"""Which pixel trains, validates and tests, and how much that leaks."""

from m3amba_zoo.scenes.scene import drop_unseen
from m3amba_zoo.splits import makers as makers  # registers the makers
from m3amba_zoo.splits.build import build_split, hold_out_validation
from m3amba_zoo.splits.leakage import Audit, audit, leaked_pixels
from m3amba_zoo.splits.scene_data import SceneData, leak_note, load_scene_data, shown_by
from m3amba_zoo.splits.split import PARTS, HeldOut, Split

__all__ = [
    "PARTS",
    "Audit",
    "HeldOut",
    "SceneData",
    "Split",
    "audit",
    "build_split",
    "drop_unseen",
    "hold_out_validation",
    "leak_note",
    "leaked_pixels",
    "load_scene_data",
    "shown_by",
]
