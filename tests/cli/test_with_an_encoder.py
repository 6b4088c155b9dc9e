"""The configs with an encoder, from training to a map, small."""

import json

import numpy as np
import pytest
from toy_commands import REPOSITORY, train

from m3amba_zoo import Predictor

CONFIG = """
_base_ = {base!r}
source = dict(_delete_=True, type="simulated", kind="houston-like", height=48, width=96, bands=12)
window = 8
model = dict(
    embed_dim=16,
    adapter=dict(image_size=32),
    encoder=dict(name={tower!r}, weights="random"),
    neck=dict(depth=1, d_state=4),
)
train_dataloader = dict(batch_size=8, dataset=dict(windows_per_epoch=32))
train_cfg = dict(max_epochs=2)
"""


@pytest.mark.parametrize("size", ["b", "s"])
def test_it_trains_tests_and_predicts(size, tmp_path):
    config = tmp_path / "small.py"
    tower = str(REPOSITORY / "configs/_base_/models/small_image_tower.json")
    config.write_text(CONFIG.format(base=str(REPOSITORY / f"configs/m3amba-{size}_houston.py"), tower=tower))
    run = tmp_path / "run"
    assert not train(config, "--work-dir", str(run))
    record = json.loads((run / "metrics.json").read_text())
    assert "randomly initialised" in record["model"]["clip"]
    assert record["oa"] > 0
    rasters = {"hsi": np.ones((12, 16, 16), np.float32), "lidar": np.ones((1, 16, 16), np.float32)}
    assert Predictor(run).predict(rasters).class_map.shape == (16, 16)
