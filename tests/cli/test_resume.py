"""Going on from a checkpoint: with the same config only, or extended by name and recorded."""

import json
import math
from pathlib import Path

import pytest
import torch
from toy_commands import check, refusal, train, weights_of

from m3amba_zoo.config import config_sha256, read_config

LONGER = ("--cfg-options", "train_cfg.max_epochs=6", "optim_wrapper.optimizer.lr=0.5")


def without_what_decided(path):
    """Make a checkpoint one of an earlier version."""
    checkpoint = weights_of(path)
    del checkpoint["meta"]["decided_by"]
    torch.save(checkpoint, path)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--cfg-options", "train_cfg.max_epochs=6"], "train_cfg.max_epochs was 3 and is 6;"),
        (
            ["--cfg-options", "optim_wrapper.optimizer.lr=0.5"],
            "optim_wrapper.optimizer.lr was 0.01 and is 0.5;",
        ),
        (["--cfg-options", "train_dataloader.batch_size=2"], "train_dataloader.batch_size was 4 and is 2;"),
        (["--amp"], "optim_wrapper.type was 'OptimWrapper' and is 'AmpOptimWrapper';"),
    ],
    ids=["epochs", "learning rate", "batch", "precision"],
)
@pytest.mark.parametrize("earlier", [False, True], ids=["", "of an earlier version"])
def test_a_changed_config_is_refused_with_what_changed(config, options, named, earlier):
    train(config, "--work-dir", "run")
    if earlier:
        without_what_decided("run/epoch_3.pth")
    before = Path("run", config.name).read_bytes(), Path("run/epoch_3.pth").read_bytes()
    listed = sorted(Path("run").iterdir())
    message = refusal(train, config, "--work-dir", "run", "--resume", *options)
    assert f"run/epoch_3.pth: was trained with another config: {named} --resume goes on with" in message
    assert "--resume --extend" in message
    assert (Path("run", config.name).read_bytes(), Path("run/epoch_3.pth").read_bytes()) == before
    assert sorted(Path("run").iterdir()) == listed, "no folder of the refused run stays"


def test_another_number_of_processes_is_refused(config):
    train(config, "--work-dir", "run")
    checkpoint = weights_of("run/epoch_3.pth")
    checkpoint["meta"]["decided_by"]["processes"] = 2
    torch.save(checkpoint, "run/epoch_3.pth")
    assert "processes was 2 and is 1;" in refusal(train, config, "--work-dir", "run", "--resume")


def test_what_does_not_decide_the_weights_may_change(config):
    train(config, "--work-dir", "run")
    options = ["default_hooks.checkpoint.interval=2", "test_dataloader.batch_size=8", "log_level=WARNING"]
    options.append("train_dataloader.num_workers=1")
    assert train(config, "--work-dir", "run", "--resume", "--cfg-options", *options) == 0


def test_a_checkpoint_that_does_not_say_what_decided_it_is_refused(config):
    train(config, "--work-dir", "run")
    without_what_decided("run/epoch_3.pth")
    assert train(config, "--work-dir", "run", "--resume") == 0  # its work dir has the same config
    Path("elsewhere").mkdir()
    Path("run/epoch_3.pth").rename("elsewhere/alone.pth")
    message = refusal(train, config, "--work-dir", "new", "--resume", "elsewhere/alone.pth")
    assert "an earlier version wrote it" in message
    assert not Path("new").exists()


def test_a_config_that_is_newer_than_such_a_checkpoint_is_not_believed(config, monkeypatch):
    from toy_run import ToyModel

    train(config, "--work-dir", "run", "--no-test")
    without_what_decided("run/epoch_3.pth")
    monkeypatch.setattr(ToyModel, "interrupt_after", 3)
    with pytest.raises(KeyboardInterrupt):
        train(config, "--work-dir", "run", "--resume", "--extend", *LONGER)
    message = refusal(train, config, "--work-dir", "run", "--resume", *LONGER)
    assert "an earlier version wrote it" in message


def test_weights_are_tested_with_the_config_that_trained_them(config):
    train(config, "--work-dir", "run")
    to = ("run/epoch_3.pth", "--work-dir", "new", "--cfg-options")
    message = refusal(check, config, *to, "optim_wrapper.optimizer.lr=0.5")
    assert "was trained with another config: optim_wrapper.optimizer.lr was 0.01 and is 0.5;" in message
    assert not Path("new").exists()
    assert check(config, *to, "test_dataloader.batch_size=8") == 0
    without_what_decided("run/epoch_3.pth")
    assert check(config, *to, "optim_wrapper.optimizer.lr=0.5") == 0


def test_a_seed_among_the_options_is_refused(config):
    train(config, "--work-dir", "run", "--no-test")
    message = refusal(train, config, "--work-dir", "run", "--resume", "--cfg-options", "randomness.seed=77")
    assert "--cfg-options randomness.seed 77: " in message


def test_an_extension_that_changes_nothing_says_so(config, capsys):
    train(config, "--work-dir", "run", "--no-test")
    train(config, "--work-dir", "run", "--no-test", "--resume", "--extend")
    assert "epoch_3.pth is not extended" in capsys.readouterr().out


def rates(path):
    """Return the learning rate of each step that a run logged."""
    return weights_of(path)["message_hub"]["log_scalars"]["train/lr"]["values"]


def test_an_extended_run_lays_its_schedule_anew_and_has_a_hash_of_its_own(config):
    train(config, "--work-dir", "run", "--no-test")
    first = weights_of("run/epoch_3.pth")
    old = first["meta"]["decided_by"]["config_sha256"]
    assert old == config_sha256(read_config(config))
    assert train(config, "--work-dir", "run", "--no-test", "--resume", "--extend", *LONGER) == 0
    steps = 6
    # a warm-up over the first of the three further epochs, then a cosine to zero over two
    warm = [0.5 * (0.01 + 0.99 * step / (steps - 1)) for step in range(steps)]
    cosine = [0.25 * (1 + math.cos(math.pi * step / (2 * steps))) for step in range(2 * steps)]
    found = rates("run/epoch_6.pth")
    assert found[3 * steps :].tolist() == pytest.approx(warm + cosine, rel=1e-6)
    last = weights_of("run/epoch_6.pth")
    state, before = (one["optimizer"]["state"][0]["step"] for one in (last, first))
    assert state == before + 3 * steps  # AdamW's moments go on
    assert last["message_hub"]["runtime_info"]["extended"] == [
        {
            "epoch": 3,
            "config_sha256": old,
            "changed": {"train_cfg.max_epochs": [3, 6], "optim_wrapper.optimizer.lr": [0.01, 0.5]},
        }
    ]
    clean = config_sha256(read_config(config, options=LONGER[1:]))
    assert config_sha256(read_config(Path("run", config.name))) == clean
    assert last["meta"]["decided_by"]["config_sha256"] not in (old, clean)


@pytest.mark.parametrize("runner", ["ZooRunner", "MMEngine's"])
def test_one_epoch_has_no_warm_up_from_the_start_and_as_an_extension(runner, request):
    config = request.getfixturevalue("config" if runner == "ZooRunner" else "plain")
    if runner != "ZooRunner":
        saved = "default_hooks = dict(checkpoint=dict(type='SafeCheckpointHook'))\n"
        config.write_text(config.read_text() + saved)
    epochs = "train_cfg.max_epochs={}".format
    first = 1 if runner == "ZooRunner" else 2  # MMEngine's own refuses a single epoch with a warm-up
    train(config, "--work-dir", "run", "--no-test", "--cfg-options", epochs(first))
    longer = ("--resume", "--extend", "--cfg-options", epochs(first + 1))
    assert train(config, "--work-dir", "run", "--no-test", *longer) == 0
    cosine = [0.005 * (1 + math.cos(math.pi * step / 6)) for step in range(6)]
    assert rates(f"run/epoch_{first + 1}.pth")[-6:].tolist() == pytest.approx(cosine, rel=1e-6)
    if runner == "ZooRunner":
        assert rates("run/epoch_2.pth")[:6].tolist() == pytest.approx(cosine, rel=1e-6)


def test_an_extended_run_that_is_interrupted_goes_on_as_it_would_have(config, monkeypatch):
    from toy_run import ToyModel

    for run in ("whole", "parts"):
        train(config, "--work-dir", run, "--no-test")
    command = ("--resume", "--extend", *LONGER)
    train(config, "--work-dir", "whole", *command)
    monkeypatch.setattr(ToyModel, "interrupt_after", 6 + 3)
    with pytest.raises(KeyboardInterrupt):
        train(config, "--work-dir", "parts", *command)
    monkeypatch.undo()
    monkeypatch.chdir(config.parent)
    train(config, "--work-dir", "parts", *command)
    whole, parts = (weights_of(f"{run}/epoch_6.pth") for run in ("whole", "parts"))
    assert torch.equal(rates("whole/epoch_6.pth"), rates("parts/epoch_6.pth"))
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, parts["state_dict"][name]), name
    assert len(parts["message_hub"]["runtime_info"]["extended"]) == 1


def test_a_plain_runner_is_extended_too(plain):
    plain.write_text(plain.read_text() + "default_hooks = dict(checkpoint=dict(type='SafeCheckpointHook'))\n")
    train(plain, "--work-dir", "run", "--no-test")
    assert "was 0.01 and is 0.5" in refusal(train, plain, "--work-dir", "run", "--resume", *LONGER)
    train(plain, "--work-dir", "run", "--resume", "--extend", *LONGER)
    assert rates("run/epoch_6.pth")[18:].max() == pytest.approx(0.5)


def test_another_optimiser_starts_without_the_state_of_the_one_before(config, capsys):
    train(config, "--work-dir", "run", "--no-test")
    options = ["optim_wrapper.optimizer.type=SGD", "train_cfg.max_epochs=5"]
    assert train(config, "--work-dir", "run", "--resume", "--extend", "--cfg-options", *options) == 0
    assert "starts without its state" in capsys.readouterr().out


def test_what_cannot_be_extended_is_refused(config):
    train(config, "--work-dir", "run", "--no-test")
    assert "--extend needs --resume" in refusal(train, config, "--work-dir", "run", "--extend")
    rate = ["--cfg-options", "optim_wrapper.optimizer.lr=0.5"]
    message = refusal(train, config, "--work-dir", "run", "--resume", "--extend", *rate)
    assert "has 3 epochs and 18 iterations, and train_cfg asks for no more" in message


def test_the_weights_that_a_run_started_from_stay_in_its_hash(config):
    train(config, "--work-dir", "first", "--no-test")
    start = ["--work-dir", "run", "--no-test", "--cfg-options", "load_from=first/epoch_3.pth"]
    train(config, *start)
    train(config, *start, "--resume")  # the same command
    assert read_config(Path("run", config.name)).load_from == "first/epoch_3.pth"
    assert json.loads(Path("run/weights.json").read_text())["file"] == "epoch_3.pth"
