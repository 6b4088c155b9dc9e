"""The zoo's parts under MMEngine's own Runner, and what they refuse before the first step."""

import json
from pathlib import Path

import pytest
import torch
from tiny_runs import CONFIG, REPOSITORY

from m3amba_zoo.cli.train import main
from m3amba_zoo.errors import InputError

BASE = f'_base_ = ["{REPOSITORY}/configs/_base_/default_runtime.py"]'
HOOKS = (
    "DataCheckHook",
    "FitPreprocessorHook",
    "EpochSeedHook",
    "FiniteLossHook",
    "ProgressHook",
    "ReportHook",
)
PLAIN = f"""
default_scope = "m3amba_zoo"
randomness = dict(seed=0)
default_hooks = dict(checkpoint=dict(type="SafeCheckpointHook", interval=1))
zoo_hooks = [dict(type=name) for name in {HOOKS}]
"""
CONFIG = CONFIG.replace("max_epochs=3", "max_epochs=1")


@pytest.fixture
def train(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(text, *arguments):
        Path("tiny.py").write_text(text)
        return main(["tiny.py", *arguments])

    return call


def plain(text):
    return text.replace(BASE, PLAIN).replace("custom_hooks = [", "custom_hooks = [*zoo_hooks, ")


def test_a_plain_runner_gives_the_zoo_runners_weights_and_scores(train):
    train(CONFIG, "--work-dir", "zoo")
    train(plain(CONFIG), "--work-dir", "plain")
    weights = [torch.load(f"{run}/epoch_1.pth", weights_only=True)["state_dict"] for run in ("zoo", "plain")]
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name
    zoo, mmengine = (json.loads(Path(run, "metrics.json").read_text()) for run in ("zoo", "plain"))
    assert zoo["model"]["epochs"] == 1
    assert mmengine["model"] == zoo["model"]
    assert mmengine["confusion"] == zoo["confusion"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ('type="DrawSampler"', 'type="DefaultSampler"', ["DefaultSampler", "DrawSampler"]),
        (
            'dataset=dict(type="TrainWindows", windows_per_epoch=16,',
            'dataset=dict(type="SceneWindows", part="train", overlap=0.5,',
            ["SceneWindows", "training_pixels"],
        ),
        (
            'dataset=dict(type="TrainWindows", windows_per_epoch=16, **data)',
            "dataset=dict(type='FakeData')",
            ["train_dataloader.dataset", "FakeData", "'data'"],
        ),
        ("custom_hooks", "freeze = ['neck.*']\ncustom_hooks", ["freeze", "Runner", "ZooRunner"]),
        ("interval=1)", "interval=1), runtime_info=None", ["runtime_info", "FiniteLossHook"]),
        ("interval=1)", "interval=1), sampler_seed=None", ["sampler_seed", "same windows"]),
    ],
    ids=["sampler", "fit", "data", "freeze", "runtime_info", "sampler_seed"],
)
def test_what_the_parts_need_is_asked_for_before_training(train, before, after, expected):
    text = plain(CONFIG)
    assert before in text
    text = text.replace(before, after, 1)
    if "FakeData" in after:
        Path("fake_data.py").write_text(
            "from torch.utils.data import Dataset\nfrom m3amba_zoo.registry import DATASETS\n"
            "@DATASETS.register_module(force=True)\nclass FakeData(Dataset):\n"
            "    def __len__(self):\n        return 4\n"
        )
        text += 'custom_imports = dict(imports=["fake_data"])\n'
    with pytest.raises(InputError) as caught:
        train(text)
    for part in expected:
        assert part in str(caught.value)
    assert not Path("work_dirs").exists()
