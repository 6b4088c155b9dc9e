"""Every config of the repository: it reads, its model fits its data, and the main jobs run from it."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer

from m3amba_zoo.cli import train
from m3amba_zoo.config import read_config
from m3amba_zoo.errors import InputError
from m3amba_zoo.models import PatchClassifier
from m3amba_zoo.registry import CLASSIFIERS, MODELS, SOURCES, SPLITS
from m3amba_zoo.scenes.source import data_roots

CONFIGS = Path(__file__).parents[1] / "configs"
NAMES = sorted(
    str(path.relative_to(CONFIGS).with_suffix(""))
    for path in CONFIGS.rglob("*.py")
    if "_base_" not in path.parts and path.name != "leaderboard.py"  # a plan
)


@pytest.mark.parametrize("name", NAMES)
def test_model_data_and_split_belong_together(name):
    config = Config.fromfile(CONFIGS / f"{name}.py")
    if "classifier" in config:
        CLASSIFIERS.check(config.classifier.type)
        SOURCES.check(config.source.type)
        SPLITS.check(config.split.type)
        return
    if "encoder" in config.model:
        config.model.encoder = None  # a frozen CLIP of 150 M parameters; tested on a small one elsewhere
    model = MODELS.build(config.model)
    training, testing = config.train_dataloader.dataset, config.test_dataloader.dataset
    for dataset in (training, testing):
        assert set(dataset.modalities) == set(model.in_channels)
        SOURCES.check(dataset.source.type)
        SPLITS.check(dataset.split.type)
    for shared in ("source", "split", "modalities"):
        assert training[shared] == testing[shared]
    window = training.window
    if isinstance(model, PatchClassifier):
        assert (window, testing.get("margin", 0)) == (model.patch, model.margin)
    else:
        assert window == testing.window
    guard = testing.split.get("guard")
    assert guard is None or guard >= window / 2, "the protocol asks for a guard of half a window"
    pixels = {m: np.random.default_rng(0).normal(5, 1, (400, n)) for m, n in model.in_channels.items()}
    labels = np.arange(400) % model.num_classes + 1
    model.data_preprocessor.fit({m: x.astype(np.float32) for m, x in pixels.items()}, labels)
    inputs = {m: torch.rand(1, bands, window, window) for m, bands in model.in_channels.items()}
    if name.startswith("m3amba-b"):
        return  # 70 M parameters: building them is enough here
    with torch.no_grad():
        logits = model.eval().test_step({"inputs": inputs})
    side = window - 2 * model.margin
    assert logits[0].shape == (model.num_classes, side, side)


def test_a_written_config_keeps_the_order_of_its_modalities(tmp_path):
    config = read_config(CONFIGS / "baselines" / "two_branch_cnn_terramind.py")
    config.dump(tmp_path / "written.py")  # sorted: s1 before s2
    assert list(Config.fromfile(tmp_path / "written.py").model.in_channels) == ["s1", "s2"]
    assert list(read_config(tmp_path / "written.py").model.in_channels) == ["s2", "s1"]


SMALL = [
    "source.height=64",
    "source.width=128",
    "source.bands=24",
    "in_channels.hsi=24",
    "model.in_channels.hsi=24",
]


def run(config, work_dir, *options, arguments=("--seed", "1")):
    for kept in (DefaultScope, MessageHub, MMLogger, Visualizer):
        kept._instance_dict.clear()  # by name and second: MMEngine expects one run a process
    short = ["train_cfg.max_epochs=2", "train_dataloader.dataset.windows_per_epoch=32"]
    command = [str(CONFIGS / config), "--work-dir", str(work_dir), *arguments]
    assert train.main([*command, "--cfg-options", *short, *options]) == 0
    return json.loads((work_dir / "metrics.json").read_text())


def test_the_demo_ends_with_scores_and_maps_that_say_simulated(tmp_path, capsys):
    record = run("m3amba_demo.py", tmp_path, *SMALL)
    assert "simulated" in record["dataset"]
    assert record["seed"] == 1
    assert record["pixels"] == record["split"]["pixels"]["test"] == np.sum(record["confusion"])
    assert len(record["split"]["sha256"]) == 64
    assert record["selection"] == "last epoch, number of epochs fixed beforehand"
    assert record["model"]["clip"] == "none"
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    assert "metrics.json" in capsys.readouterr().out


def test_a_resumed_demo_ends_with_the_same_weights(tmp_path):
    options = [*SMALL, "default_hooks.checkpoint.max_keep_ckpts=2"]
    run("m3amba_demo.py", tmp_path / "whole", *options)
    resume = ["--resume", str(tmp_path / "whole" / "epoch_1.pth")]
    run("m3amba_demo.py", tmp_path / "resumed", *options, arguments=resume)
    weights = [
        torch.load(tmp_path / part / "epoch_2.pth", weights_only=True)["state_dict"]
        for part in ("whole", "resumed")
    ]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


@pytest.mark.parametrize(("name", "patch"), [("endnet", 1), ("s2enet", 11)])
def test_a_patch_wise_baseline_is_scored_on_every_test_pixel_and_leaks_by_its_patch(name, patch, tmp_path):
    record = run(f"baselines/{name}_simulated_houston.py", tmp_path, *SMALL)
    assert record["pixels"] == record["split"]["pixels"]["test"]
    assert record["split"]["window"] == patch
    assert (record["split"]["leaked_pixels"] > 0) == (patch > 1)
    with rasterio.open(next((tmp_path / "maps").glob("*.tif"))) as file:
        assert (file.read(1) > 0).sum() == record["pixels"], "nothing else is predicted"


def refusal(tmp_path, *options, config="m3amba_demo.py"):
    with pytest.raises(InputError) as caught:
        run(config, tmp_path, "source.height=64", "source.width=128", *options)
    return str(caught.value)


def test_a_run_that_does_not_fit_its_data_is_refused_before_it_starts(tmp_path):
    assert "the model has 14 classes" in refusal(tmp_path, "num_classes=14")
    assert "'hsi' of scene" in refusal(tmp_path, "in_channels.hsi=9", "model.in_channels.hsi=9")
    missing = refusal(tmp_path, "train_dataloader.dataset.modalities=('hsi',)")
    assert "the training data gives hsi" in missing
    other = "test_dataloader.dataset.split.type=per_class"
    assert "has another split" in refusal(tmp_path, other, "test_dataloader.dataset.split.k=5")
    patches = "baselines/s2enet_simulated_houston.py"
    small = refusal(tmp_path, "train_dataloader.dataset.window=9", config=patches)
    assert "training windows have 9 x 9 pixels, but the model reads patches of 11 x 11" in small
    bare = refusal(tmp_path, "test_dataloader.dataset.margin=0", config=patches)
    assert "test windows have a margin of 0 pixels (dataset.margin), but the model reads 5" in bare


def test_weights_may_not_be_chosen_on_test_pixels(tmp_path):
    config = tmp_path / "peeks.py"
    config.write_text(
        f"_base_ = {str(CONFIGS / 'm3amba_demo.py')!r}\n"
        "source = dict(height=64, width=128)\n"
        "train_dataloader = dict(dataset=dict(source=source))\n"
        "test_dataloader = dict(dataset=dict(source=source))\n"
        "val_dataloader = {{_base_.test_dataloader}}\n"
        "val_evaluator = {{_base_.test_evaluator}}\n"
        "val_cfg = dict(type='ValLoop')\n"
    )
    with pytest.raises(InputError, match="weights would be chosen on test pixels"):
        run(
            config,
            tmp_path / "work",
            "val_dataloader.dataset.source.height=64",
            "val_dataloader.dataset.source.width=128",
        )


@pytest.mark.parametrize("name", ["idtrees", "terramind"])
def test_real_data_trains_and_ends_in_a_georeferenced_map(name, tmp_path):
    if not any((root / name).is_dir() for root in data_roots()):
        pytest.skip(f"the real data '{name}' is in none of {', '.join(map(str, data_roots()))}")
    overlap = "test_dataloader.dataset.overlap=0"
    record = run(f"m3amba_{name}.py", tmp_path, overlap, "train_dataloader.dataset.windows_per_epoch=384")
    assert record["dataset"] == name
    assert record["split"]["leaked_pixels"] == 0
    assert record["oa"] > 1 / len(record["per_class"])
    with rasterio.open(next((tmp_path / "maps").glob("*.tif"))) as file:
        assert file.crs is not None
        assert file.read(1).max() <= len(record["per_class"])
