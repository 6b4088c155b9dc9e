"""The options --log, --validate and --early-stop of train."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from tiny_runs import CONFIG
from toy_commands import VALIDATED_SPLIT, record, refusal, train

from m3amba_zoo.config import config_sha256, read_config
from m3amba_zoo.engine import EarlyStopHook
from m3amba_zoo.evaluation.scene_metric import SceneMetric
from m3amba_zoo.reporting.figures import read_curves


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A config of a small network on one scene, whose split has validation pixels."""
    monkeypatch.chdir(tmp_path)
    text = CONFIG.replace('split=dict(type="official")', VALIDATED_SPLIT).replace("views=8", "views=1")
    path = Path("tiny.py")
    path.write_text(text.replace("scenes=1)", "scenes=1, height=40, width=42)"))
    return path


@pytest.fixture
def scripted(monkeypatch):
    """Give the OA of each validation to come, and return the evaluations of all loops as they end."""
    evaluate, seen, said = SceneMetric.evaluate, [], []

    def evaluated(self, size):
        found = evaluate(self, size)
        seen.append(self.evaluation)
        return found | ({"oa": said.pop(0)} if self.evaluation.part == "val" and said else {})

    monkeypatch.setattr(SceneMetric, "evaluate", evaluated)

    def give(*values):
        said[:] = values
        return seen

    return give


def test_tensorboard_reads_back_what_was_logged(config):
    event_accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="pip install tensorboard"
    )
    train(config, "--work-dir", "run", "--log", "tensorboard", "--validate", "2")
    (events,) = Path("run").glob("*/vis_data/events.*")
    read = event_accumulator.EventAccumulator(str(events)).Reload()
    curves = read_curves(Path("run"))
    assert [step for step, _ in curves["oa"]] == [2, 3]
    for name in ("loss", "lr", "oa", "kappa"):
        found = [(point.step, pytest.approx(point.value, rel=1e-6)) for point in read.Scalars(name)]
        assert curves[name] == found, name
    assert "Tensorboard" not in Path("run/tiny.py").read_text(), "a later test would log, too"
    assert config_sha256(read_config(Path("run/tiny.py"))) == record()["config_sha256"]


def test_a_tracker_adds_to_ones_own_and_leaves_the_hash(config):
    pytest.importorskip("tensorboard", reason="pip install tensorboard")
    own = '[dict(type="LocalVisBackend", save_dir="own")]'
    config.write_text(f'{config.read_text()}visualizer = dict(type="Visualizer", vis_backends={own})\n')
    train(config, "--work-dir", "run", "--log", "tensorboard")
    assert Path("own/scalars.json").is_file()
    assert list(Path("run").glob("*/vis_data/events.*"))
    assert record()["config_sha256"] == config_sha256(read_config(config))
    assert 'save_dir="own"' in Path("run/tiny.py").read_text().replace("'", '"')


def test_a_stopped_training_leaves_its_curves_in_tensorboard(config, monkeypatch):
    event_accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="pip install tensorboard"
    )
    from mmengine.hooks import LoggerHook

    logged = LoggerHook.after_train_iter

    def stop_in_the_second_epoch(self, runner, *arguments, **more):
        logged(self, runner, *arguments, **more)
        if runner.epoch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(LoggerHook, "after_train_iter", stop_in_the_second_epoch)
    with pytest.raises(KeyboardInterrupt):
        train(config, "--work-dir", "run", "--log", "tensorboard")
    (events,) = Path("run").glob("*/vis_data/events.*")
    assert len(event_accumulator.EventAccumulator(str(events)).Reload().Scalars("loss")) >= 1


def test_mlflow_has_one_run_with_the_curves_of_training_and_validation(config, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="pip install mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # needs no database
    monkeypatch.setenv("MLFLOW_TRACKING_URI", Path("tracked").absolute().as_uri())
    train(config, "--work-dir", "run", "--log", "mlflow", "--validate", "2")  # and tests
    (run,) = mlflow.search_runs(output_format="list")
    assert (run.info.run_name, run.data.params["optim_wrapper.optimizer.lr"]) == ("run", "0.001")
    for name, curve in read_curves(Path("run")).items():
        found = mlflow.MlflowClient().get_metric_history(run.info.run_id, name)
        assert [(point.step, point.value) for point in found] == curve, name


@pytest.fixture
def wandb(monkeypatch):
    """A module wandb that keeps what it is told, in ``told`` by the name of what was called."""
    told = {"init": [], "config": [], "define_metric": [], "log": []}

    class Refused(Exception):
        """As wandb.Error."""

    def log(values, commit):
        assert values.keys() <= {name for name, _ in told["define_metric"]} | {"iter", "epoch"}
        told["log"].append((values, commit))

    module = ModuleType("wandb")
    module.__file__ = "wandb.py"
    module.Error, module.told, module.join = Refused, told, lambda: None
    module.init = lambda **given: told["init"].append(given)
    module.config = SimpleNamespace(update=told["config"].append)
    module.define_metric = lambda name, step_metric: told["define_metric"].append((name, step_metric))
    module.log = log
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def test_weights_and_biases_has_the_curves_over_steps_and_epochs(config, wandb):
    train(config, "--work-dir", "run", "--log", "wandb", "--validate", "2")
    (begun,), told = wandb.told["init"], wandb.told["log"]
    assert begun["name"] == "run"
    assert Path(begun["dir"]).is_relative_to(Path("run").absolute())
    assert wandb.told["config"][0]["optim_wrapper"]["optimizer"]["lr"] == 0.001
    axes = dict(wandb.told["define_metric"])
    assert len(axes) == len(wandb.told["define_metric"]), "each is defined once"
    for name, curve in read_curves(Path("run")).items():
        axis = "epoch" if name in ("oa", "aa", "kappa", "mean_f1", "mean_iou", "ece") else "iter"
        assert axes[name] == axis
        found = [(values[axis], values[name]) for values, _ in told if name in values]
        assert found == [(step, pytest.approx(value)) for step, value in curve], name
    assert all(commit for _, commit in told)


def test_weights_and_biases_without_an_account_is_one_sentence(config, wandb, monkeypatch):
    def init(**given):
        raise wandb.Error("api_key not configured.")

    monkeypatch.setattr(wandb, "init", init)
    said = refusal(train, config, "--work-dir", "run", "--log", "wandb")
    assert said == "Weights & Biases: api_key not configured; WANDB_MODE=offline needs no account"


@pytest.mark.parametrize("tracker", ["tensorboard", "mlflow", "wandb"])
def test_a_tracker_that_is_not_installed_is_one_sentence_before_data_is_read(config, monkeypatch, tracker):
    module = "torch.utils.tensorboard" if tracker == "tensorboard" else tracker
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr("m3amba_zoo.splits.scene_data.load_scene_data", None)
    said = refusal(train, config, "--work-dir", "run", "--log", tracker)
    assert said.startswith(f"--log {tracker}: {tracker} cannot be imported")
    assert said.endswith(f"pip install {tracker}")
    assert not Path("run").exists()


def test_validation_scores_validation_pixels_alone_and_draws_their_curve(config, scripted):
    seen = scripted()
    train(config, "--work-dir", "run", "--validate")
    said = record()
    *validated, tested = seen
    pixels = said["split"]["pixels"]["val"]
    assert [(one.part, one.scores["pixels"]) for one in validated] == [("val", pixels)] * 3
    assert tested.part == "test"
    expected = [(epoch, one.scores["oa"]) for epoch, one in enumerate(validated, 1)]
    assert read_curves(Path("run"))["oa"] == [(epoch, pytest.approx(oa)) for epoch, oa in expected]
    assert "score on validation pixels" in Path("run/report.html").read_text()
    assert said["selection"] == "last epoch, number of epochs fixed beforehand"


def test_validation_does_not_change_the_weights(config):
    train(config, "--work-dir", "run", "--no-test")
    train(config, "--work-dir", "validated", "--no-test", "--validate")
    one, other = (torch.load(f"{run}/epoch_3.pth", weights_only=True) for run in ("run", "validated"))
    assert all(torch.equal(one["state_dict"][name], value) for name, value in other["state_dict"].items())


def test_a_split_without_validation_pixels_is_one_sentence(config):
    config.write_text(config.read_text().replace(VALIDATED_SPLIT, 'split=dict(type="official")'))
    said = refusal(train, config, "--work-dir", "run", "--validate")
    assert "has no val pixel; '--cfg-options split.val.fraction=0.2" in said
    assert not Path("run").exists()


@pytest.mark.parametrize("option", [["--log", "tensorboard"], ["--validate"], ["--early-stop", "3"]])
def test_classical_classifiers_have_no_epochs(tmp_path, monkeypatch, option):
    monkeypatch.chdir(tmp_path)
    said = refusal(train, "lda", "--data", "simulated_houston", *option)
    assert said.startswith(f"{option[0]}: ")
    assert "which has no epochs" in said


EPOCHS = ("--cfg-options", "train_cfg.max_epochs=9")
RULE = "best oa on validation pixels, early stopping on oa with a patience of 2 epochs"


def test_early_stopping_ends_the_training_and_takes_the_best_epoch(config, scripted, capsys):
    scripted(0.1, 0.3, 0.3, 0.3, 0.9)
    train(config, "--work-dir", "run", "--early-stop", "2", *EPOCHS)
    said = record()
    assert said["weights"]["file"] == "best_oa_epoch_2.pth"
    assert (said["weights"]["epoch"], said["selection"]) == (2, RULE)
    assert Path("run/epoch_4.pth").is_file(), "two epochs after the best, the same value is none better"
    assert "stopped early after epoch 4: oa on validation" in " ".join(capsys.readouterr().out.split())


def test_early_stopping_goes_on_in_a_resumed_run(config, scripted, monkeypatch):
    arguments = (config, "--work-dir", "run", "--early-stop", "2", *EPOCHS)
    scripted(0.3, 0.2)
    judged = EarlyStopHook.after_val_epoch

    def killed_after_epoch_2(self, runner, metrics=None):
        judged(self, runner, metrics)
        if runner.epoch == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(EarlyStopHook, "after_val_epoch", killed_after_epoch_2)
    with pytest.raises(KeyboardInterrupt):
        train(*arguments)
    monkeypatch.setattr(EarlyStopHook, "after_val_epoch", judged)
    scripted(0.2, 0.2)  # of epochs 2, again, and 3
    train(*arguments, "--resume")
    said = record()
    assert (said["weights"]["epoch"], said["selection"]) == (1, RULE)
    assert Path("run/epoch_3.pth").is_file()
    assert not Path("run/epoch_4.pth").exists()
    assert "early_stop.patience was 2 and is 3" in refusal(
        train, config, "--work-dir", "run", "--early-stop", "3", *EPOCHS, "--resume"
    )
