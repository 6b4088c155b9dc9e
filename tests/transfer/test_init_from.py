"""Trainings that start from another model's weights: bands, frozen parts, resuming, cards, and refusals."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from safetensors.torch import save_file

from m3amba_zoo.cli import train as training
from m3amba_zoo.errors import InputError

RUNTIME = Path(__file__).parents[2] / "configs/_base_/default_runtime.py"
CONFIG = """
_base_ = ["{runtime}"]
data = dict(
    source=dict(type="simulated", kind="{kind}", height=48, width=64, bands={bands}),
    split=dict(type="official"),
    modalities=("hsi", "{second}"),
    window=8,
)
model = dict(
    type="M3amba",
    in_channels=dict(hsi={bands}, {second}={channels}),
    num_classes={classes},
    window=8,
    embed_dim=16,
    adapter=dict(type="LinearAdapter"),
    neck=dict(type="CrossMamba", depth=1, d_state=4),
    data_preprocessor=dict(type="RasterPreprocessor"),
)
train_dataloader = dict(
    batch_size=4,
    sampler=dict(type="DrawSampler"),
    collate_fn=dict(type="default_collate"),
    dataset=dict(type="TrainWindows", windows_per_epoch=8, **data),
)
test_dataloader = dict(
    batch_size=16,
    sampler=dict(type="DefaultSampler", shuffle=False, round_up=False),
    collate_fn=dict(type="default_collate"),
    dataset=dict(type="SceneWindows", overlap=0.0, **data),
)
test_evaluator = dict(type="SceneMetric")
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=1)
test_cfg = dict(type="TestLoop")
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=0.01, weight_decay=0.5))
"""
SCENES = {
    "houston": {"kind": "houston-like", "second": "lidar", "channels": 1, "classes": 15},
    "augsburg": {"kind": "augsburg-like", "second": "sar", "channels": 4, "classes": 7},
}


def train(scene, bands, work_dir, *options):
    config = Path(f"{scene}{bands}.py")
    config.write_text(CONFIG.format(runtime=RUNTIME, bands=bands, **SCENES[scene]))
    return training.main([str(config), "--work-dir", work_dir, *options])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the work dir of a training on 24 bands."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train("houston", 24, "old")
    return folder / "old"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def weights_of(path):
    return torch.load(path, weights_only=True)


@pytest.mark.usefixtures("here")
def test_training_starts_from_another_sensor_and_frozen_parts_stay(trained, capsys):
    options = ["--init-from", str(trained), "--freeze", "neck.*", "heads.fused.norm.*"]
    assert train("augsburg", 30, "new", *options) == 0
    shown = capsys.readouterr().out
    for line in (
        "24 bands of 380-1050 nm to 30 bands of 400-2500 nm",
        "modality 'sar' is new",
        "other classes",
    ):
        assert line in shown
    old, new = weights_of(trained / "epoch_1.pth")["state_dict"], weights_of("new/epoch_1.pth")
    for name, value in new["state_dict"].items():
        if name.startswith(("neck.streams.hsi.", "neck.fused.")):
            assert torch.equal(value, old[name]), name
    assert not torch.equal(new["state_dict"]["heads.hsi.norm.weight"], old["heads.hsi.norm.weight"])
    parameters = sum(len(group["params"]) for group in new["optimizer"]["param_groups"])
    assert (
        parameters
        == sum(not n.startswith("neck.") for n in old if ".steps." not in n and "fitted" not in n) - 2
    )
    record = json.loads(Path("new/metrics.json").read_text())["model"]
    assert record["trained_parameters"] < record["parameters"]
    assert record["freeze"] == options[3:]
    assert record["init_from"]["tensors"]["resampled"] == 1
    assert record["init_from"]["trained_on"]["name"] == "simulated_houston-like_48x64_seed0_24bands"
    assert Config.fromfile("new/augsburg30.py").init_from.weights == str(trained)


@pytest.mark.usefixtures("here")
def test_a_resumed_run_keeps_its_start_and_does_not_take_it_again(trained, capsys):
    options = ["--init-from", str(trained / "epoch_1.pth")]
    train("houston", 12, "run", *options, "--freeze", "neck.*", "--no-test")
    capsys.readouterr()
    longer = ["--resume", "--extend", "--cfg-options", "train_cfg.max_epochs=3"]
    with pytest.raises(
        InputError, match=r"freeze is \['heads.fused.*'\], but run/epoch_1.pth was trained with"
    ):
        train("houston", 12, "run", *options, "--freeze", "heads.fused.*", *longer)
    assert train("houston", 12, "run", *options, *longer) == 0
    assert "weights from" not in capsys.readouterr().out
    assert json.loads(Path("run/metrics.json").read_text())["model"]["init_from"]["tensors"]["resampled"] == 1


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--init-from", "absent"], "no model is published as 'absent'"),
        (["--init-from", "some/where"], "some/where: no such file or folder"),
        (["--fresh", "heads.*"], "--fresh needs --init-from"),
        (["--freeze", "nek.*"], "did you mean 'neck.*'"),
        (["--freeze", "*"], "leaves no parameter to train"),
        (["--cfg-options", "init_from.weight=x"], "init_from is"),
        (["--init-from", "{trained}", "--cfg-options", "init_from.source_wavelengths.hsi=3"], "24 positive"),
        (["--init-from", "{trained}", "--cfg-options", "init_from.wavelength.hsi=[1,2]"], "did you mean"),
    ],
)  # fmt: skip
def test_faulty_starts_are_refused_and_leave_nothing(trained, options, expected):
    with pytest.raises(InputError) as caught:
        train("houston", 24, "run", *(option.format(trained=trained) for option in options))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not Path("run").exists()


def write_card(folder, trained, wavelengths):
    """Make a card whose data is not here: config, weights and what metrics.json says of its bands."""
    folder.mkdir()
    text = next(trained.glob("*.py")).read_text().replace("simulated", "absent")
    (folder / "config.py").write_text(text)
    save_file(weights_of(trained / "epoch_1.pth")["state_dict"], folder / "weights.safetensors")
    record = json.loads((trained / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps({**record, "wavelengths": wavelengths}))


@pytest.mark.usefixtures("here")
def test_a_card_says_its_wavelengths_where_its_data_is_not_here(trained, capsys):
    write_card(Path("card"), trained, {"hsi": np.linspace(400, 1000, 24).tolist()})
    assert train("houston", 12, "new", "--init-from", "card", "--no-test") == 0
    shown = capsys.readouterr().out
    assert "24 bands of 400-1000 nm to 12 bands of 380-1050 nm" in shown
    write_card(Path("other"), trained, {})
    options = ["--init-from", "other", "--no-test"]
    with pytest.raises(InputError, match=r"wavelengths are unknown for other; give init_from.source_wave"):
        train("houston", 12, "refused", *options)
    options += ["--cfg-options", "init_from.source_wavelengths.hsi=[500,900]"]
    assert train("houston", 12, "given", *options) == 0
    assert "24 bands of 500-900 nm" in capsys.readouterr().out


@pytest.mark.usefixtures("here")
def test_weights_trained_on_pixels_that_the_split_tests_are_refused(trained):
    path = Path("houston24.py")
    changed = CONFIG.replace('split=dict(type="official")', 'split=dict(type="per_class", k=3, seed=0)')
    path.write_text(changed.format(runtime=RUNTIME, bands=24, **SCENES["houston"]))
    with pytest.raises(InputError, match="pixels that trained it would be tested"):
        training.main([str(path), "--work-dir", "run", "--init-from", str(trained)])
