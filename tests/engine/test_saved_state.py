"""A checkpoint that somebody changed is refused in one sentence before a training goes on from it."""

import copy
from pathlib import Path

import pytest
import tiny_runs
import torch

from m3amba_zoo.cli.train import main
from m3amba_zoo.errors import InputError

SCHEDULE = "param_scheduler = [dict(type='CosineAnnealingLR', T_max=2)]\n"
KEEP = "default_hooks = dict(checkpoint=dict(max_keep_ckpts=-1))\n"
LR = ("optimizer", "param_groups", 0, "lr")
CASES = {
    "empty state": (("optimizer", "state"), {}, "state of the optimiser .AdamW. is empty"),
    "no groups": (("optimizer", "param_groups"), [], r"has groups of \[\] parameters"),
    "odd groups": (("optimizer", "param_groups"), ["x"], "no list of groups with their 'params'"),
    "odd rate": (LR, "x", "'optimizer' has lr 'x', where"),
    "no rate": (LR, float("nan"), "'optimizer' has lr nan, where"),
    "no moment": (("optimizer", "state", 0, "exp_avg"), None, "'exp_avg' of parameter 0 is absent or"),
    "other moment": (("optimizer", "state", 0, "exp_avg"), torch.zeros(1, 7), "'exp_avg' of parameter 0"),
    "odd count": (("optimizer", "state", 0, "step"), "x", "'step' of parameter 0"),
    "other index": (("optimizer", "state", 99_999), {}, "has 99999, which is no parameter"),
    "no schedule": (("param_schedulers",), [], "not the state of this config's 1 schedules"),
    "odd schedule": (("param_schedulers", 0, "last_step"), "x", "not the state of this config's"),
    "no histories": (("message_hub",), {}, "'message_hub' has no 'log_scalars'"),
    "odd history": (("message_hub", "log_scalars", "train/loss"), {"values": None}, "loss' is no history"),
    "late": (("meta", "epoch"), 10**9, "'meta.epoch' is 1000000000, expected 0 to 2"),
    "far": (("meta", "iter"), 10**9, "'meta.iter' is 1000000000, expected 0 to 4"),
    "odd config": (("meta", "decided_by", "config"), "[" * 9999, "does not hold the config that decided"),
    "odd average": (("ema_state_dict",), {"module.x": torch.zeros(1)}, "is not in it"),
    "odd position": (("position",), {"gradients": {"x": torch.zeros(1)}}, "'x' of the waiting gradients"),
}


def resume(folder):
    return main([str(folder / "tiny.py"), "--work-dir", str(folder / "work"), "--resume", "--no-test"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a training of two epochs, as it was after the first."""
    folder = tmp_path_factory.mktemp("trained")
    text = tiny_runs.CONFIG.replace("max_epochs=3", "max_epochs=2") + SCHEDULE + KEEP
    (folder / "tiny.py").write_text(text)
    resume(folder)
    (folder / "work/epoch_2.pth").unlink()
    (folder / "work/last_checkpoint").write_text(str(folder / "work/epoch_1.pth"))
    return folder, torch.load(folder / "work/epoch_1.pth", weights_only=True)


@pytest.mark.parametrize("case", CASES)
def test_a_changed_checkpoint_is_refused_by_name(trained, case):
    folder, good = trained
    path, value, says = CASES[case]
    content = copy.deepcopy(good)
    node = content
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    torch.save(content, folder / "work/epoch_1.pth")
    with pytest.raises(InputError, match=says) as caught:
        resume(folder)
    assert "epoch_1.pth" in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_checkpoint_without_its_schedule_is_refused(trained):
    folder, good = trained
    lacking = {key: value for key, value in good.items() if key != "param_schedulers"}
    torch.save(lacking, folder / "work/epoch_1.pth")
    with pytest.raises(InputError, match=r"epoch_1\.pth: has no 'param_schedulers'"):
        resume(folder)


def test_the_unchanged_one_goes_on(trained):
    folder, good = trained
    torch.save(good, folder / "work/epoch_1.pth")
    assert resume(folder) == 0
    assert Path(folder, "work/epoch_2.pth").exists()
