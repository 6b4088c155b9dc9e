"""Simulated scenes: co-registered rasters over one ground, with official-style masks, made from a seed.

The masks are small patches of training pixels and larger ones of test pixels, in exact numbers. The source
``simulated`` makes such scenes for demos and tests without a download.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.houston2013 import Houston2013
from m3amba_zoo.scenes.s2fl import Augsburg
from m3amba_zoo.scenes.scene import LandClass, Scene
from m3amba_zoo.scenes.simulation import HsiSpec, LidarSpec, SarSpec, SensorSpec
from m3amba_zoo.scenes.simulation.ground import make_ground
from m3amba_zoo.scenes.simulation.layout import Layout, plan_layout
from m3amba_zoo.scenes.simulation.materials import SURROUNDINGS, Cover, cover_of
from m3amba_zoo.scenes.source import Source

# class table, hyperspectral sensor, the second modality
KINDS: dict[str, tuple[tuple[LandClass, ...], HsiSpec, Mapping[str, SensorSpec]]] = {
    "houston-like": (Houston2013.classes, HsiSpec(144, 380, 1050), {"lidar": LidarSpec(1)}),
    "augsburg-like": (Augsburg.classes, HsiSpec(180, 400, 2500), {"sar": SarSpec(4)}),
}
TRAIN_SHARE, TEST_SHARE = 0.06, 0.22  # of a scene's pixels, if no counts are given
TRAIN_PATCH, TEST_PATCH = 4, 8  # pixels; Houston's training patches have 9 to 25 pixels, its test patches 30
GUARD = 3  # pixels beside the border of the zones, which are labelled last


@SOURCES.register_module(name="simulated")
class Simulated(Source):
    """One simulated scene in the manner of a public one; no files are read.

    ``houston-like`` has ``hsi`` (144 bands, 380 to 1050 nm, uint16 reflectance x 10000), ``lidar`` (1
    channel, float32 m) and the 15 classes of Houston 2013. ``augsburg-like`` has ``hsi`` (180 bands, 400 to
    2500 nm), ``sar`` (4 channels, float32 linear power) and the 7 classes of Augsburg.
    """

    simulated = True

    def __init__(
        self,
        kind: str = "houston-like",
        height: int = 96,
        width: int = 256,
        seed: int = 0,
        bands: int | None = None,
    ) -> None:
        """Describe the scene; ``load`` makes it.

        Args:
            kind: ``houston-like`` (HSI and LiDAR) or ``augsburg-like`` (HSI and SAR).
            height: rows.
            width: columns.
            seed: of all random draws; 0 or more.
            bands: another number of hyperspectral bands over the same range; None keeps the sensor's own.

        Raises:
            InputError: if an argument is out of range.
        """
        super().__init__()
        if kind not in KINDS:
            raise InputError(f"source simulated: kind is '{kind}', expected {' or '.join(map(repr, KINDS))}")
        smallest = {"height": 16, "width": 16, "seed": 0, "bands": 1}
        given = {"height": height, "width": width, "seed": seed, "bands": 1 if bands is None else bands}
        for argument, value in given.items():
            if value < smallest[argument]:
                raise InputError(
                    f"source simulated: {argument} is {value}, expected {smallest[argument]} or more"
                )
        self.classes, hsi, second = KINDS[kind]
        if bands is not None:
            hsi = HsiSpec(bands, hsi.first_nm, hsi.last_nm)
        self._shape, self._seed = (height, width), seed
        self._modalities: dict[str, SensorSpec] = {"hsi": hsi, **second}
        self.title = f"simulated_{kind}_{height}x{width}_seed{seed}"
        self.title += "" if bands is None else f"_{bands}bands"

    def load(self, rasters: bool = True) -> list[Scene]:
        """Make the scene; labels and masks are the same without rasters; see ``Source.load``.

        Raises:
            InputError: if the scene is too small for its classes.
        """
        modalities = self._modalities if rasters else {}
        return [simulate_scene(self.title, self.classes, self._shape, modalities, self._seed)]

    def channels(self) -> dict[str, int]:
        """Count the sensors' bands."""
        return {name: sensor.bands for name, sensor in self._modalities.items()}


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

    The labels and masks do not depend on ``modalities``, nor does one modality depend on another.

    Args:
        name: must contain ``simulated``.
        classes: the K classes; what each is made of follows from its name (``materials.cover_of``).
        shape: rows and columns ``(H, W)``.
        modalities: the sensors, for example ``{"hsi": HsiSpec(144, 380, 1050), "lidar": LidarSpec()}``;
            if empty, only labels and masks are made.
        seed: of all random draws.
        train_counts: training pixels of each class, exact; None for 6 % of the scene, the same for each.
        test_counts: test pixels of each class, exact; None for 22 % of the scene.

    Returns:
        The scene with ``official`` masks; ``labels`` (uint8) are 0 outside both.

    Raises:
        InputError: if the name lacks ``simulated``, a count is missing, or the counts do not fit.
    """
    if "simulated" not in name:
        raise InputError(f"a simulated scene was named '{name}'; expected a name that contains 'simulated'")
    if not 1 <= len(classes) <= 255:
        raise InputError(f"a simulated scene was asked to have {len(classes)} classes, expected 1 to 255")
    covers = (SURROUNDINGS, *(cover_of(land.name) for land in classes))
    if train_counts is None or test_counts is None:
        train, test = _default_counts(covers[1:], shape)
    else:
        train = test = np.zeros(len(classes), np.int64)
    train = _checked_counts(train_counts, train, "train_counts")
    test = _checked_counts(test_counts, test, "test_counts")
    # the plan, the masks, the ground and each modality have their own generators, so none disturbs another
    plan_rng, mask_rng, ground_rng = (np.random.default_rng([seed, stream]) for stream in range(3))
    layout = plan_layout(covers, shape, train, test, plan_rng)
    official = _official_masks(layout, train, test, mask_rng)
    labels = np.where(official["train"] | official["test"], layout.classes, 0).astype(np.uint8)
    rasters = {}
    if modalities:
        ground = make_ground(layout, covers, ground_rng)
        for modality, spec in modalities.items():
            stream = [seed, 3, *modality.encode()]
            rasters[modality] = spec.observe(ground, np.random.default_rng(stream))
    return Scene(name, rasters, labels, classes, official=official)


def _checked_counts(given: Sequence[int] | None, default: NDArray[np.int64], what: str) -> NDArray[np.int64]:
    if given is None:
        return default
    counts = np.asarray(given, dtype=np.int64)
    if counts.shape != default.shape or (counts < 1).any():
        raise InputError(
            f"{what} is {tuple(given)}, expected a positive number of pixels for each of the {len(default)} "
            "classes"
        )
    return counts


def _default_counts(
    covers: Sequence[Cover], shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return training and test pixels of each class, ``(K,)``: balanced training, test by prevalence.

    Raises:
        InputError: if the scene has fewer than 32 pixels per class.
    """
    pixels, classes = shape[0] * shape[1], len(covers)
    if pixels < 32 * classes:
        raise InputError(
            f"a simulated scene of {shape[0]} x {shape[1]} pixels is too small for {classes} classes; "
            f"expected at least {32 * classes} pixels"
        )
    prevalence = np.sqrt([cover.prevalence for cover in covers])
    train = np.full(classes, pixels * TRAIN_SHARE / classes)
    return train.astype(np.int64), (pixels * TEST_SHARE * prevalence / prevalence.sum()).astype(np.int64)


def _official_masks(
    layout: Layout,
    train_counts: NDArray[np.int64],
    test_counts: NDArray[np.int64],
    rng: np.random.Generator,
) -> dict[str, NDArray[np.bool_]]:
    """Choose the labelled pixels: ``train`` in the train zone, ``test`` in the test zone.

    Returns:
        Boolean ``(H, W)`` masks with exactly the counts; the layout has enough pixels in each zone.
    """
    # surveyors label what they are sure of: pixels at the edge of an object or near the other zone are used
    # only if a class has too few others
    reach = np.ones((2 * GUARD + 1, 2 * GUARD + 1), bool)
    inner = ndimage.binary_erosion(layout.test, reach, border_value=1)
    inner |= ndimage.binary_erosion(~layout.test, reach, border_value=1)
    inner &= ndimage.minimum_filter(layout.units, 3) == ndimage.maximum_filter(layout.units, 3)
    return {
        "train": _choose(layout, ~layout.test, inner, train_counts, TRAIN_PATCH, rng),
        "test": _choose(layout, layout.test, inner, test_counts, TEST_PATCH, rng),
    }


def _choose(
    layout: Layout,
    zone: NDArray[np.bool_],
    inner: NDArray[np.bool_],
    counts: NDArray[np.int64],
    patch: int,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Take the pixels of whole patches in random order until each class has its count."""
    rows, columns = np.ogrid[: zone.shape[0], : zone.shape[1]]
    first_row, first_column = rng.integers(0, patch, 2)
    cells = (rows + first_row) // patch * zone.shape[1] + (columns + first_column) // patch
    # a patch is the part of one object within one cell of a grid
    keys = layout.units * np.int64(zone.size) + cells
    names, patches = np.unique(keys, return_inverse=True)
    draw = rng.permutation(len(names))[patches.reshape(-1)]
    chosen = np.zeros(zone.shape, bool)
    for label, count in enumerate(counts, start=1):
        pixels = np.flatnonzero(zone & (layout.classes == label))
        # all inner pixels come before all others, each kind patch by patch
        order = np.lexsort((draw[pixels], ~inner.flat[pixels]))
        chosen.flat[pixels[order[:count]]] = True
    return chosen
