"""Two processes of a CPU: they train what one process trains, and every trained parameter gets a gradient."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = f"""
_base_ = {str(REPOSITORY / "configs/m3amba-b_houston.py")!r}
source = dict(_delete_=True, type="simulated", kind="houston-like", height=64, width=128, bands=24)
window = 8
model = dict(encoder=None, embed_dim=16, neck=dict(depth=1))
train_dataloader = dict(dataset=dict(windows_per_epoch=32))
train_cfg = dict(max_epochs=2)
"""


SAME = f"""
_base_ = {str(REPOSITORY / "configs/m3amba_simulated_houston.py")!r}
source = dict(_delete_=True, type="simulated", kind="houston-like", height=64, width=128, bands=24)
window = 8
model = dict(embed_dim=16, neck=dict(depth=1))
train_dataloader = dict(batch_size=BATCH, num_workers=0, dataset=dict(windows_per_epoch=64))
train_cfg = dict(max_epochs=2)
default_hooks = dict(logger=dict(interval=1))
"""


def train(folder, batch, *launcher):
    """Train, and return the losses by step and the weights."""
    (folder / f"{batch}.py").write_text(SAME.replace("BATCH", str(batch)))
    run = folder / f"run{batch}"
    arguments = [REPOSITORY / "tools/train.py", folder / f"{batch}.py", "--work-dir", run, "--no-test"]
    arguments += ["--launcher", "pytorch"] if launcher else []
    done = subprocess.run(
        [sys.executable, *launcher, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in next(run.glob("*/vis_data/scalars.json")).read_text().splitlines()]
    weights = torch.load(run / "epoch_2.pth", weights_only=True)["state_dict"]
    return [line["loss"] for line in lines if "loss" in line], weights


@pytest.mark.slow
def test_two_processes_with_half_the_batch_train_what_one_trains(tmp_path):
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    one, of_one = train(tmp_path, 8)
    two, of_two = train(tmp_path, 4, *launcher)
    assert len(one) == 16
    assert np.ptp(one) > 0.1
    np.testing.assert_allclose(two, one, rtol=1e-3)
    for name, weight in of_one.items():
        torch.testing.assert_close(of_two[name], weight, rtol=1e-2, atol=1e-3)


@pytest.mark.slow
def test_size_b_without_its_encoder_trains_on_two_processes(tmp_path):
    (tmp_path / "b.py").write_text(CONFIG)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    arguments = [tmp_path / "b.py", "--work-dir", tmp_path / "run", "--launcher", "pytorch"]
    done = subprocess.run(
        [*launcher, REPOSITORY / "tools/train.py", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run/metrics.json").read_text())
    assert record["model"]["clip"] == "none"
    assert record["model"]["transductive"], "the consistency term reads unlabelled pixels"
    assert record["model"]["parameters"] > record["model"]["trained_parameters"], "z's delta and D are frozen"
    assert record["pixels"] == record["split"]["pixels"]["test"]
