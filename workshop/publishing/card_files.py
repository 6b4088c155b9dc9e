"""The files of a card with weights, from a training's work dir."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.record import write_json
from m3amba_zoo.hub.golden import check_golden
from m3amba_zoo.hub.trained_model import CONFIG, GOLDEN, METRICS, TrainedModel
from m3amba_zoo.models.weights import read_checkpoint
from m3amba_zoo.system.whole_file import whole_file
from workshop.cards.files import MAP, read_card_files
from workshop.publishing.card_config import card_config_text, portable_command
from workshop.publishing.golden_file import golden_file
from workshop.publishing.golden_input import draw_input
from workshop.publishing.runs import TrainedRun
from workshop.publishing.tensor_file import tensor_file

FORMAT = 1  # of metrics.json
GOLDEN_SEED = 0
LARGEST_FILE = 100 * 2**20  # bytes; hosts of git repositories refuse larger ones
LARGEST_MAP = 2**20
# a record's entries that are long, and serve comparisons of runs in the leaderboard only
LEFT_OUT = ("correct", "confusion", "wavelengths")


def write_card_files(folder: Path, name: str, runs: Sequence[TrainedRun], shipped: TrainedRun) -> None:
    """Write config, weights, metrics, map and golden pair.

    Args:
        folder: to write to, empty.
        name: of the model.
        runs: all of them.
        shipped: the one whose weights are published.

    Raises:
        InputError: a file would be larger than 100 MB or cannot be made; or as ``card_config_text``,
            ``read_checkpoint`` and ``golden_file``.
    """
    (folder / CONFIG).write_text(card_config_text(shipped.config), encoding="utf-8")
    write_json(folder / METRICS, _metrics(runs, shipped))
    about = {
        "format": "pt",  # what other readers of safetensors look for
        "name": name,
        "config_sha256": shipped.record["config_sha256"],
        "seed": str(shipped.seed),
    }
    weights = tensor_file(read_checkpoint(shipped.weights, "cpu")["state_dict"], about)
    _write(folder / f"{name}-{hashlib.sha256(weights).hexdigest()[:8]}.safetensors", weights)
    _write(folder / MAP, _small_picture(shipped.work_dir / MAP))
    write_golden(folder, name)


def write_golden(folder: Path, name: str) -> None:
    """Draw the golden pair of the weights that a card holds; one that is there is replaced.

    Args:
        folder: with config, weights and metrics.
        name: of the model.

    Raises:
        InputError: the folder holds no model, or as ``golden_file``; a pair that was there stays.
    """
    trained = TrainedModel.from_folder(folder)
    inputs = draw_input(trained.model, trained.window, GOLDEN_SEED)
    content = golden_file(trained.model, inputs, {"name": name, "seed": str(GOLDEN_SEED)})
    with whole_file(folder / GOLDEN) as aside:
        _write(aside, content)


def redraw_golden(folder: Path) -> None:
    """Draw the golden pair of a card anew, once the model has given the one that is there.

    Args:
        folder: of the card.

    Raises:
        InputError: it is no card with weights, its files do not belong together, or the model does not give
            its golden logits; the pair that was there stays.
    """
    read_card_files(folder)
    check_golden(folder)
    write_golden(folder, folder.name)


def _metrics(runs: Sequence[TrainedRun], shipped: TrainedRun) -> dict[str, Any]:
    records = {}
    for run in runs:
        record = {key: value for key, value in run.record.items() if key not in LEFT_OUT}
        records[str(run.seed)] = {**record, "command": portable_command(record["command"])}
    wavelengths = shipped.record.get("wavelengths", {})  # of all runs: they have the same data
    return {"format": FORMAT, "seed": shipped.seed, "wavelengths": wavelengths, "runs": records}


def _write(path: Path, content: bytes) -> None:
    if len(content) > LARGEST_FILE:
        raise InputError(
            f"{path.name}: has {len(content) / 2**20:.0f} MB, expected {LARGEST_FILE / 2**20:.0f} at most"
        )
    path.write_bytes(content)


def _small_picture(path: Path) -> bytes:
    """Return a PNG of at most 1 MB: the file itself, or one with 256 colours, halved until it is small."""
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():
        raise InputError(f"{path}: no such file, expected the map that the training's test wrote")
    content = path.read_bytes()
    try:
        picture = Image.open(io.BytesIO(content)).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise InputError(f"{path}: cut short or damaged, not a PNG picture") from error
    while len(content) > LARGEST_MAP:
        buffer = io.BytesIO()
        picture.quantize(256, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
        content = buffer.getvalue()
        picture = picture.reduce(2)
    return content
