"""The configs with an encoder, from training to a map, small."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
from field_files import PLACE, large_fields, write_labels, write_rasters
from safetensors.torch import save_file
from tiny_rasters import write_raster
from toy_commands import REPOSITORY, train

from m3amba_zoo import Predictor
from m3amba_zoo.cli.new import main as new
from m3amba_zoo.models import GalileoEncoder
from m3amba_zoo.scenes.terramind import S2_BANDS
from m3amba_zoo.splits import Split

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


def write_sentinel(folder, labels):
    """Write rasters of Sentinel-2 and Sentinel-1 with the bands' names; return the options."""
    generator = np.random.default_rng(0)
    bands = {
        "s2": (S2_BANDS, 800.0 * labels + 500, "reflectance x 10000"),
        "s1": (("VV", "VH"), -5.0 * labels, "dB"),
    }
    for name, (names, values, unit) in bands.items():
        data = values + generator.normal(0, 1, (len(names), *labels.shape))
        with rasterio.open(
            write_raster(folder / f"{name}.tif", data.astype(np.float32), PLACE), "r+"
        ) as file:
            file.descriptions = names
            file.units = [unit] * len(names)
    return ["--raster", "s2=s2.tif", "--raster", "s1=s1.tif"]


def test_the_config_of_the_page_trains_on_a_users_scene(tmp_path, monkeypatch):
    for variable, folder in (("M3AMBA_WEIGHTS", tmp_path), ("M3AMBA_CACHE", tmp_path / "cache")):
        monkeypatch.setenv(variable, str(folder))
    monkeypatch.chdir(tmp_path)
    save_file(dict(GalileoEncoder("random", "nano").network.state_dict()), "galileo_nano.safetensors")
    labels = large_fields((64, 64), 16)
    rasters = write_sentinel(tmp_path, labels)
    new(["scene", "harbour", *rasters, "--labels", *write_labels(tmp_path, labels, "raster")])
    page = (REPOSITORY / "docs/galileo.md").read_text()
    block = re.search(r"<!-- galileo -->\n```python\n((.*\n)*?)```", page)
    Path("harbour/galileo.py").write_text(block[1])
    short = ["train_cfg.max_epochs=1", "train_dataloader.dataset.windows_per_epoch=8"]
    assert train("harbour/galileo.py", "--cfg-options", *short) == 0
    record = json.loads(Path("work_dirs/harbour_galileo/metrics.json").read_text())
    assert record["split"]["sha256"] == Split.read("harbour/split.npz").sha256
    given = {"s2": "s2.tif", "s1": "s1.tif"}
    assert Predictor("work_dirs/harbour_galileo").predict(given, speed="fast").class_map.all()


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
