"""The source ``manifest``: a user's own scenes, described in one YAML file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.grid import require_same_grid
from m3amba_zoo.rasters.matching import KnownBands
from m3amba_zoo.rasters.opening import align_rasters, log_remarks
from m3amba_zoo.rasters.request import ALIGN, RasterRequest
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.label_files import LabelRaster, distinct_values, parse_label_file
from m3amba_zoo.scenes.manifest_entries import MODALITY_KEYS, RasterEntry, Section
from m3amba_zoo.scenes.palette import safe_color
from m3amba_zoo.scenes.scene import LandClass, Scene, check_number_of_classes
from m3amba_zoo.scenes.source import Source
from m3amba_zoo.scenes.yaml_file import read_yaml

SCENE_KEYS = ("name", "modalities", "grid", "align", "labels", "polygons", "train", "test")

Masks = dict[str, NDArray[np.bool_]]
ClassValues = list[tuple[float | str, ...]]
"""The values of each class in label rasters and polygons; empty if the manifest gives none."""


@SOURCES.register_module(name="manifest")
class Manifest(Source):
    """The user's own scenes, described in one YAML file.

    Example of ``scene.yaml``, with paths relative to its folder; keys marked (o) are optional::

        name: harbour
        modalities:
          hsi:
            path: hsi.img               # GeoTIFF, ENVI (the data file), EnMAP, PRISMA, EMIT, MATLAB, ...
            bands: [0-107, 120-150]     # (o) bands to keep, counted from 0; ranges include both ends
            nodata: -9999               # (o) replaces the file's own; a list has one number per band
            unit: reflectance x 10000   # (o)
            wavelengths: [400, 405]     # (o) nm, one per band of the file; replaces the file's own
            scale: 0.0001               # (o) values are the file's numbers x scale + offset; these
            offset: -0.1                # (o) replace the file's own
            alpha: data                 # (o) what the band is that the file calls alpha: data or mask
            align: bilinear             # (o) warp it to the reference's grid; also cubic, nearest, average
          lidar:
            path: heights.mat
            key: LiDAR                  # the array of a MATLAB (H x W or H x W x C), HDF5 or NetCDF file
            axes: row, column, band     # (o) of an array whose file does not name its axes
            crs: EPSG:32632             # (o) of its coordinates; replaces the file's own
        grid: hsi                       # (o) the reference; the first modality if absent
        align: bilinear                 # (o) of all modalities that do not state it
        labels:
          path: labels.tif
          unlabelled: [0, 255]          # (o) values without a class; 0 if absent
        classes:
          - name: wheat
            color: [240, 200, 70]       # (o) red, green, blue
            values: [1, 2]              # (o) its values in the labels; all classes have this key or none,
          - name: maize                 # without it, the value is the class's position from 1
            values: [3]
        train: {path: train.tif}        # (o) with test: masks of an official split; pixels other than 0
        test: {path: test.tif}

    Polygons can replace ``labels``; a pixel has the class of the polygon over its centre::

        polygons:
          path: fields.gpkg             # or shapefile, GeoJSON, KML, FlatGeobuf, ... as GDAL reads them
          attribute: crop               # its values are the classes' ``values``, or their names if absent
          layer: summer                 # (o) which layer, if the file has several
          unlabelled: [unknown]         # (o)
          crs: EPSG:32617               # (o) replaces the file's own
          touched: false                # (o) true: all pixels that a polygon touches
          skip_invalid: false           # (o) true: leave out invalid, empty and missing geometries

    Points are polygons of one pixel, the one that holds them, or with ``radius: 3`` the pixels whose centre
    lies within 3 m. Regions of interest that ENVI wrote as text need their ``path`` alone: a region's name is
    its value, and its pixels are those of the image. The names of KML's placemarks are the attribute
    ``Name``.

    ``labels``, ``train`` and ``test`` take these files, too, with the same keys. Without ``labels`` and
    ``polygons``, ``train`` and ``test`` are labels, not masks. Several scenes with the same modalities go
    into one file under ``scenes``, a list of such mappings, with ``classes`` beside it.

    A warning counts polygons that lie off the rasters, that hold no pixel centre, or that have no value. It
    is an error if all of them lie off the rasters, or no pixel is labelled at all.

    A modality may be several files, stacked in order: ``paths: [B02.tif, B03.tif]`` in place of ``path``. An
    entry may be a mapping with keys of its own: ``{path: B05.tif, nodata: 0, align: cubic}``. ``bands`` and
    ``wavelengths`` count over the stack. Bands have the names that the files give them, else those of the
    files. The files' grid is that of the smallest pixels.

    All rasters of a scene must have one size and, if known, one CRS and transform. Those on another grid
    (resolution, extent, CRS, rotation) are refused, unless ``align`` says how to warp them while they are
    read. What lies outside of them is missing then. Labels are never interpolated: a label raster on another
    grid needs ``align: nearest``. Polygons in another CRS are transformed to that of the rasters. Pixels
    under polygons of different classes are unlabelled.
    """

    def __init__(self, path: str | Path, document: Any = None) -> None:
        """Read and check the YAML file; rasters are read by ``load``.

        Args:
            path: the YAML file.
            document: its content, if it is not written yet.

        Raises:
            InputError: if the file is absent or not YAML, a key is unknown or missing, a value is wrong, or
                a file that it names is absent.
        """
        self.path = Path(path)
        super().__init__(self.path.parent)
        document = read_yaml(self.path) if document is None else document
        several = isinstance(document, dict) and "scenes" in document
        keys = ("scenes", "classes") if several else (*SCENE_KEYS, "classes")
        top = Section(str(self.path), document, keys, ("classes",))
        self.classes, self._values = _classes(top)
        alone = {key: value for key, value in top.values.items() if key != "classes"}
        entries = top.entries("scenes") if several else [alone]
        self.scenes = [
            _SceneEntry(
                f"{path}: scene {number}" if several else str(path),
                entry,
                self.root,
                self.classes,
                self._values,
            )
            for number, entry in enumerate(entries, start=1)
        ]
        self._compare_scenes()
        self.title = "+".join(scene.name for scene in self.scenes)
        self.simulated = "simulated" in self.title

    def load(self, rasters: bool = True) -> list[Scene]:
        """Read the scenes in the order of the YAML file; see ``Source.load``."""
        scenes: list[Scene] = []
        for entry in self.scenes:
            first = scenes[0].rasters if scenes else {}
            scenes.append(
                entry.load(rasters, {name: KnownBands.of(raster) for name, raster in first.items()})
            )
        self._check_labels(scenes)
        return scenes

    def requests(self) -> dict[str, RasterRequest]:
        """Return what the YAML file states of the first scene's files, by modality."""
        return {name: entry.request for name, entry in self.scenes[0].modalities.items()}

    def channels(self) -> dict[str, int]:
        """Count the bands of the first scene, from the lists of ``bands`` or the files' headers."""
        return {name: entry.count_bands() for name, entry in self.scenes[0].modalities.items()}

    def _compare_scenes(self) -> None:
        """Raise InputError if two scenes have the same name or different modalities."""
        first = self.scenes[0]
        for position, scene in enumerate(self.scenes):
            if scene.name in [other.name for other in self.scenes[:position]]:
                raise InputError(
                    f"{self.path}: two scenes are named '{scene.name}'; different names are expected"
                )
            if set(scene.modalities) != set(first.modalities):
                raise InputError(
                    f"{self.path}: scene '{scene.name}' has the modalities {', '.join(scene.modalities)}, "
                    f"scene '{first.name}' {', '.join(first.modalities)}; all scenes need the same"
                )

    def _check_labels(self, scenes: Sequence[Scene]) -> None:
        """Raise InputError if no pixel has a label, or if the labels seem to count from 0."""
        names = [entry.name for entry in self.classes]
        counts = np.sum(
            [np.bincount(scene.labels.ravel(), minlength=len(names) + 1) for scene in scenes], axis=0
        )[1:]
        last_alone = counts[:-1].all() and not counts[-1]
        if last_alone and not self._values[0] and any(scene.has_zeros() for scene in self.scenes):
            raise InputError(
                f"{self.path}: {len(names)} classes, but the labels have the values 0 to {len(names) - 1}: "
                f"if 0 is the class '{names[0]}', give each class its value (`values: [0]`, `values: "
                f"[1]`, ...); if 0 means no class, and no pixel is '{names[-1]}', write `unlabelled: [0]` "
                "beside the labels' path"
            )
        if not counts.any():
            raise InputError(f"{self.path}: no pixel is labelled; labels on the scene's rasters are expected")


class _SceneEntry:
    """A scene of a manifest."""

    def __init__(
        self, where: str, value: Any, folder: Path, classes: tuple[LandClass, ...], values: ClassValues
    ) -> None:
        """Check the scene's part of the YAML file."""
        section = Section(where, value, SCENE_KEYS, ("name", "modalities"))
        self.name = section.text("name")
        self.where, self._classes, self._values = where, classes, values
        given = section.values["modalities"]
        if not isinstance(given, dict) or not given:
            raise section.refusal("modalities", "a mapping from names to files")
        self.modalities = {
            str(name): RasterEntry.parse(f"{where}, modality '{name}'", entry, folder, MODALITY_KEYS)
            for name, entry in given.items()
        }
        if "polygons" in section and "labels" in section:
            raise InputError(f"{where} has both 'labels' and 'polygons'; one of them is expected")
        grid = section.choice("grid", list(self.modalities))
        self.modalities = _placed(self.modalities, grid, section.choice("align", ALIGN))
        is_labelled = "polygons" in section or "labels" in section
        self._labels = {
            "labels" if key == "polygons" else key: parse_label_file(
                f"{where}, {key}", section.values[key], folder, key, is_labelled and key in ("train", "test")
            )
            for key in ("labels", "polygons", "train", "test")
            if key in section
        }
        self._require_labels_apart()
        parts = [part for part in ("train", "test") if part in section]
        if len(parts) == 1 or not (parts or is_labelled):
            found = f"'{parts[0]}' alone" if parts else "no labels"
            raise InputError(
                f"{where} has {found}; 'labels' or 'polygons' is expected, or both 'train' and 'test', or all"
            )

    def load(self, rasters: bool, like: Mapping[str, KnownBands]) -> Scene:
        """Read the scene's files; see ``Source.load``. Its bands are those of ``like``, by modality."""
        with ExitStack() as stack:
            opened = {
                name: stack.enter_context(entry.open(like.get(name)))
                for name, entry in self.modalities.items()
                if rasters or not entry.is_matlab
            }
            grid = align_rasters(self.name, opened) if opened else None
            if rasters:
                log_remarks(opened.values())
            modalities = {name: raster.read() for name, raster in opened.items() if rasters}
        drawn = {
            part: file.read(grid, self.name)
            for part, file in self._labels.items()
            if isinstance(file, LabelRaster)
        }
        grids = [*([grid] if grid else []), *(read.grid for read in drawn.values())]
        # a georeferenced grid comes first: the others are compared with it, and the scene and polygons use it
        grids.sort(key=lambda grid: grid.transform is None)
        for other in grids[1:]:
            require_same_grid(self.name, grids[0], other)
        if not grids:  # labels that lie on pixels, on rasters without a header that tells their size
            grids = [next(iter(self.modalities.values())).read().grid]
        found = {
            part: file.labels(drawn[part], self._numbers(range(1, len(self._classes) + 1)))
            if isinstance(file, LabelRaster)
            else file.labels(grids[0], self._numbers([entry.name for entry in self._classes]))
            for part, file in self._labels.items()
            if part == "labels" or "labels" not in self._labels
        }
        labels = found["labels"] if "labels" in found else np.maximum(found["train"], found["test"])
        official: Masks = {}
        for part, file in self._labels.items():
            if part in found:
                marked = found[part] > 0
            else:
                marked = file.mask(drawn[part]) if isinstance(file, LabelRaster) else file.mask(grids[0])
            if part != "labels":
                official[part] = marked & (labels > 0)
        if official:
            self._require_disjoint(official)
        return Scene(
            name=self.name,
            rasters=modalities,
            labels=labels,
            classes=self._classes,
            crs=grids[0].crs,
            transform=grids[0].transform,
            official=official or None,
        )

    def shows_same_as(self, other: _SceneEntry) -> bool:
        """Tell whether another scene has the same files of labels, and a raster of this one."""
        rasters, labels = zip(*(scene._files() for scene in (self, other)), strict=True)
        return labels[0] == labels[1] and bool(rasters[0] & rasters[1])

    def _files(self) -> tuple[set[str], set[str]]:
        """Return the files of rasters and of labels, without links."""
        rasters = [path for entry in self.modalities.values() for path in entry.request.files]
        labels = [str(file.path) for file in self._labels.values()]
        return set(map(os.path.realpath, rasters)), set(map(os.path.realpath, labels))

    def has_zeros(self) -> bool:
        """Tell whether a label raster has the value 0, and the manifest does not list it as unlabelled."""
        return any(
            0 in distinct_values(file.read().raster)
            for file in self._labels.values()
            if isinstance(file, LabelRaster) and file.unlabelled is None
        )

    def _numbers(self, defaults: Sequence[Any]) -> dict[Any, int]:
        """Return the label of each value; a class without values gets the default at its position."""
        return {
            value: number
            for number, (own, default) in enumerate(zip(self._values, defaults, strict=True), start=1)
            for value in own or (default,)
        }

    def _require_labels_apart(self) -> None:
        """Raise InputError if a modality is the array of the labels: a model would read the answer."""
        arrays = {
            (os.path.realpath(file.path), file.request.key): file.path
            for file in self._labels.values()
            if isinstance(file, LabelRaster)
        }
        for name, entry in self.modalities.items():
            for part in entry.request.parts or (entry.request,):
                if path := arrays.get((os.path.realpath(part.path), part.key)):
                    raise InputError(
                        f"{self.where}: {path} is both the modality '{name}' and the labels; two files, or "
                        "two arrays of one, are expected"
                    )

    def _require_disjoint(self, official: Masks) -> None:
        both = official["train"] & official["test"]
        if both.any():
            row, column = np.argwhere(both)[0]
            train, test = (self._labels[part].path for part in ("train", "test"))
            raise InputError(
                f"{self.where}: {int(both.sum())} pixels are in both {train} and {test} (the first at row "
                f"{row}, column {column}); separate parts are expected"
            )


def _placed(
    modalities: Mapping[str, RasterEntry], grid: str | None, align: str | None
) -> dict[str, RasterEntry]:
    """Enter what a scene states of all modalities: the reference, and how to align the others with it."""
    requests = {
        name: replace(entry.request, align=entry.request.align or align) for name, entry in modalities.items()
    }
    if grid is None and any(request.align for request in requests.values()):
        grid = next(iter(requests))
    return {
        name: replace(entry, request=replace(requests[name], grid=name == grid))
        for name, entry in modalities.items()
    }


def _classes(top: Section) -> tuple[tuple[LandClass, ...], ClassValues]:
    """Read the class table and the values of each class."""
    classes: list[LandClass] = []
    values: ClassValues = []
    entries = top.entries("classes")
    check_number_of_classes(top.where, len(entries))
    if len(entries) == 1:
        raise top.refusal("classes", "a list of two classes at least")
    for position, entry in enumerate(entries):
        where = f"{top.where}: class {position + 1}"
        section = Section(where, entry, ("name", "color", "values"), ("name",))
        name, own = section.text("name"), tuple(section.scalars("values"))
        if name in [other.name for other in classes]:
            raise InputError(
                f"{where}: another class has the name '{name}' too; different names are expected"
            )
        for value in own:
            if any(value in others for others in values):
                raise InputError(f"{where}: another class has the value {value!r} too; one class is expected")
        color = section.entries("color") or safe_color(position)
        if len(color) != 3 or not all(type(part) is int and 0 <= part <= 255 for part in color):
            raise section.refusal("color", "a list [red, green, blue] of whole numbers from 0 to 255")
        if values and bool(own) != bool(values[0]):
            raise InputError(f"{where}: 'values' in some classes and not in others; expected in all or none")
        classes.append(LandClass(name, (color[0], color[1], color[2])))
        values.append(own)
    return tuple(classes), values
