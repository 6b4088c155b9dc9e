"""The configs with an encoder, from training to a map, small."""

import json
import re

import numpy as np
import pytest
from field_files import large_fields, write_labels, write_rasters
from toy_commands import REPOSITORY, train

from m3amba_zoo import Predictor
from m3amba_zoo.cli.new import main as new

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


def test_the_documented_features_of_an_own_scene_train_and_predict(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("M3AMBA_CACHE", str(tmp_path / "cache"))
    labels = large_fields((60, 80), 10)
    rasters = write_rasters(tmp_path, labels)
    assert (
        new(["scene", "harbour", *map(str, rasters), "--labels", *write_labels(tmp_path, labels, "raster")])
        == 0
    )
    text = (REPOSITORY / "docs/encoders.md").read_text()
    example = re.search(r"<!-- own scene -->\n```python\n(.*?)```", text, re.S)[1]
    name = 'name="resnet18.a1_in1k"'
    assert name in example  # whose weights are not here
    config = tmp_path / "harbour/features.py"
    config.write_text(example.replace(name, 'name="test_efficientnet", weights="random"'))
    small = ["train_cfg.max_epochs=2", "train_dataloader.dataset.windows_per_epoch=16"]
    assert not train(config, "--work-dir", "work", "--cfg-options", *small)
    said = capfd.readouterr()
    assert "a guard of " in said.out + said.err
    record = json.loads((tmp_path / "work/metrics.json").read_text())
    assert record["inputs"]["photo"]["read_from"] == ["hsi"]
    found = Predictor(tmp_path / "work").predict({m: f"{m}.tif" for m in ("hsi", "sar")})
    assert found.class_map.shape == labels.shape
