"""Size b on two processes of a CPU, without its encoder: every parameter that is trained gets a gradient."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = f"""
_base_ = {str(REPOSITORY / "configs/m3amba-b_houston.py")!r}
source = dict(_delete_=True, type="simulated", kind="houston-like", height=64, width=128, bands=24)
window = 8
model = dict(encoder=None, embed_dim=16, neck=dict(depth=1))
train_dataloader = dict(dataset=dict(windows_per_epoch=32))
train_cfg = dict(max_epochs=2)
"""


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
