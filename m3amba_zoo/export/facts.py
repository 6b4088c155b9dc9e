"""What a user of an exported file needs to know, as one JSON object inside the file."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from m3amba_zoo.evaluation.record import METRICS_FILE, read_record
from m3amba_zoo.hub.trained_model import TrainedModel, find_weights
from m3amba_zoo.rasters.matching import KnownBands
from m3amba_zoo.rasters.request import RasterRequest
from m3amba_zoo.system import sha256_of

KEY = "m3amba_zoo"  # of the JSON text in ONNX's metadata
OF_VALUES = ("scale", "offset", "nodata")
EXTRA_FILE = "m3amba_zoo.json"  # its name in torch's archive


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
