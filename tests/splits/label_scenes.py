"""Scenes of labels alone, as the tests of splits need them."""

import numpy as np
from rasterio.transform import from_origin

from m3amba_zoo.scenes.scene import LandClass, Scene

CLASSES = tuple(LandClass(name, (0, 0, 0)) for name in ("water", "trees", "crops", "built"))
METRES = 10


def make_scene(name: str, labels: np.ndarray, official: bool = False) -> Scene:
    """A scene of labels alone; its official split trains on the left third of the columns."""
    left = np.zeros(labels.shape, dtype=bool)
    left[:, : labels.shape[1] // 3] = True
    masks = {"train": left & (labels > 0), "test": ~left & (labels > 0)} if official else None
    return Scene(name, {}, labels, CLASSES, official=masks)


def placed(name: str, labels: np.ndarray, row: float, column: float, crs="EPSG:32617", **more) -> Scene:
    """A scene whose upper left corner lies at this row and column of a map grid of 10 m."""
    transform = from_origin(500_000 + METRES * column, 4_000_000 - METRES * row, METRES, METRES)
    return Scene(name, {}, labels, CLASSES, crs=crs, transform=transform, **more)


def on_the_map(scene: Scene, mask: np.ndarray) -> np.ndarray:
    """Row and column in that map grid of the pixels of a mask, ``(n, 2)``."""
    corner = (4_000_000 - scene.transform.f, scene.transform.c - 500_000)
    return np.argwhere(mask) + np.array(corner) / METRES


def patchy(seed: int, shape: tuple[int, int], patch: int) -> np.ndarray:
    """Labels in square patches, a third of them unlabelled."""
    values = np.random.default_rng(seed).choice(
        [0, 1, 2, 3, 4], p=[0.3, 0.2, 0.2, 0.2, 0.1], size=[-(-side // patch) for side in shape]
    )
    return np.kron(values, np.ones((patch, patch), dtype=int))[: shape[0], : shape[1]].astype(np.uint8)
