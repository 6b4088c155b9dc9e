"""The commands train and test: runs that go well, and runs that go on."""

import contextlib
import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from toy_commands import EMA, REPOSITORY, VALIDATION, check, refusal, train, weights_of
from toy_run import ToyAccuracy, ToyModel

from m3amba_zoo.cli import main
from m3amba_zoo.cli.running import starting


def test_compile_compiles_the_network_to_the_same_training(config):
    train(config, "--work-dir", "plain")
    options = ["compile.backend=aot_eager", "compile.fullgraph=True"]
    torch._dynamo.utils.counters.clear()
    assert train(config, "--work-dir", "compiled", "--cfg-options", *options) == 0
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    plain, compiled = (weights_of(f"{name}/epoch_3.pth")["state_dict"] for name in ("plain", "compiled"))
    torch.testing.assert_close(compiled, plain, rtol=1e-4, atol=1e-5)


def assert_identical(one, other, where="checkpoint"):
    """Compare nested checkpoints bit by bit."""
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_identical(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), where
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_identical(a, b, f"{where}.{index}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    else:
        assert one == other, where


def test_training_tests_its_weights_and_names_what_it_wrote(config, capsys):
    assert train(config) == 0
    output = capsys.readouterr().out
    work_dir = Path("work_dirs/toy")
    for name in ("epoch_3.pth", "last_checkpoint", config.name):
        assert (work_dir / name).is_file()
        assert name in output
    assert "test: toy/oa" in output
    assert not (work_dir / "epoch_2.pth").exists()  # superseded
    assert "warning" not in output
    assert "\x1b" not in output
    assert len(output.splitlines()) < 15
    (log,) = work_dir.glob("*/*.log")
    assert len(log.read_text().splitlines()) < 150


@pytest.mark.parametrize(
    ("extra", "options"), [("", []), (EMA, []), ("", ["--amp"])], ids=["plain", "ema", "amp"]
)
def test_a_resumed_run_ends_as_an_uninterrupted_one(config, monkeypatch, extra, options):
    config.write_text(config.read_text() + extra)
    train(config, "--work-dir", "whole", "--seed", "3", *options)
    monkeypatch.setattr(ToyModel, "interrupt_after", 2 * 6 + 3)  # in the third epoch
    with pytest.raises(KeyboardInterrupt):
        train(config, "--work-dir", "parts", "--seed", "3", *options)
    monkeypatch.undo()
    monkeypatch.chdir(config.parent)
    train(config, "--work-dir", "parts", "--resume", *options)
    whole, parts = (weights_of(f"{folder}/epoch_3.pth") for folder in ("whole", "parts"))
    wrapper = Config.fromfile(f"parts/{config.name}").optim_wrapper.type
    assert wrapper == ("AmpOptimWrapper" if "--amp" in options else "OptimWrapper")
    averaged = ["ema_state_dict"] if extra else []
    for part in ("state_dict", "optimizer", "param_schedulers", *averaged):
        assert_identical(whole[part], parts[part], part)
    losses = [run["message_hub"]["log_scalars"]["train/loss"]["values"] for run in (whole, parts)]
    assert torch.equal(*losses)


@pytest.mark.parametrize("extra", ["", EMA, VALIDATION], ids=["last", "ema", "best"])
def test_a_plain_runner_trains_and_tests_its_final_weights(plain, capsys, extra):
    plain.write_text(
        plain.read_text() + extra.replace("checkpoint=dict(", "checkpoint=dict(type='CheckpointHook', ")
    )
    assert train(plain) == 0
    output = capsys.readouterr().out
    kept = Path("work_dirs/toy/epoch_3.pth").absolute()
    assert kept.is_file()
    tested = next(kept.parent.glob("best_*")) if extra == VALIDATION else kept
    log = next(kept.parent.glob("*/*.log")).read_text()
    assert f"Load checkpoint from {tested}" in log
    assert "test: toy/oa" in output
    assert "SafeCheckpointHook" in output  # warned that its checkpoints cannot be resumed
    assert "pickled" in refusal(train, plain, "--resume")
    assert kept.is_file()


def test_a_plain_runner_reports_and_resumes_with_the_zoos_hooks(plain, monkeypatch):
    hooks = (
        "default_hooks = dict(checkpoint=dict(type='SafeCheckpointHook', interval=1))\ncustom_hooks = [{}]\n"
    )
    named = ("DataCheckHook", "FitPreprocessorHook", "EpochSeedHook", "FiniteLossHook", "ProgressHook")
    plain.write_text(plain.read_text() + hooks.format(", ".join(f"dict(type='{name}')" for name in named)))
    train(plain, "--work-dir", "whole", "--seed", "3")
    monkeypatch.setattr(ToyModel, "interrupt_after", 2 * 6 + 3)
    with pytest.raises(KeyboardInterrupt):
        train(plain, "--work-dir", "parts", "--seed", "3")
    monkeypatch.setattr(ToyModel, "interrupt_after", -1)
    assert train(plain, "--work-dir", "parts", "--resume") == 0
    whole, parts = (weights_of(f"{folder}/epoch_3.pth") for folder in ("whole", "parts"))
    assert_identical(whole["state_dict"], parts["state_dict"])


@pytest.mark.parametrize("kind", ["plain", "config"])
def test_an_interrupt_keeps_the_checkpoint_of_a_new_work_dir(request, kind, monkeypatch):
    monkeypatch.setattr(ToyModel, "interrupt_after", 6 + 3)  # in the second epoch
    with pytest.raises(KeyboardInterrupt):
        train(request.getfixturevalue(kind))
    assert Path("work_dirs/toy/epoch_1.pth").is_file()


@pytest.mark.parametrize("kind", ["plain", "config"])
def test_an_error_after_training_keeps_the_checkpoint(request, kind, monkeypatch):
    def fail(*_):
        raise TypeError("after training")

    monkeypatch.setattr(ToyAccuracy, "compute_metrics", fail)
    with pytest.raises(TypeError, match="after training"):
        train(request.getfixturevalue(kind))
    assert Path("work_dirs/toy/epoch_3.pth").is_file()


def test_a_folder_with_a_checkpoint_is_never_removed(config):
    with contextlib.suppress(KeyboardInterrupt), starting(Config({"work_dir": "run"})):
        Path("run/best").mkdir(parents=True)
        Path("run/best/epoch_1.pth").touch()  # of a loop that nobody knows to have trained
        raise KeyboardInterrupt
    assert Path("run/best/epoch_1.pth").is_file()


def test_averaged_weights_are_what_is_tested(config, capsys):
    config.write_text(config.read_text() + EMA)
    train(config)
    trained = capsys.readouterr().out
    saved = weights_of("work_dirs/toy/epoch_3.pth")
    assert not torch.equal(
        saved["state_dict"]["layers.0.weight"], saved["ema_state_dict"]["module.layers.0.weight"]
    )
    check(config, "work_dirs/toy/epoch_3.pth", "--work-dir", "again")
    tested = capsys.readouterr().out
    assert next(line for line in trained.splitlines() if "toy/oa" in line) in tested


def test_a_refused_run_and_a_test_leave_the_work_dirs_config(config):
    train(config)
    written = Path("work_dirs/toy/toy.py")
    before = written.read_text()
    refusal(train, config, "--cfg-options", "load_from=none.pth")
    check(config, "work_dirs/toy/epoch_3.pth", "--cfg-options", "log_processor.window_size=3")
    assert written.read_text() == before


def test_a_config_drops_hooks_with_none(config, capsys):
    config.write_text(config.read_text() + "default_hooks = dict(progress=None, timer=None)\n")
    assert train(config) == 0
    assert "18/18" not in capsys.readouterr().out
    assert "IterTimerHook" not in next(Path("work_dirs/toy").glob("*/*.log")).read_text()


def test_the_best_weights_on_validation_are_what_is_tested(config, capsys):
    config.write_text(config.read_text() + VALIDATION)
    train(config)
    best = [path.name for path in Path("work_dirs/toy").glob("best_*")]
    assert len(best) == 1
    log = next(Path("work_dirs/toy").glob("*/*.log")).read_text()
    assert f"Load checkpoint from {Path.cwd()}/work_dirs/toy/{best[0]}" in log
    assert "validation, 6/6" in capsys.readouterr().out


@pytest.mark.parametrize("scores", ["'toy/oa'", "['toy/oa', 'toy/aa']"], ids=["one score", "two scores"])
def test_resuming_elsewhere_removes_nothing_of_the_old_work_dir(config, monkeypatch, scores):
    better = iter([0.1, 0.2, 0.3, 0.4])
    monkeypatch.setattr(
        ToyAccuracy, "compute_metrics", lambda *_: dict.fromkeys(("oa", "aa"), next(better, 0.4))
    )
    config.write_text(config.read_text() + VALIDATION.replace('"toy/oa"', scores))
    train(config, "--no-test", "--work-dir", "old", "--cfg-options", "train_cfg.max_epochs=2")
    before = sorted(Path("old").glob("*.pth"))
    assert any(path.name.startswith("best_") for path in before)
    train(config, "--no-test", "--work-dir", "new", "--resume", "old/epoch_2.pth", "--extend",
          "--cfg-options", "train_cfg.max_epochs=4")  # fmt: skip
    assert sorted(Path("old").glob("*.pth")) == before
    assert {path.name for path in Path("new").glob("best_toy_oa*")} == {"best_toy_oa_epoch_4.pth"}


def test_seed_reaches_the_run_and_validation_and_leaves_the_test_part(config):
    train(config, "--seed", "7", "--no-test", "--cfg-options", "split.val.fraction=0.3")
    ran = Config.fromfile(f"work_dirs/toy/{config.name}")
    assert ran.randomness.seed == 7
    for loader in (ran.train_dataloader, ran.test_dataloader):
        assert loader.dataset.split == {"type": "blocks", "seed": 0, "val": {"fraction": 0.3, "seed": 7}}
    message = refusal(train, config, "--seed", "8", "--resume")
    assert "seed 7" in message


def test_the_split_is_said_once_and_a_variable_of_the_file_is_refused(config):
    train(config, "--no-test", "--cfg-options", "split.seed=5")
    ran = Config.fromfile(f"work_dirs/toy/{config.name}")
    assert ran.train_dataloader.dataset.split.seed == ran.test_dataloader.dataset.split.seed == 5
    assert "'bands' is a variable" in refusal(train, config, "--cfg-options", "bands=6")


def test_a_full_disk_keeps_the_checkpoint_before(config, monkeypatch):
    saves = []

    def fsync(descriptor):
        saves.append(descriptor)
        if len(saves) == 3:  # checkpoint and pointer of epoch 1, checkpoint of epoch 2
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    message = refusal(train, config, "--work-dir", "run")
    assert "epoch_2.pth" in message
    assert "No space left" in message
    assert Path("run/last_checkpoint").read_text().endswith("epoch_1.pth")
    assert [path.name for path in Path("run").glob("epoch_*")] == ["epoch_1.pth"]
    assert train(config, "--work-dir", "run", "--resume") == 0


@pytest.mark.parametrize(
    "options",
    [["--seed", "7"], ["--cfg-options", "randomness.seed=7"]],
    ids=["splits as the run", "splits as the config"],
)
def test_testing_and_resuming_take_the_seeds_of_the_training(config, options):
    config.write_text(config.read_text().replace("seed=0", "seed=1"))
    train(config, "--no-test", "--work-dir", "run", *options)
    train(config, "--no-test", "--work-dir", "run", "--resume")
    assert check(config, "run/epoch_3.pth") == 0


def test_resuming_in_an_empty_or_moved_work_dir(config, capsys):
    assert train(config, "--no-test", "--work-dir", "run", "--resume") == 0
    assert "training starts anew" in capsys.readouterr().out
    Path("run").rename("moved")
    assert train(config, "--work-dir", "moved", "--resume") == 0
    assert "resumes moved/epoch_3.pth, epoch 3" in capsys.readouterr().out


def command(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment)


def test_exit_code_of_a_refusal(config):
    refused = command(REPOSITORY / "tools/train.py", "absent.py")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: absent.py: no such config; ")
    assert refused.stderr.count("\n") == 1
    assert not refused.stdout


@pytest.mark.parametrize(("steps", "hint"), [(3, ""), (9, "; this goes on: python train.py {} --resume")])
def test_exit_code_of_an_interrupt(config, monkeypatch, capsys, steps, hint):
    monkeypatch.setattr(sys, "argv", ["train.py", str(config)])
    monkeypatch.setattr(ToyModel, "interrupt_after", steps)  # the first checkpoint follows six
    with pytest.raises(SystemExit) as ended:
        main.run("m3amba_zoo.cli.train")
    assert ended.value.code == 130
    assert f"stopped{hint.format(config)}\n" in capsys.readouterr().err


def test_the_console_script_lists_the_commands(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["m3amba", "--help"])
    with pytest.raises(SystemExit):
        main.main()
    assert re.search(r"^  train +Train a model", capsys.readouterr().out, re.MULTILINE)


def test_two_processes_train_on_the_cpu(config):
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    done = command(*launcher, REPOSITORY / "tools/train.py", config, "--launcher", "pytorch")
    assert done.returncode == 0, done.stderr
    assert "cpu x 2" in done.stdout
    assert done.stdout.count("test: toy/oa") == 1
