"""The map of a prediction: in memory, or written to files while it is predicted.

Maps in files have any size, and a stopped prediction goes on where it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rasterio.transform import Affine

from m3amba_zoo.maps.geotiff import write_class_map
from m3amba_zoo.maps.outputs import (
    AREAS,
    GEOTIFF,
    PICTURE,
    PREVIEW,
    STYLE,
    check_output,
    output_paths,
    write_areas,
    write_style,
)
from m3amba_zoo.maps.parts import Parts
from m3amba_zoo.maps.preview import write_picture, write_preview
from m3amba_zoo.maps.products import MAP, RASTERS, Product, product
from m3amba_zoo.scenes.scene import LandClass

if TYPE_CHECKING:
    from m3amba_zoo.inference.strips import OpenJob, Strip

Bands = dict[str, NDArray]
"""Rows of each product, ``(C, h, W)`` by name."""


def write_map(
    job: OpenJob,
    out: str | Path,
    beside: Iterable[str] | Mapping[str, Path | None] = (),
    half: bool = False,
    progress: Callable[[int, int], None] | None = None,
    rows_of: Callable[[Mapping[str, Product], int], Iterator[Bands]] | None = None,
) -> list[Path]:
    """Classify all rows and write the map and what is wanted beside it.

    Finished rows are kept beside ``out`` until all are there. If they are of the same job (model, rasters,
    options, version), the prediction goes on behind them; the result is the same to the last bit.

    Args:
        job: the rasters, opened.
        out: the map, a ``.tif``.
        beside: names of ``maps.outputs.BESIDE``, as a mapping with paths where they are not the usual ones.
        half: probabilities and uncertainty as float16 rather than percent.
        progress: is called with the number of finished pixels and that of all pixels.
        rows_of: who classifies the rows from a given one on; by default this process.

    Returns:
        The files written, the map first.

    Raises:
        InputError: if a file cannot be written or read; what is finished stays, and the same command goes on.
    """
    classes, place = job.classes, job.place
    wanted = beside if isinstance(beside, Mapping) else dict.fromkeys(beside)
    paths = output_paths(out, wanted, job.inputs)
    products = {
        name: product(name, classes, place.crs, place.transform, job.tags, half)
        for name in RASTERS
        if name in paths
    }
    key = _key(job, products, half)
    with Parts({name: paths[name] for name in products}, products, place.shape, key) as parts:
        height, width = place.shape
        if progress is not None:
            progress(parts.rows * width, height * width)
        rows = rows_of or (lambda products, first: bands_of(job.classifier.classify(first), products))
        if parts.rows < height:
            for bands in rows(products, parts.rows):
                parts.add(bands)
                if progress is not None:
                    progress(parts.rows * width, height * width)
        if AREAS in paths:
            write_areas(paths[AREAS], parts.class_map(), classes, place.crs, place.transform)
        if STYLE in paths:
            write_style(paths[STYLE], classes)
        parts.finish()
    if PREVIEW in paths:
        write_preview(paths[PREVIEW], paths[MAP], classes)
    return list(paths.values())


def bands_of(strips: Iterable[Strip], products: Mapping[str, Product]) -> Iterator[Bands]:
    """Make the products of classified rows."""
    for strip in strips:
        shares = strip.probabilities() if len(products) > 1 else strip.logits
        yield {name: made.make(strip.class_map, shares) for name, made in products.items()}


def _key(job: OpenJob, products: Mapping[str, Product], half: bool) -> str:
    """Return a hash of all that decides the pixels of the products."""
    weights = hashlib.sha256()
    for name, tensor in job.classifier.model.state_dict().items():
        weights.update(name.encode() + np.ascontiguousarray(tensor.cpu().numpy()).tobytes())
    decides = {
        "weights": weights.hexdigest(),
        "tags": job.tags,
        "products": sorted(products),
        "half": half,
        "rasters": {
            m: [repr(raster.stated), _files(raster.files), raster.fingerprint()]
            for m, raster in job.opened.items()
        },
        "place": [job.place.shape, job.place.crs, tuple(job.place.transform or ())],
        "batch_size": job.classifier.batch_size,
        "settings": job.settings,
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def _files(paths: Iterable[str]) -> list[list[int]]:
    """Return size and time of the last change of each file; other names of GDAL are left out."""
    found = []
    for path in paths:
        with contextlib.suppress(OSError):
            facts = Path(path).stat()
            found.append([facts.st_size, facts.st_mtime_ns])
    return found


@dataclass(frozen=True)
class Prediction:
    """The map that a Predictor makes of a set of rasters.

    Attributes:
        class_map: ``(H, W)`` uint8, 1..K; 0 where no raster has a value.
        classes: the K classes in order.
        probabilities: ``(K, H, W)`` float16, NaN where ``class_map`` is 0; None unless asked for.
        crs: of the rasters, ``EPSG:n`` or WKT, or None.
        transform: of the rasters, or None.
        inputs: the rasters' files, which no output replaces.
        tags: on model and rasters, for the map's file.
    """

    class_map: NDArray[np.uint8] = field(repr=False)
    classes: tuple[LandClass, ...]
    probabilities: NDArray[np.float16] | None = field(default=None, repr=False)
    crs: str | None = None
    transform: Affine | None = None
    inputs: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict, repr=False)

    def save(self, path: str | Path) -> None:
        """Write the map: a GeoTIFF with colours and class names, or a picture with legend and scale bar.

        The suffix decides: ``.tif`` or ``.png``.

        Raises:
            InputError: if the name has another suffix, or the file cannot be written.
        """
        check_output(path, (*GEOTIFF, *PICTURE), self.inputs)
        if Path(path).suffix.lower() in PICTURE:
            write_picture(Path(path), self.class_map, self.classes, self.crs, self.transform)
        else:
            write_class_map(path, self.class_map, self.classes, self.crs, self.transform, self.tags)
