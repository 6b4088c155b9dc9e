"""The files of a card with weights, from a training's work dir."""

from __future__ import annotations

import copy
import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from m3amba_zoo.config.options import IMPORTS_FROM
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.record import METRICS_FILE, write_json
from m3amba_zoo.hub.golden import check_golden
from m3amba_zoo.hub.index import CONFIG
from m3amba_zoo.hub.trained_model import GOLDEN, TrainedModel
from m3amba_zoo.models.weights import read_checkpoint
from m3amba_zoo.system import whole_file
from workshop.cards.document import portable_command
from workshop.cards.files import MAP, read_card_files
from workshop.publishing.golden_file import draw_input, golden_file, tensor_file
from workshop.publishing.runs import TrainedRun

FORMAT = 1  # of metrics.json
GOLDEN_SEED = 0
LARGEST_FILE = 100 * 2**20  # bytes; hosts of git repositories refuse larger files
LARGEST_MAP = 2**20
# long entries of a record that only the leaderboard's comparisons of runs need
OF_DATA = ("wavelengths", "inputs")  # all runs have the same data
LEFT_OUT = ("predicted", "confusion", *OF_DATA)
# entries of a config about the run's machine; none of them is in config_sha256
OF_THE_RUN = ("work_dir", "launcher", "resume", "load_from", IMPORTS_FROM)
ABSOLUTE = re.compile(r"[/~\\]|[A-Za-z]:[/\\]")


def write_card_files(folder: Path, name: str, runs: Sequence[TrainedRun], shipped: TrainedRun) -> None:
    """Write config, weights, metrics, map and golden pair.

    Args:
        folder: an empty folder.
        name: the model's name.
        runs: all runs of the card.
        shipped: the run that gives the weights.

    Raises:
        InputError: if a file would be larger than 100 MB or cannot be made, or as in ``card_config_text``,
            ``read_checkpoint`` and ``golden_file``.
    """
    (folder / CONFIG).write_text(card_config_text(shipped.config), encoding="utf-8")
    write_json(folder / METRICS_FILE, _metrics(runs, shipped))
    about = {
        "format": "pt",  # other readers of safetensors look for it
        "name": name,
        "config_sha256": shipped.record["config_sha256"],
        "seed": str(shipped.seed),
    }
    weights = tensor_file(read_checkpoint(shipped.weights, "cpu")["state_dict"], about)
    _write(folder / f"{name}-{hashlib.sha256(weights).hexdigest()[:8]}.safetensors", weights)
    _write(folder / MAP, _small_picture(shipped.work_dir / MAP))
    write_golden(folder, name)


def write_golden(folder: Path, name: str) -> None:
    """Draw the golden pair of a card's weights, and replace an existing pair.

    Args:
        folder: a folder with config, weights and metrics.
        name: the model's name.

    Raises:
        InputError: if the folder holds no model, or as in ``golden_file``. An existing pair stays then.
    """
    trained = TrainedModel.from_folder(folder)
    inputs = draw_input(trained.model, trained.window, GOLDEN_SEED)
    content = golden_file(trained.model, inputs, {"name": name, "seed": str(GOLDEN_SEED)})
    with whole_file(folder / GOLDEN) as aside:
        _write(aside, content)


def redraw_golden(folder: Path) -> None:
    """Draw a card's golden pair again, if the model reproduces the existing pair.

    Args:
        folder: the card's folder.

    Raises:
        InputError: if this is not a card with weights, its files do not match each other, or the model does
            not give the golden logits. The existing pair stays then.
    """
    read_card_files(folder)
    check_golden(folder)
    write_golden(folder, folder.name)


def _metrics(runs: Sequence[TrainedRun], shipped: TrainedRun) -> dict[str, Any]:
    records = {}
    for run in runs:
        record = {key: value for key, value in run.record.items() if key not in LEFT_OUT}
        records[str(run.seed)] = {**record, "command": portable_command(record["command"])}
    of_data = {key: shipped.record.get(key, {}) for key in OF_DATA}
    return {"format": FORMAT, "seed": shipped.seed, **of_data, "runs": records}


def _write(path: Path, content: bytes) -> None:
    if len(content) > LARGEST_FILE:
        raise InputError(
            f"{path.name}: has {len(content) / 2**20:.0f} MB, expected at most {LARGEST_FILE / 2**20:.0f} MB"
        )
    path.write_bytes(content)


def _small_picture(path: Path) -> bytes:
    """Return a PNG of at most 1 MB: the file itself, or with 256 colours, halved until it fits."""
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():
        raise InputError(f"{path}: does not exist, expected the map that the training's test wrote")
    content = path.read_bytes()
    try:
        picture = Image.open(io.BytesIO(content)).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise InputError(f"{path}: is cut short, damaged or not a PNG picture") from error
    while len(content) > LARGEST_MAP:
        buffer = io.BytesIO()
        picture.quantize(256, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
        content = buffer.getvalue()
        picture = picture.reduce(2)
    return content


def card_config_text(config: Config) -> str:
    """Return a config as a file that needs no other, without the entries about the run's machine.

    Raises:
        InputError: if the config has a path of this machine.
    """
    kept = copy.deepcopy(config._cfg_dict.to_dict())
    for key in OF_THE_RUN:
        kept.pop(key, None)
    for place, value in _texts(kept):
        if ABSOLUTE.match(value):
            raise InputError(
                f"{config.filename}: {place} is '{value}', a path of this machine; train with a name or "
                "a relative path (data is looked for in M3AMBA_DATA)"
            )
    return Config({**kept, "load_from": None}).pretty_text


def _texts(node: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield the place and the value of every text in a config."""
    if isinstance(node, str):
        yield place.removeprefix("."), node
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield from _texts(value, f"{place}.{key}")
    elif isinstance(node, (list, tuple)):
        for position, value in enumerate(node):
            yield from _texts(value, f"{place}.{position}")
