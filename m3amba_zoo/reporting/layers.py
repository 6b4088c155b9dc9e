"""What a page shows of scenes: pictures with layers of one byte per pixel, and a sample of pixels."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.special import softmax

from m3amba_zoo.evaluation.scene_metric import SceneLogits
from m3amba_zoo.maps.products import normalised_entropy
from m3amba_zoo.rasters import Raster
from m3amba_zoo.reporting.colors import hexadecimal
from m3amba_zoo.reporting.page import pack
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits import Split
from m3amba_zoo.splits.split import PARTS
from m3amba_zoo.visualization.maps import composite
from m3amba_zoo.visualization.pictures import Picture, make_pictures

MOST_BYTES = 9 * 2**20
"""Of all pictures; with Plotly's script (1.8 MB) and the curves, a page stays far below 15 MB."""
LARGEST_PNG = 5 * 2**19
"""Bytes of a composite; a larger one is stored as JPEG."""
SAMPLE_BYTES = 3 * 2**20
MOST_SAMPLES, FEWEST_SAMPLES = 6000, 50
LEVELS = 63
"""Of the entropy: fewer than 255 compress to half the size, and no eye tells more apart."""
ROWS = 256
# rasters that travel with a scene's own to be thinned and joined with them; no modality has such a name
_SPLIT, _ENTROPY, _SCENE, _ROW, _COLUMN = OWN = tuple(
    f"\0{n}" for n in ("split", "h", "scene", "row", "column")
)
RIGHT, WRONG = (86, 180, 233), (213, 94, 0)
SPLIT_COLORS = ((0, 114, 178), (240, 228, 66), (213, 94, 0))
MISSING = "#ffffff"
SEED = 0
STEPS = 65534
"""Values are stored as whole numbers from 0 to this, over the range of a modality's sampled values."""
UNKNOWN = 65535
Places = tuple[NDArray[np.intp], NDArray[np.intp]]


class Drawn(NamedTuple):
    """The pictures of a run as JSON, and what was left out.

    Attributes:
        pictures: see ``_picture``.
        scenes: how many scenes they show.
        left_out: how many more there are.
        samples: how many pixels have a spectrum.
        pixels: of how many.
    """

    pictures: list[dict[str, Any]]
    scenes: int
    left_out: int
    samples: int
    pixels: int


def draw_scenes(
    scenes: Sequence[Scene],
    class_maps: Mapping[str, NDArray[np.uint8]],
    split: Split,
    part: str,
    logits: Mapping[str, SceneLogits],
) -> Drawn:
    """Draw scenes, those with scored pixels if some have them, as many as ``MOST_BYTES`` hold.

    Of many scenes those that touch are one picture, and large ones are thinned, as on ``map.png``.

    Args:
        scenes: with their rasters.
        class_maps: ``(H, W)`` uint8 by scene name, 1..K, 0 not predicted.
        split: of the scenes.
        part: that is scored.
        logits: of each scene by its name; a scene without has no probabilities and no entropy.
    """
    predicted = [scene for scene in scenes if scene.name in class_maps]
    scored = [scene for scene in predicted if split.masks[scene.name][part].any()] or predicted
    marked = [_marked(number, scene, split, logits.get(scene.name)) for number, scene in enumerate(scored)]
    area = sum(scene.labels.size for scene in scored)
    pictures: list[dict[str, Any]] = []
    used = shown = samples = pixels = 0
    for picture in make_pictures(marked, class_maps, split):
        share = sum(scene.labels.size for scene in picture.scenes) / area
        drawn = _picture(picture, scored, PARTS.index(part) + 1, logits, share)
        size = sum(len(text) for text in _texts(drawn))
        if pictures and used + size > MOST_BYTES:
            break
        used += size
        shown += len(picture.scenes)
        samples += drawn["samples"]["count"]
        pixels += picture.labels.size
        pictures.append(drawn)
    return Drawn(pictures, shown, len(scored) - shown, samples, pixels)


def entropy(logits: SceneLogits) -> NDArray[np.uint8]:
    """Return the entropy ``(H, W)``: from 1 for none to ``LEVELS`` + 1 for log K; 0 where it is unknown."""
    found = np.zeros(logits.count.shape, np.uint8)
    for top in range(0, len(found), ROWS):  # the probabilities of a whole scene would be a copy of its logits
        rows = slice(top, top + ROWS)
        known = logits.count[rows] > 0
        values = softmax(logits.total[:, rows][:, known] / logits.count[rows][known], axis=0)
        found[rows][known] = 1 + np.round(LEVELS * normalised_entropy(values)).astype(np.uint8)
    return found


def code_layer(
    name: str, codes: NDArray[np.uint8], legend: Sequence[tuple[str, Sequence[int]]]
) -> dict[str, Any]:
    """Return a layer whose values 1.. have names and colours of their own."""
    table = [{"name": entry, "color": hexadecimal(color)} for entry, color in legend]
    return {"name": name, "kind": "codes", "plane": pack(codes.astype(np.uint8)), "legend": table}


def class_layer(name: str, class_map: NDArray) -> dict[str, Any]:
    """Return a layer of classes 1..K."""
    return {"name": name, "kind": "classes", "plane": pack(class_map.astype(np.uint8))}


def _marked(number: int, scene: Scene, split: Split, logits: SceneLogits | None) -> Scene:
    """Add what a picture needs beside the scene's rasters, as rasters: ``make_pictures`` joins these."""
    height, width = scene.shape
    codes = np.zeros(scene.shape, np.uint8)
    for code, part in enumerate(PARTS, start=1):
        codes[split.masks[scene.name][part]] = code
    added: dict[str, NDArray] = {
        _SPLIT: codes,
        _ENTROPY: np.zeros(scene.shape, np.uint8) if logits is None else entropy(logits),
        # views without memory of their own
        _SCENE: np.broadcast_to(np.int32(number + 1), scene.shape),
        _ROW: np.broadcast_to(np.arange(height, dtype=np.int32)[:, None], scene.shape),
        _COLUMN: np.broadcast_to(np.arange(width, dtype=np.int32), scene.shape),
    }
    rasters = {name: Raster(values[None]) for name, values in added.items()}
    return replace(scene, rasters={**scene.rasters, **rasters})


def _picture(
    picture: Picture,
    scenes: Sequence[Scene],
    scored: int,
    logits: Mapping[str, SceneLogits],
    share: float,
) -> dict[str, Any]:
    """Return a picture as JSON: its size, members, backgrounds, layers and samples."""
    marks = {name: np.nan_to_num(picture.rasters[name].data[0]).astype(np.int32) for name in OWN}
    rasters = {name: raster for name, raster in picture.rasters.items() if name not in OWN}
    codes, certain = marks[_SPLIT], marks[_ENTROPY]
    errors = np.where(codes == scored, np.where(picture.class_map == picture.labels, 1, 2), 0)
    layers = [
        class_layer("prediction", picture.class_map),
        class_layer("reference", picture.labels),
        code_layer("errors", errors, [("right", RIGHT), ("wrong", WRONG)]),
        code_layer("split", codes, [*zip(PARTS, SPLIT_COLORS, strict=True)]),
    ]
    if certain.any():
        shown = {"name": "uncertainty", "kind": "scale", "plane": pack(certain.astype(np.uint8))}
        layers.insert(
            3, {**shown, "levels": LEVELS, "title": "entropy of the probabilities / log of the classes"}
        )
    members = list(_members(marks, [scene.name for scene in scenes]))
    width = sum(len(raster.data) for raster in rasters.values()) + len(scenes[0].classes)
    budget = min(MOST_SAMPLES, SAMPLE_BYTES // (2 * width)) * share
    chosen = choose(picture.labels, picture.class_map, max(FEWEST_SAMPLES, int(budget)))
    return {
        "title": f"{picture.scenes[0].name}" + f" and {len(members) - 1} that join" * (len(members) > 1),
        "scored": {"pixels": int((errors > 0).sum()), "right": int((errors == 1).sum())},
        "width": picture.labels.shape[1],
        "height": picture.labels.shape[0],
        "members": members,
        "backgrounds": [background(name, raster) for name, raster in rasters.items()],
        "layers": layers,
        "samples": pack_samples(chosen, rasters, _at(chosen, marks, scenes, logits)),
    }


def _members(marks: Mapping[str, NDArray], names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield where each scene lies in a picture, and which of its pixels its first one there is."""
    numbers = marks[_SCENE]
    for number in np.unique(numbers[numbers > 0]):
        rows, columns = (np.flatnonzero((numbers == number).any(axis=axis)) for axis in (1, 0))
        top, left, bottom, right = (int(edge) for edge in (rows[0], columns[0], rows[-1], columns[-1]))
        row, column = marks[_ROW], marks[_COLUMN]
        steps = (
            row[min(top + 1, bottom), left] - row[top, left],
            column[top, min(left + 1, right)] - column[top, left],
        )
        yield {
            "name": names[number - 1],
            "x": left,
            "y": top,
            "width": right - left + 1,
            "height": bottom - top + 1,
            "row": int(row[top, left]),
            "column": int(column[top, left]),
            "step": max(1, *(int(step) for step in steps)),
        }


def _at(
    chosen: tuple[NDArray[np.intp], NDArray[np.intp]],
    marks: Mapping[str, NDArray],
    scenes: Sequence[Scene],
    logits: Mapping[str, SceneLogits],
) -> NDArray[np.float32] | None:
    """Return the probabilities ``(n, K)`` at pixels, NaN where nothing was predicted; None if unknown."""
    if not logits:
        return None
    found = np.full((len(chosen[0]), len(scenes[0].classes)), np.nan, np.float32)
    numbers, rows, columns = (marks[name][chosen] for name in (_SCENE, _ROW, _COLUMN))
    for number in np.unique(numbers[numbers > 0]):
        of_scene = logits.get(scenes[number - 1].name)
        if of_scene is None:
            continue
        mine = np.flatnonzero(numbers == number)
        counts = of_scene.count[rows[mine], columns[mine]]
        mine, counts = mine[counts > 0], counts[counts > 0]
        found[mine] = softmax(of_scene.total[:, rows[mine], columns[mine]] / counts, axis=0).T
    return found


def background(name: str, raster: Raster, step: int = 1) -> dict[str, str]:
    """Return every ``step``-th pixel of a raster's composite as a data URI, and the bands that it shows."""
    drawn = composite(name, raster)
    return {"name": name, "shows": drawn.shows, "source": _data_uri(drawn.image[::step, ::step])}


def _data_uri(rgba: NDArray[np.uint8]) -> str:
    image = Image.fromarray(rgba)
    if (rgba[..., 3] == 255).all():
        grey = (rgba[..., :1] == rgba[..., 1:3]).all()
        image = image.convert("L" if grey else "RGB")
    png = io.BytesIO()
    image.save(png, "PNG")
    if png.tell() <= LARGEST_PNG:
        return _uri("png", png)
    white = Image.new("RGB", image.size, MISSING)
    white.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
    jpeg = io.BytesIO()
    white.save(jpeg, "JPEG", quality=88)
    return _uri("jpeg", jpeg)


def _uri(kind: str, file: io.BytesIO) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    children = node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ()
    for child in children:
        yield from _texts(child)


def choose(labels: NDArray, class_map: NDArray, count: int) -> Places:
    """Draw pixels without replacement: up to half labelled ones, each class alike, the rest from anywhere.

    The draw is the same at every call and touches no other generator.

    Args:
        labels: ``(H, W)``, 0 unlabelled.
        class_map: ``(H, W)``, 0 not predicted; pixels that have neither are never drawn.
        count: of pixels; fewer if there are not so many.

    Returns:
        Rows and columns, in row-major order.
    """
    generator = np.random.default_rng(SEED)
    flat = labels.ravel()
    present = np.unique(flat[flat > 0])
    drawn = [
        _draw(generator, np.flatnonzero(flat == number), count // 2 // len(present)) for number in present
    ]
    taken = np.zeros(flat.size, bool)
    taken[np.concatenate([np.zeros(0, np.intp), *drawn])] = True
    rest = np.flatnonzero(((flat > 0) | (class_map.ravel() > 0)) & ~taken)
    taken[_draw(generator, rest, count - int(taken.sum()))] = True
    rows, columns = np.nonzero(taken.reshape(labels.shape))
    return rows, columns


def pack_samples(
    places: Places, rasters: Mapping[str, Raster], probabilities: NDArray[np.float32] | None
) -> dict[str, Any]:
    """Return a sample as JSON.

    Args:
        places: rows and columns in the picture.
        rasters: of the picture, by modality.
        probabilities: ``(n, K)``, NaN where unknown; or None.
    """
    rows, columns = places
    mask = np.zeros(next(iter(rasters.values())).shape if rasters else (0, 0), bool)
    if rasters:
        mask[rows, columns] = True  # row-major, as ``places`` are
    return {
        "count": len(rows),
        "y": pack(rows.astype(np.uint16)),
        "x": pack(columns.astype(np.uint16)),
        "spectra": {name: _numbers(raster.pixels(mask)) for name, raster in rasters.items()},
        "probabilities": None if probabilities is None else _numbers(probabilities),
    }


def _numbers(values: NDArray[np.float32]) -> dict[str, Any]:
    """Return values ``(n, C)`` as uint16 over their range; ``UNKNOWN`` where they are NaN."""
    known = np.isfinite(values)
    low, high = (float(end(values[known])) for end in (np.min, np.max)) if known.any() else (0.0, 1.0)
    span = (high - low) or 1.0
    scaled = np.round((np.where(known, values, low).astype(np.float64) - low) / span * STEPS)
    numbers = np.where(known, scaled, UNKNOWN).astype(np.uint16)
    return {"values": pack(numbers), "low": low, "step": span / STEPS, "bands": values.shape[1]}


def _draw(generator: np.random.Generator, places: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    return places if len(places) <= count else generator.choice(places, count, replace=False)
