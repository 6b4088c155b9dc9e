"""The commands train and test: runs that are refused, and what they leave."""

import os
from pathlib import Path

import pytest
import torch
from toy_commands import check, refusal, train
from toy_run import ToyModel


def test_a_config_names_the_scans_backend(config):
    assert "no scan backend is called 'gpu'" in refusal(train, config, "--cfg-options", "scan_backend=gpu")


def test_compile_of_another_kind_is_refused(config):
    message = refusal(train, config, "--cfg-options", "compile=inductor")
    assert message == "compile is 'inductor', expected True, False or arguments of torch.compile"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["train_cfg.max_epoch=2"], "unexpected keyword argument 'max_epoch'"),
        (["model.type=ToyModell"], "did you mean 'ToyModel'"),
        (["default_hooks.progress.type=ProgresHook"], "did you mean 'ProgressHook'"),
        (["optim_wrapper.optimizer.type=AdamV"], "did you mean 'Adam'"),
        (["optim_wrapper.optimizer.lr=-1"], "Invalid learning rate"),
        (["default_hooks.checkpoint.intervall=2"], "no 'intervall'"),
        (["train_cfg"], "KEY=VALUE"),
        (["train_cfg.max_epochs.x=1"], "train_cfg.max_epochs.x=1"),
        (["model=None"], "no 'model'"),
        (["train_cfg.max_epochs=1"], "max_epochs (at least 2 epochs"),  # the cosine follows a warm-up
        (["load_from=absent.pth"], "absent.pth: no such checkpoint"),
        (["load_from=https://example.org/epoch_3.pth"], "download the file and give its path"),
    ],
)
def test_a_faulty_config_is_refused_and_leaves_nothing(config, options, expected):
    message = refusal(train, config, "--cfg-options", *options)
    assert expected in message
    assert not Path("work_dirs").exists()


def test_a_faulty_run_leaves_others_alone(config, monkeypatch):
    init = ToyModel.__init__

    def fail_beside_another(*arguments, **options):
        Path("work_dirs/other").mkdir()  # a run that started in the meantime
        init(*arguments, factr=2, **options)

    monkeypatch.setattr(ToyModel, "__init__", fail_beside_another)
    with pytest.raises(TypeError, match="factr"):
        train(config)
    assert os.listdir("work_dirs") == ["other"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "no such config"),
        ("model = dict(", "SyntaxError"),
        ("model = missing", "missing"),
        ("", "no 'model'"),
    ],
)
def test_an_unreadable_config_is_refused(config, text, expected):
    config.unlink() if text is None else config.write_text(text)
    message = refusal(train, config)
    assert str(config) in message
    assert expected in message


def test_a_work_dir_that_cannot_be_written_is_refused(config):
    Path("file").touch()
    assert "file is not a directory" in refusal(train, config, "--work-dir", "file/runs")


def test_a_loss_that_is_no_number_stops_the_run(config):
    message = refusal(train, config, "--cfg-options", "model.factor=1e39")
    assert "epoch 1, iteration 1" in message
    assert "loss inf" in message
    assert not list(Path().rglob("*.pth"))


@pytest.mark.parametrize("runner", ["ZooRunner", "Runner"])
def test_weights_that_do_not_fit_are_refused(config, runner):
    config.write_text(config.read_text() + f'runner_type = "{runner}"\n')
    train(config, "--no-test", "--work-dir", "run")
    wider = [f"{part}.bands=6" for part in ("model", "test_dataloader.dataset")]
    message = refusal(check, config, "run/epoch_3.pth", "--cfg-options", *wider)
    assert "run/epoch_3.pth" in message
    assert "model.bands was 4 and is 6" in message
    weights = torch.load("run/epoch_3.pth", weights_only=True)["state_dict"]
    torch.save({"state_dict": weights}, "plain.pth")  # it does not say which config trained it
    message = refusal(check, config, "plain.pth", "--cfg-options", *wider)
    for name in ("plain.pth", "layers.0.weight", "(8, 4)", "(8, 6)"):
        assert name in message
    assert not Path("work_dirs").exists()


def test_weights_are_not_tested_on_another_split(config):
    train(config, "--no-test", "--work-dir", "run")
    message = refusal(check, config, "run/epoch_3.pth", "--cfg-options", "split.seed=1")
    for part in ("run/epoch_3.pth", "split.seed was 0 and is 1"):
        assert part in message
