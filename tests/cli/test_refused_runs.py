"""The commands train and test: runs that are refused, and what they leave."""

import os
import sys
from pathlib import Path

import pytest
import torch
from toy_commands import check, refusal, train
from toy_run import ToyModel

from m3amba_zoo.cli.running import set_amp


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
        (["param_scheduler.1.begin=5"], "max_epochs (at least 2 epochs"),
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


@pytest.mark.parametrize(
    ("added", "options", "expected"),
    [
        (
            "optim_wraper = dict(optimizer=dict(lr=1.0))",
            [],
            "nothing reads 'optim_wraper'; did you mean 'optim_wr",
        ),
        (
            "",
            ["--cfg-options", "train_dataloader.batch_size=23"],
            "a batch has one window, but batch norm needs two",
        ),
        (
            'visualizer = dict(type="Visualizer", vis_backends=[dict(type="MLflowVisBackend")])',
            [],
            "install mlflow",
        ),
    ],
    ids=["misspelt", "batch of one", "not installed"],
)
def test_what_a_user_gets_wrong_is_one_sentence(config, monkeypatch, added, options, expected):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    config.write_text(f"{config.read_text()}{added}\n")
    assert expected in refusal(train, config, *options)


def test_a_variable_of_ones_own_is_no_misspelt_entry(config):
    text = config.read_text().replace("bands = 4", "modell = 4").replace("bands=bands", "bands=modell")
    config.write_text(text)
    assert train(config, "--no-test", "--cfg-options", "train_cfg.max_epochs=2") == 0


def test_amp_with_the_class_of_the_wrapper(config):
    from mmengine.config import Config
    from mmengine.optim import OptimWrapper

    plain = Config({"optim_wrapper": {"type": OptimWrapper}})
    set_amp(plain)
    assert plain.optim_wrapper.type == "AmpOptimWrapper"


def test_weights_of_a_wrapped_model_fit_and_those_that_are_nan_are_refused(config):
    train(config, "--no-test", "--work-dir", "run")
    state = torch.load("run/epoch_3.pth", weights_only=True)["state_dict"]
    torch.save({f"module.{name}": value for name, value in state.items()}, "wrapped.pth")
    assert check(config, "wrapped.pth", "--work-dir", "tested") == 0
    state["layers.0.weight"][0, 0] = torch.nan
    torch.save(state, "nan.pth")
    assert "nan.pth: 'layers.0.weight' has values" in refusal(
        check, config, "nan.pth", "--work-dir", "tested"
    )
