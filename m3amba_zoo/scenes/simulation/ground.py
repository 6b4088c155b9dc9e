"""The state of the ground that all sensors look at: materials, heights, light, moisture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from m3amba_zoo.scenes.simulation.layout import Layout, smooth_field
from m3amba_zoo.scenes.simulation.materials import Cover

PIXEL = 2.5  # m, ground sampling distance, as in Houston 2013
SUN_SLOPE = np.tan(np.radians(48.0))  # rise of a sun ray per metre: the sun stands 48 degrees high
SUN_STEP = (0.6, 0.8)  # rows and columns that a shadow advances per pixel: the sun is in the north-west
SHADOW_REACH = 8  # pixels
TINTS = 5  # spectral directions in which objects of one material differ

# variation between objects: overall brightness first, then slopes and curves over the spectrum
OBJECT_TINT = np.array([0.045, 0.018, 0.008, 0.005, 0.003], np.float32)
PIXEL_TINT = 0.7 * OBJECT_TINT

# variation within objects: standard deviation of the logarithm of a material's share
GRAIN, GRAIN_OF_DISTRICTS = 0.25, 0.7

# mean difference of the test zone from the train zone: state of the materials (season) and brightness
SEASON_SHIFT = 0.08
BRIGHTNESS_SHIFT = -0.06


@dataclass(frozen=True)
class Ground:
    """The scene itself, before any sensor records it.

    Attributes:
        layout: classes and objects.
        covers: surroundings, then the K classes.
        materials: names of the M materials.
        shares: ``(M, H, W)`` float32, the share of each material in a pixel; sums to 1.
        state: ``(H, W)`` float32, 0 fresh to 1 altered.
        tints: ``(TINTS, H, W)`` float32, relative spectral deviations, see ``OBJECT_TINT``.
        height: ``(H, W)`` float32, m above the terrain.
        terrain: ``(H, W)`` float32, m.
        sunlit: ``(H, W)`` float32, the share of the direct sunlight that arrives.
        moisture: ``(H, W)`` float32, deviation from the mean, standard deviation about 1.
        season: ``(H, W)`` float32, -0.5 in the train zone to 0.5 in the test zone, smooth.
    """

    layout: Layout
    covers: tuple[Cover, ...]
    materials: tuple[str, ...]
    shares: NDArray[np.float32]
    state: NDArray[np.float32]
    tints: NDArray[np.float32]
    height: NDArray[np.float32]
    terrain: NDArray[np.float32]
    sunlit: NDArray[np.float32]
    moisture: NDArray[np.float32]
    season: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return self.height.shape


def _material_shares(
    layout: Layout, covers: Sequence[Cover], materials: Sequence[str], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw the materials of each object (Dirichlet) and let them vary within it, ``(M, H, W)``."""
    # gamma variates divided by their sum are Dirichlet distributed; the small term keeps that sum positive
    alphas = np.array([[cover.materials.get(m, 0.0) * cover.likeness for m in materials] for cover in covers])
    objects = rng.gamma(alphas[layout.unit_classes]) + 1e-9 * (alphas[layout.unit_classes] > 0)
    shares = objects.T.astype(np.float32)[:, layout.units]
    grain = np.array(
        [GRAIN_OF_DISTRICTS if cover.form == "district" else GRAIN for cover in covers], np.float32
    )
    for share in shares:
        share *= np.exp(grain[layout.classes] * smooth_field(layout.classes.shape, 1.7, rng))
    return shares / shares.sum(axis=0)


def _cast_shadows(surface: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Mark the pixels that the surface within ``SHADOW_REACH`` pixels towards the sun shades."""
    shadow = np.zeros(surface.shape, bool)
    for step in range(1, SHADOW_REACH + 1):
        rows, columns = round(step * SUN_STEP[0]), round(step * SUN_STEP[1])
        towards = surface[: surface.shape[0] - rows, : surface.shape[1] - columns]
        shadow[rows:, columns:] |= towards > surface[rows:, columns:] + step * PIXEL * SUN_SLOPE
    return shadow


def _cloud(test: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the transmission of one cloud, 0.5 in its core, over the widest part of the test zone."""
    # the pixel farthest from the zone's border is in its widest part; padding makes the scene's edge a border
    depth = ndimage.distance_transform_edt(np.pad(test, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(np.argmax(depth), test.shape)
    radius = 0.55 * float(depth.max())
    rows, columns = np.ogrid[: test.shape[0], : test.shape[1]]
    distance = np.hypot(rows - row, columns - column) / radius
    distance += 0.15 * smooth_field(test.shape, max(radius / 3, 2), rng)
    return (1 - 0.5 / (1 + np.exp((distance - 0.85) * 12))).astype(np.float32)


def make_ground(layout: Layout, covers: tuple[Cover, ...], rng: np.random.Generator) -> Ground:
    """Give a layout its physical state.

    Each property has a part per object, a smooth part within objects, and a shift between the zones, so that
    neighbours are alike and the test zone is harder than a random split suggests.

    Args:
        layout: the plan.
        covers: surroundings, then the K classes.
        rng: draws everything; the order of the draws fixes the scene.
    """
    shape = layout.classes.shape
    short = min(shape)
    classes, units, kinds = layout.classes, layout.units, layout.unit_classes
    materials = tuple(dict.fromkeys(material for cover in covers for material in cover.materials))

    # blurred, so that the zones differ without a visible border
    season = ndimage.gaussian_filter(layout.test.astype(np.float32) - 0.5, short / 16, mode="nearest")
    moisture = smooth_field(shape, max(short / 4, 4), rng) + season

    state_mean, state_spread = np.array([cover.state for cover in covers], np.float32).T
    state = (state_mean[kinds] + state_spread[kinds] * rng.standard_normal(len(kinds), np.float32))[units]
    state += SEASON_SHIFT * season + 0.03 * moisture + 0.04 * smooth_field(shape, 2, rng)

    spread = OBJECT_TINT[:, None] * rng.standard_normal((TINTS, len(kinds)), np.float32)
    tints = spread[:, units]
    for tint, within in zip(tints, PIXEL_TINT, strict=True):
        tint += within * smooth_field(shape, 1.5, rng)
    tints[0] += BRIGHTNESS_SHIFT * season - 0.03 * moisture

    mean, spread_between, rough = np.array([cover.height for cover in covers], np.float32).T
    of_objects = mean[kinds] + spread_between[kinds] * rng.standard_normal(len(kinds), np.float32)
    plain = of_objects[units]
    height = plain + rough[classes] * smooth_field(shape, 2, rng)
    # only water, whose mean is negative, may lie below the terrain
    height = np.where(mean[classes] > 0, np.maximum(height, 0), height).astype(np.float32)

    # only solid things cast shadows; crops and districts are merely rough
    casting = np.array([cover.form in ("houses", "hall", "crowns") for cover in covers])[classes]
    shaded = np.array([cover.shaded for cover in covers])[classes] | _cast_shadows(plain * casting)
    sunlit = ndimage.gaussian_filter(np.where(shaded, 0.25, 1.0).astype(np.float32), 0.5)
    return Ground(
        layout=layout,
        covers=covers,
        materials=materials,
        shares=_material_shares(layout, covers, materials, rng),
        state=np.clip(state, -0.15, 1.15),
        tints=tints,
        height=height,
        terrain=18 + 0.6 * smooth_field(shape, max(short / 2, 8), rng),
        sunlit=sunlit * _cloud(layout.test, rng),
        moisture=moisture,
        season=season,
    )
