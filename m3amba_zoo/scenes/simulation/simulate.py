"""Simulated scenes: co-registered rasters over one ground, with official-style masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.scene import LandClass, Raster, Scene
from m3amba_zoo.scenes.simulation.covers import SURROUNDINGS, cover_of
from m3amba_zoo.scenes.simulation.ground import Ground, make_ground
from m3amba_zoo.scenes.simulation.layout import plan_layout
from m3amba_zoo.scenes.simulation.masks import default_counts, official_masks


class SensorSpec(Protocol):
    """A sensor: anything that records the ground as a raster."""

    @property
    def bands(self) -> int:
        """Number of bands of the raster."""
        ...

    def observe(self, ground: Ground, rng: np.random.Generator) -> Raster:
        """Record the ground."""
        ...


def _counts(given: Sequence[int] | None, default: NDArray[np.int64], what: str) -> NDArray[np.int64]:
    if given is None:
        return default
    counts = np.asarray(given, dtype=np.int64)
    if counts.shape != default.shape or (counts < 1).any():
        raise InputError(
            f"{what} is {tuple(given)}, expected a positive number of pixels for each of the {len(default)} "
            "classes"
        )
    return counts


def simulate_scene(
    name: str,
    classes: tuple[LandClass, ...],
    shape: tuple[int, int],
    modalities: Mapping[str, SensorSpec],
    seed: int = 0,
    train_counts: Sequence[int] | None = None,
    test_counts: Sequence[int] | None = None,
) -> Scene:
    """Simulate a scene; the same arguments give the same scene, bit for bit.

    The labels and masks do not depend on ``modalities``, nor does a modality on the others.

    Args:
        name: must contain ``simulated``.
        classes: the K classes; what each is made of follows from its name (``covers.cover_of``).
        shape: rows and columns ``(H, W)``.
        modalities: the sensors, for example ``{"hsi": HsiSpec(144, 380, 1050), "lidar": LidarSpec()}``;
            may be empty, which leaves labels and masks.
        seed: of all chance.
        train_counts: training pixels of each class, exact; None for 6 % of the scene, the same for each.
        test_counts: test pixels of each class, exact; None for 22 % of the scene.

    Returns:
        The scene with ``official`` masks; ``labels`` (uint8) are 0 outside both.

    Raises:
        InputError: the name lacks ``simulated``, a count is missing, or the counts do not fit into the scene.
    """
    if "simulated" not in name:
        raise InputError(f"a simulated scene was named '{name}'; expected a name that contains 'simulated'")
    if not 1 <= len(classes) <= 255:
        raise InputError(f"{len(classes)} classes were asked of a simulated scene, expected 1 to 255")
    covers = (SURROUNDINGS, *(cover_of(land.name) for land in classes))
    if train_counts is None or test_counts is None:
        train, test = default_counts(covers[1:], shape)
    else:
        train = test = np.zeros(len(classes), np.int64)
    train = _counts(train_counts, train, "train_counts")
    test = _counts(test_counts, test, "test_counts")
    # one stream of chance for the plan, the ground and each modality, so that none disturbs another
    plan_rng, mask_rng, ground_rng = (np.random.default_rng([seed, stream]) for stream in range(3))
    layout = plan_layout(covers, shape, train, test, plan_rng)
    official = official_masks(layout, train, test, mask_rng)
    labels = np.where(official["train"] | official["test"], layout.classes, 0).astype(np.uint8)
    rasters = {}
    if modalities:
        ground = make_ground(layout, covers, ground_rng)
        for modality, spec in modalities.items():
            stream = [seed, 3, *modality.encode()]
            rasters[modality] = spec.observe(ground, np.random.default_rng(stream))
    return Scene(name, rasters, labels, classes, official=official)
