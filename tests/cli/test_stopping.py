"""Trainings that are stopped by a signal or killed: they go on to the same weights and leave nothing."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from killed import files_in, killed_at
from mmengine.config import Config
from toy_commands import EMA, REPOSITORY, VALIDATION, check, refusal, train, weights_of
from toy_run import ToyDataset, ToyModel

from m3amba_zoo import stopping
from m3amba_zoo.cli import main
from m3amba_zoo.cli.command_parser import resuming_command
from m3amba_zoo.inference import predictor
from m3amba_zoo.locks import work_dir_lock

BY_ITERATION = "default_hooks = dict(checkpoint=dict(by_epoch=False, interval=4))\n"
LOOP = ('type="EpochBasedTrainLoop", max_epochs=3', 'type="IterBasedTrainLoop", max_iters=18')
# what is added to the config, and what is replaced in it
KINDS = {
    "averaged": (EMA, ()),
    "validated": (VALIDATION, ()),
    "shared updates": ("", ('type="OptimWrapper"', 'type="OptimWrapper", accumulative_counts=4')),
    "workers that stay": ("", ("num_workers=0", "num_workers=1, persistent_workers=True")),
    "saved by iteration": (BY_ITERATION, ()),
    "a loop by iteration": (BY_ITERATION + "param_scheduler = None\n", LOOP),
}


@pytest.fixture
def stopped(monkeypatch, capfd):
    """Train as the command line does; a signal comes in a step. Return the exit code and stderr."""

    def call(config, *arguments, step=None, number=signal.SIGTERM, to=os.kill):
        monkeypatch.setattr(ToyModel, "steps", 0)
        monkeypatch.setattr(ToyModel, "asked", (step, number, to))
        monkeypatch.setattr(sys, "argv", ["train.py", str(config), *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.run("m3amba_zoo.cli.train")
        return ended.value.code, capfd.readouterr().err

    return call


def names(folder):
    """Return the files of a work dir but the logs, whose folders have the time in their names."""
    return [name for name in files_in(folder) if not re.match(r"\d{8}_", name)]


def assert_same(one, other):
    one, other = (weights_of(next(Path(run).glob("*_[31]*.pth"))) for run in (one, other))
    for part in ("state_dict", "ema_state_dict"):
        for name, value in one.get(part, {}).items():
            assert torch.equal(value, other[part][name]), name
    for one_state, other_state in zip(*(c["optimizer"]["state"].values() for c in (one, other)), strict=True):
        assert all(torch.equal(one_state[name], other_state[name]) for name in one_state)
    losses = [run["message_hub"]["log_scalars"]["train/loss"]["values"] for run in (one, other)]
    assert torch.equal(*losses)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_a_signal_ends_the_step_saves_and_names_the_command_that_goes_on(config, stopped, number):
    code, said = stopped(config, "--seed", 3, "--work-dir", "a run", step=9, number=number)
    assert code == 128 + number
    again = "Ctrl-C once more" if number == signal.SIGINT else f"kill -INT {os.getpid()}"
    assert said == (
        f"stopping after this step; {again} stops at once\n"
        f"stopped; this goes on: python train.py {config} --seed 3 --work-dir 'a run' --resume\n"
    )
    saved = weights_of("a run/interrupted.pth")
    assert (saved["meta"]["epoch"], saved["meta"]["iter"]) == (1, 9)
    assert stopped(config, "--seed", 3, "--work-dir", "a run", "--resume")[0] == 0
    assert "interrupted.pth" not in names("a run")


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_training_ends_as_an_uninterrupted_one(config, stopped, monkeypatch, kind):
    if kind == "workers that stay":  # a data set that draws from the global generator is not exact there
        monkeypatch.setattr(ToyDataset, "noise", 0.0)
    monkeypatch.setattr("mmengine.runner.loops.time.sleep", lambda seconds: None)  # where an epoch ends
    added, replaced = KINDS[kind]
    text = config.read_text()
    config.write_text((text.replace(*replaced) if replaced else text) + added)
    assert stopped(config, "--work-dir", "whole")[0] == 0
    for step in (2, 4, 9):  # of each call; the second is the last of an epoch
        code, said = stopped(config, "--work-dir", "parts", *(["--resume"] if Path("parts").exists() else []),
                             step=step)  # fmt: skip
        assert code == 143, said
        assert "Traceback" not in said
    assert stopped(config, "--work-dir", "parts", "--resume")[0] == 0
    assert_same("whole", "parts")
    assert names("whole") == names("parts")


def test_a_training_that_is_killed_as_it_writes_goes_on_exactly_and_leaves_nothing(config, stopped):
    config.write_text(config.read_text() + VALIDATION)
    arguments = ("--work-dir", "parts", "--seed", "3")
    kills = 0
    for change in (9, 25, 30, 33, 36, 60):  # of each call
        resume = ["--resume"] if Path("parts/last_checkpoint").exists() else []
        kills += killed_at(change, Path("parts").absolute(), lambda: train(config, *arguments, *resume))  # noqa: B023
    assert kills > 3
    assert stopped(config, *arguments, "--resume")[0] == 0
    assert stopped(config, *arguments[2:], "--work-dir", "whole")[0] == 0
    assert_same("whole", "parts")
    assert names("whole") == names("parts")


def test_a_second_run_in_a_work_dir_is_refused_and_names_the_first(config):
    with work_dir_lock("run"):
        for call in (
            lambda *options: train(config, *options),
            lambda *options: check(config, "x.pth", *options),
        ):
            Path("x.pth").touch()
            torch.save({"state_dict": {}}, "x.pth")
            assert re.search(
                rf"run: is in use by process {os.getpid()} on ", refusal(call, "--work-dir", "run")
            )
    assert not Path("run").exists()


def test_a_finished_training_is_replaced_only_when_asked_and_never_taken_for_the_new_one(config):
    train(config, "--work-dir", "run", "--seed", "7")
    before = {name: Path("run", name).read_bytes() for name in ("epoch_3.pth", "last_checkpoint")}
    said = refusal(train, config, "--work-dir", "run", "--seed", "8")
    assert said.startswith(
        "run: holds the checkpoints of a training (last_checkpoint); --resume goes on with it"
    )
    assert before == {name: Path("run", name).read_bytes() for name in before}
    assert "--overwrite and --resume" in refusal(
        train, config, "--work-dir", "run", "--overwrite", "--resume"
    )

    def killed_before_its_first_checkpoint():
        ToyModel.steps, ToyModel.asked = 0, (2, signal.SIGKILL, os.kill)
        train(config, "--work-dir", "run", "--seed", "8", "--overwrite")

    assert killed_at(0, "nowhere", killed_before_its_first_checkpoint)
    assert not list(Path("run").glob("*.pth"))
    train(config, "--work-dir", "run", "--seed", "8", "--resume")
    assert weights_of("run/epoch_3.pth")["meta"]["seed"] == 8


def test_an_interrupt_in_foreign_code_is_an_interrupt(config, stopped, monkeypatch):
    pretty = Config.pretty_text

    def swallowed(self):  # as MMEngine does where yapf is interrupted
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except BaseException as error:
            raise SyntaxError("Failed to format the config file") from error
        return pretty.fget(self)

    monkeypatch.setattr(Config, "pretty_text", property(swallowed))
    code, said = stopped(config)
    assert code == 130
    assert said.endswith("\nstopped\n")
    assert "Traceback" not in said


def test_what_is_ignored_is_said_with_how_to_stop(config, stopped, monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        code, said = stopped(config, "--no-test", step=2, number=signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert code == 0
    assert said.startswith("SIGHUP will be ignored")
    assert f"to stop this: kill -TERM {os.getpid()}" in said


ENDING = """
import atexit, sys, time
from m3amba_zoo.cli.main import main
atexit.register(lambda: (print("ending", flush=True), time.sleep(3)))
sys.argv = ["m3amba", "--version"]
main()
"""


def test_a_signal_changes_no_exit_code_when_the_command_is_done():
    process = subprocess.Popen([sys.executable, "-c", ENDING], stdout=subprocess.PIPE, text=True)
    assert any(line == "ending\n" for line in process.stdout)
    for number in stopping.SIGNALS:
        process.send_signal(number)
    assert process.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_data_workers_leave_it_to_their_process(config, number):
    config.write_text(config.read_text().replace("num_workers=0", "num_workers=2", 1))
    module = config.with_name(
        "asked.py"
    )  # the whole group is sent the signal, as a terminal and a cluster do
    module.write_text(f"import os, toy_run\ntoy_run.ToyModel.asked = (8, {int(number)}, os.killpg)\n")
    text = config.read_text().replace('imports=["toy_run"]', 'imports=["toy_run", "asked"]')
    config.write_text(text)
    path = os.pathsep.join([str(Path(__file__).parent), str(REPOSITORY)])
    done = subprocess.run(
        [sys.executable, REPOSITORY / "tools/train.py", config, "--work-dir", "run"],
        capture_output=True, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 128 + number, done.stderr
    assert "Traceback" not in done.stderr
    assert weights_of("run/interrupted.pth")["meta"]["iter"] == 8


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["c.py"], "m3amba train c.py --resume"),
        (["c.py", "--resume", "old.pth", "--seed", "3"], "m3amba train c.py --seed 3 --resume"),
        (["--resume", "--work-dir", "a b", "c.py"], "m3amba train --work-dir 'a b' c.py --resume"),
        (["c.py", "--resume=old.pth", "--overwrite"], "m3amba train c.py --resume"),
    ],
)
def test_the_command_that_goes_on(monkeypatch, given, expected):
    monkeypatch.setattr(sys, "argv", ["m3amba train", *given])
    assert resuming_command() == expected


def test_data_workers_that_start_anew_do_not_start_a_second_training(config):
    text = config.read_text().replace("num_workers=0", "num_workers=1", 1)
    config.write_text(text + 'env_cfg = dict(mp_cfg=dict(mp_start_method="spawn"))\n')
    path = os.pathsep.join([str(Path(__file__).parent), str(REPOSITORY)])
    done = subprocess.run(
        [sys.executable, REPOSITORY / "tools/train.py", config, "--work-dir", "run", "--no-test",
         "--cfg-options", "train_cfg.max_epochs=2"],
        capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("trained parameters") == 1
    assert "Traceback" not in done.stderr


def test_a_stopped_prediction_goes_on_only_if_it_has_kept_rows(tmp_path, monkeypatch, capfd):
    class StoppedAtOnce:
        def __init__(self, model):
            self.model = model

        def predict_map(self, *given, **options):
            raise stopping.Stopped(signal.SIGTERM)

    monkeypatch.setattr(predictor, "Predictor", StoppedAtOnce)
    arguments = ["predict.py", "model", "--raster", "hsi=a.tif", "--out", str(tmp_path / "map.tif")]
    monkeypatch.setattr(sys, "argv", arguments)

    def said():
        with pytest.raises(SystemExit) as ended:
            main.run("m3amba_zoo.cli.predict")
        assert ended.value.code == 128 + signal.SIGTERM
        return capfd.readouterr().err

    assert said() == "stopped\n"
    (tmp_path / "map.tif.part.json").write_text("{}")
    assert said() == f"stopped; this goes on: python {' '.join(arguments)}\n"
