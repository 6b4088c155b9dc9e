"""From a trained model to one file that needs neither this package nor, as ONNX, torch."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch

from m3amba_zoo.errors import InputError, one_line
from m3amba_zoo.evaluation.record import METRICS_FILE, read_record
from m3amba_zoo.export.program import FORMATS, exported_window, trace
from m3amba_zoo.hub.resolve import locate
from m3amba_zoo.hub.trained_model import TrainedModel, find_weights, read_own_record, visible_files
from m3amba_zoo.maps.outputs import check_output
from m3amba_zoo.rasters.matching import KnownBands
from m3amba_zoo.rasters.request import RasterRequest
from m3amba_zoo.registry import CLASSIFIERS
from m3amba_zoo.system import same_file, sha256_of, whole_file

OLDEST_TORCH = "2.8"  # the first that exports a loop and translates it to ONNX
OF_VALUES = ("scale", "offset", "nodata")


class Exported(NamedTuple):
    """An exported file: its path, and the facts that it carries."""

    path: Path
    facts: dict[str, Any]


def export_model(name_or_path: str | Path, to: str, out: str | Path | None = None) -> Exported:
    """Write a trained model's whole function, from raw bands to posteriors, to one file.

    Args:
        name_or_path: as for ``Predictor``.
        to: ``onnx`` or ``torch``.
        out: the file, ``.onnx`` or ``.pt2``; None takes the model's name and this folder.

    Raises:
        InputError: if there is no such model or format, the file cannot be written or is one of the model's
            own, what the format needs is not installed, or the model cannot be exported.
    """
    if to not in FORMATS:
        raise InputError(f"no format is called '{to}'; expected {' or '.join(FORMATS)}")
    suffix, packages, write = FORMATS[to]
    _require(to, packages)
    found, name = locate(name_or_path), Path(name_or_path).resolve().name
    folder = found.folder
    _refuse_classifier(folder)
    trained = found.load()
    path = Path(f"{name}{suffix}" if out is None else out)
    _check_out(path, suffix, folder)
    model = trained.model.eval()
    window = exported_window(model, trained.window)
    facts = facts_of(name, folder, trained, window)
    try:
        with _silence():
            content = write(trace(model, window), facts)
    except InputError:
        raise
    except Exception as error:  # of many kinds, about what a network does
        cause = error.__cause__ or error  # torch.onnx puts pages of advice around it
        raise InputError(
            f"{name}: {type(model).__name__} cannot be exported to {to} ({one_line(cause)})"
        ) from error
    with whole_file(path) as aside:
        aside.write_bytes(content)
    return Exported(path, facts)


def _require(to: str, packages: tuple[str, ...]) -> None:
    if torch.torch_version.TorchVersion(torch.__version__) < OLDEST_TORCH:
        raise InputError(f"export needs torch {OLDEST_TORCH} or newer, but {torch.__version__} is installed")
    if missing := [package for package in packages if find_spec(package) is None]:
        raise InputError(
            f"export to {to} needs {' and '.join(missing)}, which is not installed: pip install "
            "'m3amba_zoo[export]'"
        )


def _refuse_classifier(folder: Path) -> None:
    """Raise InputError if a folder is the work dir of a classical classifier."""
    if not (folder / METRICS_FILE).is_file():
        return
    described = read_own_record(folder / METRICS_FILE).get("model") or {}
    if CLASSIFIERS.get(str(described.get("type"))) is not None:
        raise InputError(
            f"{folder}: holds a {described['type']}, but only networks are exported; a classical classifier "
            "is not made of torch's operators"
        )


def _check_out(path: Path, suffix: str, folder: Path) -> None:
    """Raise InputError if it is known before the export that the file cannot be written there."""
    read = [*visible_files(folder, "*.py"), find_weights(folder), folder / METRICS_FILE]
    if any(same_file(path, file) for file in read):
        raise InputError(f"{path}: is a file of the model that is exported, and cannot be the output")
    check_output(path, (suffix,))


@contextmanager
def _silence() -> Iterator[None]:
    """Hide what torch says of its own progress and future."""
    logger = logging.getLogger("torch")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def facts_of(name: str, folder: Path, trained: TrainedModel, window: int) -> dict[str, Any]:
    """Return the facts of an exported model.

    Args:
        name: of the model.
        folder: its card or work dir.
        trained: the model.
        window: S, the rows and columns of a window that get a class.

    Returns:
        ``model``, ``weights`` (file and sha256), ``package`` (version of this one), ``window``, ``margin``
        (rows and columns of input on each side of a window), ``modalities`` in order (name, number of bands;
        wavelengths in nm and the unit where ``metrics.json`` has them; ``scale``, ``offset`` and ``nodata``
        where the training stated them, in place of what a file says; ``features`` where the bands are those
        of an encoder, which is no part of the file) and ``classes`` in order (name and colour).

    Raises:
        InputError: if ``metrics.json`` or the weights cannot be read.
    """
    record = read_record(folder / METRICS_FILE) if (folder / METRICS_FILE).is_file() else {}
    wavelengths = record.get("wavelengths") or {}
    weights = find_weights(folder)
    return {
        "model": name,
        "weights": {"file": weights.name, "sha256": sha256_of(weights)},
        "package": f"m3amba_zoo {version('m3amba_zoo')}",
        "window": window,
        "margin": trained.model.margin,
        "modalities": [
            {"name": m, "bands": bands}
            | ({"wavelengths": wavelengths[m]} if m in wavelengths else {})
            | (_values(trained.bands[m]) if m in trained.bands else {})
            | ({"features": _features(trained)} if trained.recipe and m == trained.recipe.name else {})
            for m, bands in trained.model.in_channels.items()
        ],
        "classes": [{"name": entry.name, "color": list(entry.color)} for entry in trained.classes],
    }


def _values(known: KnownBands) -> dict[str, Any]:
    """Return how the training read a modality's numbers, as far as it is not what a file says itself."""
    stated = known.request.spread()
    found = {"unit": known.unit, **{name: _of_bands(stated, name) for name in OF_VALUES}}
    return {name: value for name, value in found.items() if value not in ("", None)}


def _of_bands(stated: RasterRequest, name: str) -> Any:
    """Return what is stated of all bands alike; of stacked files one value each, if all state one."""
    values = [getattr(part, name) for part in stated.parts or (stated,)]
    return values[0] if len(set(values)) == 1 else None if None in values else values


def _features(trained: TrainedModel) -> dict[str, Any]:
    """Return what makes an encoder's features: the encoder and its fingerprint, of what, in which windows."""
    recipe = trained.recipe
    assert recipe is not None
    known = trained.bands[recipe.name]
    encoder = {name: value for name, value in recipe.encoder.items() if name != "cache_dir"}
    if "weights" in encoder:
        encoder["weights"] = Path(encoder["weights"]).name  # not a place on this machine
    return {
        "encoder": encoder,
        "fingerprint": known.fingerprint,
        "of": list(known.read_from or recipe.offered or ()),
        "window": recipe.window,
        "stride": recipe.step,
    }
