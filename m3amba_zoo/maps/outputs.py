"""The files that are made beside a map, and whether they can be written."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from m3amba_zoo.errors import InputError, close_names
from m3amba_zoo.maps.products import MAP, PROBABILITIES, UNCERTAINTY
from m3amba_zoo.system import same_file

GEOTIFF = (".tif", ".tiff")
PICTURE = (".png",)
STYLE, PREVIEW, AREAS = "style", "preview", "areas"
BESIDE = {
    PROBABILITIES: "_probabilities.tif",
    UNCERTAINTY: "_uncertainty.tif",
    STYLE: ".qml",  # the name under which QGIS finds it
    PREVIEW: "_preview.png",
    AREAS: "_areas.csv",
}
"""What each further output adds to the map's name, in place of its suffix."""


def output_paths(
    out: str | Path, wanted: Mapping[str, Path | None], inputs: Iterable[str | Path]
) -> dict[str, Path]:
    """Return the paths of a map and of the outputs beside it, by name.

    Args:
        out: the map, a ``.tif``.
        wanted: names of ``BESIDE`` with paths; None takes the usual one.
        inputs: files that are read.

    Raises:
        InputError: if a name is unknown, or a file cannot be written.
    """
    out = Path(out)
    paths = {MAP: out}
    for name, path in wanted.items():
        if name not in BESIDE:
            hint = close_names(name, BESIDE) or f"expected {', '.join(BESIDE)}"
            raise InputError(f"no output '{name}' beside a map; {hint}")
        paths[name] = path or out.with_name(out.stem + BESIDE[name])
    inputs = list(inputs)
    for name, path in paths.items():
        others = [other for of, other in paths.items() if of != name]
        suffix = GEOTIFF[0] if name == MAP else f".{BESIDE[name].rpartition('.')[2]}"
        check_output(path, GEOTIFF if suffix in GEOTIFF else (suffix,), [*inputs, *others])
    return paths


def check_output(path: str | Path, suffixes: tuple[str, ...], others: Iterable[str | Path] = ()) -> None:
    """Raise InputError if it is known beforehand that a file of this name cannot be written.

    ``others`` are files that it may not replace: the rasters that are read, and other files to be written.
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise InputError(f"{path}: cannot be written, its name should end in {' or '.join(suffixes)}")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise InputError(f"{path}: cannot be written, there is no folder {folder}")
    if path.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        found = "it is a folder" if path.is_dir() else f"no permission for {folder}"
        raise InputError(f"{path}: cannot be written, {found}")
    for other in others:
        if same_file(path, other):
            raise InputError(
                f"{path}: cannot be written, it is an input or another output; expected another name"
            )
