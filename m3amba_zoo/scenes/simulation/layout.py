"""Where the classes lie: train and test zones, parcels in them, lines between and buildings on them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.simulation.materials import Cover

# the share of a parcel that its class covers; the rest is surroundings
COVERAGE = {"parcel": 1.0, "district": 1.0, "line": 1.0, "crowns": 0.8, "hall": 0.7, "houses": 0.45}
TRAIN_ZONE = 0.3  # the train zone's share of the scene, unless the counts need another
SEGMENT = 24  # pixels of a road between changes of its surface
HOUSE_PITCH = 9  # pixels from one house to the next


@dataclass(frozen=True)
class Layout:
    """The plan of a scene.

    Attributes:
        classes: ``(H, W)`` uint8, 0 surroundings, 1..K the classes.
        units: ``(H, W)`` int32, the object (field, roof, piece of road) of each pixel.
        unit_classes: ``(U,)`` uint8, the class of each object.
        test: ``(H, W)`` bool, the test zone; its complement is the train zone.
    """

    classes: NDArray[np.uint8]
    units: NDArray[np.int32]
    unit_classes: NDArray[np.uint8]
    test: NDArray[np.bool_]


class _Box(NamedTuple):
    """A rectangle of pixels, ends excluded."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def sides(self) -> tuple[int, int]:
        return self.bottom - self.top, self.right - self.left

    def part(self, axis: int, start: int, stop: int) -> _Box:
        """Return the part between two positions along an axis, counted from the box's own corner."""
        if axis == 0:
            return self._replace(top=self.top + start, bottom=self.top + stop)
        return self._replace(left=self.left + start, right=self.left + stop)


class _Canvas:
    """The classes and objects of the plan while they are painted."""

    def __init__(self, covers: Sequence[Cover], shape: tuple[int, int], rng: np.random.Generator) -> None:
        self.covers = covers
        self.classes = np.zeros(shape, np.uint8)
        self.units = np.zeros(shape, np.int32)
        self.unit_classes = [0]
        self.rng = rng

    def fill(self, box: _Box, label: int, where: NDArray[np.bool_] | None = None) -> None:
        """Paint one new object over a box, or over the part of it in ``where``."""
        window = np.s_[box.top : box.bottom, box.left : box.right]
        everywhere = np.ones(box.sides, bool) if where is None else where
        self.classes[window][everywhere] = label
        self.units[window][everywhere] = len(self.unit_classes)
        self.unit_classes.append(label)

    def parcel(self, box: _Box, label: int) -> None:
        """Paint a parcel of a class in its form."""
        form = self.covers[label].form
        if COVERAGE[form] == 1:
            self.fill(box, label)
            return
        self.fill(box, 0)
        if form == "crowns":  # the peaks of a random field, as many as cover the parcel's share
            crowns = ndimage.gaussian_filter(self.rng.standard_normal(box.sides), 1.5)
            self.fill(box, label, crowns >= np.quantile(crowns, 1 - COVERAGE[form]))
        elif form == "hall":
            self.fill(self._inset(box, 0.08), label)
        else:
            self._houses(box, label)

    def _inset(self, box: _Box, margin: float) -> _Box:
        rows, columns = (round(margin * side * self.rng.uniform(0.5, 1.5)) for side in box.sides)
        return _Box(box.top + rows, box.left + columns, box.bottom - rows, box.right - columns)

    def _houses(self, box: _Box, label: int) -> None:
        for top in range(box.top, max(box.bottom - HOUSE_PITCH // 2, box.top + 1), HOUSE_PITCH):
            for left in range(box.left, max(box.right - HOUSE_PITCH // 2, box.left + 1), HOUSE_PITCH):
                (row, column), (rows, columns) = self.rng.integers([[0], [5]], [[3], [8]], (2, 2)).tolist()
                house = _Box(
                    top + row,
                    left + column,
                    min(top + row + rows, box.bottom),
                    min(left + column + columns, box.right),
                )
                if min(house.sides) > 1:
                    self.fill(house, label)

    def line(self, box: _Box, axis: int, label: int) -> None:
        """Paint a strip across ``axis`` in segments, each with its own object."""
        length = box.sides[1 - axis]
        for start in range(0, length, SEGMENT):
            self.fill(box.part(1 - axis, start, min(start + SEGMENT, length)), label)


def _zones(
    shape: tuple[int, int], train: int, test: int, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], list[_Box]]:
    """Cut the scene across its longer side into alternating test and train slabs that can hold the counts.

    Returns:
        The mask ``(H, W)`` of the test zone, and the slabs.
    """
    axis = int(shape[1] >= shape[0])
    length, breadth = shape[axis], shape[1 - axis]
    # columns that the train zone needs, and columns that it can have without robbing the test zone
    fewest, most = -(-train // breadth), length - -(-test // breadth)
    if fewest > most:
        raise InputError(
            f"{train} training and {test} test pixels were asked of a simulated scene of {shape[0]} x "
            f"{shape[1]} pixels; expected at most {shape[0] * shape[1] - 2 * breadth} in all"
        )
    # a fifth more than needed on both sides, if it fits: a zone filled to the last pixel has no natural shape
    room = (1.2 * fewest, length - 1.2 * (length - most))
    wanted = np.clip(TRAIN_ZONE * length, *room) if room[0] <= room[1] else (fewest + most) / 2
    columns = int(np.clip(round(wanted), max(fewest, 1), min(most, length - 1)))
    # several train slabs in a long scene, so that training pixels come from all over it
    slabs = int(np.clip(round(length / breadth), 1, max(1, columns // 16)))
    gaps = rng.dirichlet(np.full(slabs + 1, 8.0)) * (length - columns)
    is_test = np.ones(length, bool)
    start = 0.0
    for width, gap in zip(np.diff(np.linspace(0, columns, slabs + 1).astype(int)), gaps, strict=False):
        start += gap
        is_test[round(start) : round(start) + width] = False
        start += width
    edges = [0, *(np.flatnonzero(np.diff(is_test)) + 1).tolist(), length]
    scene = _Box(0, 0, *shape)
    boxes = [scene.part(axis, first, last) for first, last in pairwise(edges)]
    test_zone = np.broadcast_to(is_test[None, :] if axis else is_test[:, None], shape)
    return test_zone.copy(), boxes


def _shares(covers: Sequence[Cover], counts: NDArray[np.int64], area: int) -> NDArray[np.float64]:
    """Return each class's share of a zone: what its count needs with a margin, and the rest by prevalence."""
    needed = counts / area
    margin = min(1.4, 1 / max(needed.sum(), 1e-9))
    prevalence = np.array([cover.prevalence for cover in covers])
    return needed * margin + (1 - needed.sum() * margin) * prevalence / prevalence.sum()


def _fill_slab(canvas: _Canvas, slab: _Box, shares: NDArray[np.float64]) -> None:
    """Divide a slab into parcels in proportion to the classes' shares, with lines between them.

    This is a treemap: the list of parcels is halved by area and the box is cut at the same proportion, until
    one parcel is left in each box.
    """
    rng, covers = canvas.rng, canvas.covers
    area = slab.sides[0] * slab.sides[1]
    lines, parcels = {}, []
    # lines (roads, rails) fill the cuts between parcels; if all classes are lines, they become parcels
    only_lines = all(cover.form == "line" for cover in covers[1:])
    for label, (cover, share) in enumerate(zip(covers[1:], shares, strict=True), start=1):
        wanted = area * share * rng.gamma(16) / 16
        if cover.form == "line" and not only_lines:
            lines[label] = wanted
            continue
        wanted /= COVERAGE[cover.form]  # a parcel with gaps must be larger
        # parcels of about the class's size, but at most a third of its fair share of the slab: so there are
        # several of each class
        pieces = max(1, round(wanted / min(cover.size, max(area / len(covers) / 3, 36))))
        parcels += [(label, wanted * part) for part in rng.dirichlet(np.full(pieces, 5.0))]
    rng.shuffle(parcels)
    # breadth first, so that the lines with the most area left run along the first and longest cuts
    queue = deque([(slab, parcels)])
    while queue:
        box, inside = queue.popleft()
        axis = int(box.sides[1] >= box.sides[0])  # cutting the longer side keeps parcels compact
        length = box.sides[axis]
        if len(inside) == 1 or length < 2:
            canvas.parcel(box, inside[0][0])
            continue
        total = np.cumsum([size for _, size in inside])
        half = int(np.clip(np.searchsorted(total, total[-1] / 2), 1, len(inside) - 1))
        label = max(lines, key=lambda line: lines[line], default=0)
        width = covers[label].size if label and lines[label] > 0 else 0
        width = width if 4 * width <= length else 0  # a line must not fill its box
        cut = int(np.clip(round((length - width) * total[half - 1] / total[-1]), 1, length - width - 1))
        if width:
            strip = box.part(axis, cut, cut + width)
            lines[label] -= strip.sides[0] * strip.sides[1]
            canvas.line(strip, axis, label)
        queue.append((box.part(axis, 0, cut), inside[:half]))
        queue.append((box.part(axis, cut + width, length), inside[half:]))


def _bend(shape: tuple[int, int], rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the row and column of the plan that each pixel shows, so that no edge is a straight line."""
    short = min(shape)
    indices = []
    for axis, side in enumerate(shape):
        # wide bends of whole parcels, and edges that are ragged by about a pixel
        wide = 0.035 * short * smooth_field(shape, max(short / 2, 8), rng)
        ragged = 0.35 * smooth_field(shape, 4, rng)
        position = np.arange(side, dtype=np.float32)
        position = position[:, None] if axis == 0 else position[None, :]
        indices.append(np.clip(np.rint(position + wide + ragged), 0, side - 1).astype(np.intp))
    return indices[0], indices[1]


def _grow_short(
    classes: NDArray[np.uint8],
    units: NDArray[np.int32],
    unit_classes: list[int],
    zone: NDArray[np.bool_],
    counts: NDArray[np.int64],
) -> None:
    """Grow each class that has too few pixels in a zone, in place, into neighbours that can spare some."""
    needed = np.concatenate([[0], counts])
    for label in range(1, len(needed)):
        have = np.bincount(classes[zone], minlength=len(needed))
        short = needed[label] - have[label]
        if short <= 0:
            continue
        own = zone & (classes == label)
        if not own.any():  # the zone was too small for the class: start in the class that can spare most
            first = np.flatnonzero(zone & (classes == np.argmax(have - needed)))[0]
            own.flat[first] = True
            classes.flat[first], units.flat[first] = label, len(unit_classes)
            unit_classes.append(label)
            short -= 1
        distance, nearest = ndimage.distance_transform_edt(~own, return_indices=True)
        # every other class gives at most its surplus, the pixels nearest to this class first
        spare = []
        for other in np.flatnonzero(have > needed):
            pixels = np.flatnonzero(zone & (classes == other) & ~own)
            order = np.argsort(distance.flat[pixels], kind="stable")
            spare.append(pixels[order[: have[other] - needed[other]]])
        candidates = np.concatenate(spare)
        chosen = candidates[np.argsort(distance.flat[candidates], kind="stable")[:short]]
        classes.flat[chosen] = label
        # a pixel joins the nearest object of its new class
        units.flat[chosen] = units[tuple(nearest.reshape(2, -1)[:, chosen])]


def plan_layout(
    covers: Sequence[Cover],
    shape: tuple[int, int],
    train_counts: NDArray[np.int64],
    test_counts: NDArray[np.int64],
    rng: np.random.Generator,
) -> Layout:
    """Lay out a scene whose zones hold at least the given number of pixels of each class.

    Args:
        covers: surroundings first, then the K classes in label order.
        shape: rows and columns.
        train_counts: ``(K,)`` pixels that the train zone must hold.
        test_counts: ``(K,)`` pixels that the test zone must hold.
        rng: draws everything; the order of the draws fixes the plan.

    Raises:
        InputError: if the counts do not fit into the scene.
    """
    test, slabs = _zones(shape, int(train_counts.sum()), int(test_counts.sum()), rng)
    canvas = _Canvas(covers, shape, rng)
    for slab in slabs:
        in_test = bool(test[slab.top, slab.left])
        counts = test_counts if in_test else train_counts
        _fill_slab(canvas, slab, _shares(covers[1:], counts, int((test == in_test).sum())))
    # bending moves pixels over the zones' borders, so only now is it known which class has too few
    bent = _bend(shape, rng)
    classes, units = canvas.classes[bent], canvas.units[bent]
    _grow_short(classes, units, canvas.unit_classes, ~test, train_counts)
    _grow_short(classes, units, canvas.unit_classes, test, test_counts)
    return Layout(classes, units, np.array(canvas.unit_classes, np.uint8), test)


def smooth_field(shape: tuple[int, ...], scale: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw a field of mean 0 and standard deviation 1 that varies over about ``scale`` pixels.

    Normal deviates on a coarse grid are interpolated by cubic splines, so the cost does not grow with scale.

    Args:
        shape: rows and columns ``(H, W)``.
        scale: spacing of the coarse grid in pixels, at least 1.
        rng: draws the deviates.

    Returns:
        ``(H, W)`` float32.
    """
    rows, columns = (int(np.ceil(side / scale)) + 4 for side in shape)
    grid = rng.standard_normal((rows, columns), dtype=np.float32)
    # a random offset of the pixels against the grid hides the grid; a spare grid line keeps clear of the edge
    first_row, first_column = 1 + rng.random(2)
    spline = ndimage.spline_filter(grid, order=3, output=np.float32)
    field = ndimage.affine_transform(
        spline,
        matrix=np.array([1 / scale, 1 / scale]),
        offset=(first_row, first_column),
        output_shape=shape,
        output=np.float32,
        order=3,
        prefilter=False,
    )
    field -= field.mean()
    return field / max(float(field.std()), 1e-6)
