"""Readers of configs and of what runs and cards are kept in: records, tables, index, mirrors, documents."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import yaml

from m3amba_zoo.cli import report, table
from m3amba_zoo.config import config_sha256, read_config
from m3amba_zoo.evaluation.significance import FixedPart
from m3amba_zoo.hub.index import PublishedFile, PublishedModel, index_text, read_index
from m3amba_zoo.hub.trained_model import TrainedModel
from m3amba_zoo.hub.transport import fetch_card
from m3amba_zoo.system import CACHE_VARIABLE
from workshop.cards.document import read_document
from workshop.cards.files import FRONT_MATTER_SCHEMA, check_schema
from workshop.fuzzing.label_readers import IN_JSON, _dump_yaml, _scene
from workshop.fuzzing.mutations import Reader, in_bytes, in_members, in_text, in_values
from workshop.fuzzing.tiny_run import CONFIG, keep_classifier, record
from workshop.leaderboard.table import Table
from workshop.leaderboard.tuning import COLUMNS, TuningTable

CARD = "m3amba-t_harbour"
M3AMBA = """
source = dict(type="simulated", kind="houston-like", height=64, width=64, bands=8, seed=0)
split = dict(type="official", val=dict(fraction=0.2, seed=0))
modalities = ["hsi", "lidar"]
window = 8
pretreatment = dict(hsi=[dict(type="Standardize")], lidar=[dict(type="Standardize")])
model = dict(type="M3amba", embed_dim=8, adapter=dict(type="LinearAdapter"),
    neck=dict(type="CrossMamba", depth=1), data_preprocessor=dict(type="RasterPreprocessor"))
train_dataloader = dict(batch_size=2, num_workers=0, dataset=dict(type="TrainWindows", windows_per_epoch=4))
test_dataloader = dict(batch_size=2, num_workers=0, dataset=dict(type="SceneWindows"))
optim_wrapper = dict(optimizer=dict(type="AdamW", lr=0.001))
randomness = dict(seed=0)
custom_imports = dict(imports=["json"], allow_failed_imports=False)
"""


def _config(folder: Path) -> Path:
    (folder / "own.py").write_text(M3AMBA)
    return folder / "own.py"


def _read_config(path: Path) -> None:
    config_sha256(read_config(path, options=["randomness.seed=3"], seed=1))


def _stated(content: bytes) -> dict[str, Any]:
    """Return what a config states: its assignments of plain values and of ``dict(...)``."""
    return {
        node.targets[0].id: _value(node.value)  # type: ignore[attr-defined]
        for node in ast.parse(content).body
        if isinstance(node, ast.Assign)
    }


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call):
        return {str(word.arg): _value(word.value) for word in node.keywords}
    return [_value(entry) for entry in node.elts] if isinstance(node, ast.List) else ast.literal_eval(node)


def _as_config(stated: Any) -> bytes:
    words = {"nan": "float('nan')", "inf": "float('inf')"}
    lines = (f"{name} = {value!r}" for name, value in dict(stated).items())
    head = "".join(f"{word} = {value}\n" for word, value in words.items())
    return (head + "\n".join(lines)).encode()


def _run(folder: Path) -> Path:
    _scene(folder)
    shutil.move(folder / "scene.yaml", folder / "harbour.yaml")
    (folder / "config.py").write_text(CONFIG)
    keep_classifier(folder / "classifier.safetensors")
    (folder / "metrics.json").write_text(json.dumps(record()))
    return folder / "metrics.json"


def _show_run(path: Path) -> None:
    run, out = str(path.parent), path.parent
    table.main([run, "--classes", "--out", str(out / "table.md"), "--quiet", "--overwrite"])
    report.main([run, "--out", str(out / "page.html"), "--quiet", "--overwrite"])


def _table(folder: Path) -> Path:
    table = Table(folder / "leaderboard.csv")
    kept = record()
    key = (*(kept["run"][name] for name in ("group", "dataset", "model")), kept["seed"])
    path = table.record_path(key)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(kept))
    from workshop.leaderboard.table import _done_row

    table._write(_done_row(kept))
    return table.path


def _kept_record(folder: Path) -> Path:
    table = Table(_table(folder))
    return table.record_path(next(iter(table.rows())))


def _read_table(path: Path) -> None:
    table = Table(path)
    for row in table.rows().values():
        if row["status"] == "done":
            table.record(row)


def _tuning(folder: Path) -> Path:
    path = folder / "tuning.csv"
    row = {name: "0.5" for name in COLUMNS} | {"setting": "0", "seed": "1", "part": "val", "status": "done"}
    path.write_text(",".join(COLUMNS) + "\n" + ",".join(row[name] for name in COLUMNS) + "\n")
    return path


def _part(folder: Path) -> Path:
    table = Table(folder / "leaderboard.csv")
    table.put_part("harbour", FixedPart("a" * 64, np.ones(60, np.uint8), np.zeros(60, np.int64)))
    return folder / "test_parts" / "harbour.npz"


def _card(folder: Path) -> PublishedModel:
    """Write a card and return its entry of the index."""
    (folder / CARD).mkdir()
    contents = {
        "config.py": b"model = {}\n",
        "README.md": b"# a card\n",
        "metrics.json": b"{}\n",
        "w": b"w" * 99,
    }
    digits = hashlib.sha256(contents["w"]).hexdigest()[:8]
    weights = f"{CARD}-{digits}.safetensors"
    contents[weights] = contents.pop("w")
    for name, content in contents.items():
        (folder / CARD / name).write_bytes(content)
    files = tuple(
        PublishedFile(name, len(content), hashlib.sha256(content).hexdigest())
        for name, content in contents.items()
    )
    return PublishedModel(CARD, files, weights, "", {"dataset": "harbour", "modalities": ["hsi"]})


def _index(folder: Path) -> Path:
    (folder / "index.json").write_text(index_text({CARD: _card(folder)}))
    return folder / "index.json"


def _mirror(folder: Path) -> Path:
    _index(folder)
    return folder / CARD / "config.py"


def _read_mirror(path: Path) -> None:
    root = path.parents[1]
    os.environ[CACHE_VARIABLE] = str(root / "cache")
    shutil.rmtree(root / "cache", ignore_errors=True)
    fetch_card(read_index(root / "index.json")[CARD], [str(root)])


def _front_matter(folder: Path) -> Path:
    from m3amba_zoo.hub.resolve import CHECKOUT_CARDS

    card = next(path for path in sorted(CHECKOUT_CARDS.glob("*/README.md")))
    shutil.copy(card, folder / "README.md")
    return folder / "README.md"


def _read_front_matter(path: Path) -> None:
    document = read_document(path)
    check_schema(document.front, FRONT_MATTER_SCHEMA, str(path))


def _in_front(random: Random, content: bytes) -> bytes:
    _, front, body = content.split(b"---\n", 2)
    changed = random.choice((in_text, in_values(yaml.safe_load, _dump_yaml)))(random, front)
    return b"---\n" + changed + b"---\n" + body


IN_CONFIG = in_values(_stated, _as_config)
READERS = (
    Reader("config", _config, _read_config, (in_text, IN_CONFIG, IN_CONFIG)),
    Reader(
        "metrics", _run, lambda path: TrainedModel.from_folder(path.parent),
        (in_text, IN_JSON, IN_JSON, in_bytes),
    ),
    Reader("shown_metrics", _run, _show_run, (in_text, IN_JSON, IN_JSON)),
    Reader(
        "kept_record", _kept_record, lambda path: _read_table(path.parents[4] / "leaderboard.csv"),
        (in_text, IN_JSON, IN_JSON),
    ),
    Reader("table", _table, _read_table, (in_text, in_bytes)),
    Reader("tuning_table", _tuning, lambda path: TuningTable(path).rows(), (in_text, in_bytes)),
    Reader(
        "test_part", _part, lambda path: Table(path.parents[1] / "leaderboard.csv").part("harbour"),
        (in_bytes, in_members()),
    ),
    Reader("index", _index, lambda path: index_text(read_index(path)), (in_text, IN_JSON, in_bytes)),
    Reader("mirror", _mirror, _read_mirror, (in_text, in_bytes)),
    Reader("front_matter", _front_matter, _read_front_matter, (in_text, _in_front, _in_front)),
)  # fmt: skip
