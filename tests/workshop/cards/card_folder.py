"""A card's folder with weights and two seeds, from an invented training."""

import hashlib
import json

import numpy as np
from safetensors.numpy import save_file

from m3amba_zoo.config import config_sha256, read_config, set_seed
from m3amba_zoo.evaluation.scores import scores
from workshop.cards.build import OPEN

NAME = "m3amba-t_simulated-toy"
CONFIG = """
in_channels = dict(hsi=3, lidar=1)
model = dict(type='M3amba', in_channels=in_channels, num_classes=2, window=8)
dataset = dict(source=dict(type='simulated'), split=dict(type='blocks', seed=4), window=8)
test_dataloader = dict(dataset=dataset)
randomness = dict(seed=4)
"""
CONFUSIONS = {4: [[80, 20], [10, 90]], 7: [[70, 30], [30, 70]]}  # OA 0.85 and 0.7
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


def make_record(config, seed, class_names=("grass", "roof")):
    set_seed(config, seed)
    confusion = np.array(CONFUSIONS[seed])
    found = scores(confusion, class_names)
    del found["confusion"]
    return {
        **found,
        "pixels": int(confusion.sum()),
        "dataset": "simulated_toy",
        "simulated": True,
        "modalities": ["hsi", "lidar"],
        "split": {
            "name": f"blocks-seed{seed}",
            "part": "test",
            "sha256": f"{seed}" * 64,
            "leaked_pixels": 5,
            "window": 8,
            "pixels": {"train": 50, "val": 0, "test": int(confusion.sum())},
        },
        "selection": "last epoch",
        "seed": seed,
        "model": {"type": "M3amba", "parameters": 4, "clip": "none", "transductive": False},
        "timing_s": {"train": 1800.0, "test": 0.0},
        "config_sha256": config_sha256(config),
        "versions": {"torch": "2.4"},
        "machine": "2 CPU cores",
        "commit": "0" * 40,
        "command": "train.py configs/toy.py --seed 4",
    }


def make_card(cards, class_names=("grass", "roof")):
    """Write all files of a card except README.md and return its folder."""
    folder = cards / NAME
    folder.mkdir(parents=True)
    (folder / "config.py").write_text(CONFIG)
    runs = {
        str(seed): make_record(read_config(folder / "config.py"), seed, class_names) for seed in CONFUSIONS
    }
    write_metrics(folder, {"format": 1, "seed": 4, "runs": runs})
    (folder / "map.png").write_bytes(PNG)
    save_file({"x": np.zeros(2)}, folder / "golden.safetensors", {"tolerance": "0.0001"})
    save_weights(folder, 0.0)
    return folder


def save_weights(folder, value):
    """Replace the weights by others, with the file name that belongs to them."""
    for old in folder.glob(f"{NAME}-*.safetensors"):
        old.unlink()
    save_file({"w": np.full(4, value, np.float32)}, folder / "w")
    digest = hashlib.sha256((folder / "w").read_bytes()).hexdigest()
    (folder / "w").rename(folder / f"{NAME}-{digest[:8]}.safetensors")


def write_metrics(folder, metrics):
    (folder / "metrics.json").write_text(json.dumps(metrics))


def read_metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


def finish(folder):
    """Write what is open."""
    replace(folder / "README.md", OPEN, "written")


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
