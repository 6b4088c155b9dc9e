"""From training on an encoder's features to a map of a user's rasters, of which the features are made."""

import json

import numpy as np
import pytest
import rasterio
import torch
from safetensors.torch import save_file
from tiny_sentinel import GALILEO, PLACE, encoded, sentinel_rasters

from m3amba_zoo.cli.export import main as export
from m3amba_zoo.cli.predict import main as predict
from m3amba_zoo.cli.test import main as run_test
from m3amba_zoo.cli.train import main as train
from m3amba_zoo.errors import InputError
from m3amba_zoo.inference import Predictor
from m3amba_zoo.models import GalileoEncoder
from m3amba_zoo.splits import scene_data

CONFIG = """
_base_ = [
    "m3amba_zoo::_base_/default_runtime.py",
    "m3amba_zoo::_base_/datasets/windows.py",
    "m3amba_zoo::_base_/schedules/adamw.py",
]
source = {source}
split = dict(type="official")
modalities = {modalities}
window = 8
"""
NETWORK = """
model = dict(
    type="M3amba",
    embed_dim=16,
    adapter=dict(type="LinearAdapter"),
    neck=dict(type="CrossMamba", depth=1, d_state=4),
    prior=dict(modality="galileo", kind="spatial"),
    data_preprocessor=dict(type="RasterPreprocessor"),
)
train_dataloader = dict(batch_size=4, dataset=dict(windows_per_epoch=8))
train_cfg = dict(max_epochs=6)
optim_wrapper = dict(optimizer=dict(lr=0.02))
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("M3AMBA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def write_config(folder, modalities, model, encoder=GALILEO):
    source = encoded(encoder=encoder)
    path = folder / "tiny.py"
    path.write_text(CONFIG.format(source=source, modalities=modalities) + model)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Return an encoder's file, which is replaced by another in a test."""
    path = tmp_path_factory.mktemp("encoder") / "own.safetensors"
    write_weights(path, seed=0)
    return path


def write_weights(path, seed):
    save_file(dict(GalileoEncoder("random", GALILEO["size"], seed=seed).network.state_dict()), path)


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory, cache, weights):
    folder = tmp_path_factory.mktemp("network")
    encoder = {**GALILEO, "weights": str(weights)}
    config = write_config(folder, ["s2", "s1", "galileo"], NETWORK, encoder)
    train([str(config), "--work-dir", str(folder / "work")])
    return folder / "work"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return files of the scene's rasters, which say nothing of their bands."""
    folder, paths = tmp_path_factory.mktemp("rasters"), {}
    for modality, raster in sentinel_rasters().items():
        count, height, width = raster.data.shape
        paths[modality] = str(folder / f"{modality}.tif")
        profile = {"driver": "GTiff", "count": count, "height": height, "width": width}
        with rasterio.open(
            paths[modality], "w", dtype=raster.data.dtype, crs="EPSG:32617", transform=PLACE, **profile
        ) as file:
            file.write(raster.data)
    return paths


def test_a_users_rasters_give_the_map_of_the_test(work_dir, files):
    record = json.loads((work_dir / "metrics.json").read_text())
    assert record["dataset"] == "tiny_sentinel"
    assert len(record["inputs"]["galileo"]["fingerprint"]) == 64
    assert record["inputs"]["galileo"]["read_from"] == ["s2", "s1"]
    assert record["split"]["leaked_pixels"] > 0, "features of training pixels show the bands of test pixels"
    with rasterio.open(work_dir / "maps" / "tiny0.tif") as file:
        expected = file.read(1)
    predictor = Predictor(work_dir)
    assert predictor.in_channels == {"s2": 12, "s1": 2}
    found = predictor.predict(files)
    np.testing.assert_array_equal(found.class_map, expected)
    assert set(np.unique(expected)) == {1, 2, 3}


def test_a_map_in_strips_and_by_the_command_is_the_same(work_dir, files, tmp_path):
    out = tmp_path / "map.tif"
    rasters = [text for m, path in files.items() for text in ("--raster", f"{m}={path}")]
    assert predict([str(work_dir), *rasters, "--out", str(out)]) == 0
    whole = Predictor(work_dir).predict(files).class_map
    with rasterio.open(out) as file:
        np.testing.assert_array_equal(file.read(1), whole)
        assert "Galileo, 32 features" in file.tags()["ENCODER"]
    with Predictor(work_dir).open(files) as job:
        strips = [strip for first in (0, 20) for strip in job.classifier.classify(first, (20, 44)[first > 0])]
    np.testing.assert_array_equal(np.concatenate([strip.class_map for strip in strips]), whole)


def test_a_classifier_of_the_features_alone_asks_for_what_the_encoder_reads(tmp_path, cache, files, capsys):
    config = write_config(tmp_path, ["galileo"], "classifier = dict(type='ShrinkageLDA')")
    config.write_text(config.read_text().replace("'window': 8", "'window': 12"))
    train([str(config), "--work-dir", str(tmp_path / "work")])
    said = capsys.readouterr().out
    assert "lie inside training windows and features of galileo, which show 23 x 23 pixels" in said
    assert "a guard of 11 pixels removes them" in said
    predictor = Predictor(tmp_path / "work")
    assert predictor.in_channels == {"s2": 12, "s1": 2}
    found = predictor.predict(files)
    with rasterio.open(tmp_path / "work" / "maps" / "tiny0.tif") as file:
        assert (found.class_map == file.read(1)).mean() > 0.99


def test_an_exported_file_takes_the_features_and_says_so(work_dir, files, tmp_path, capsys):
    assert export([str(work_dir), "--to", "torch", "--out", str(tmp_path / "tiny.pt2")]) == 0
    said = "'galileo' are features, which this file does not make: GalileoEncoder makes them of s2, s1"
    assert said in capsys.readouterr().out
    extra = {"m3amba_zoo.json": ""}
    program = torch.export.load(tmp_path / "tiny.pt2", extra_files=extra).module()
    made = json.loads(extra["m3amba_zoo.json"])["modalities"][2]["features"]
    assert (len(made["fingerprint"]), made["of"], made["window"], made["stride"]) == (64, ["s2", "s1"], 8, 4)
    with Predictor(work_dir).open(files, overlap=0) as job:
        bands = {m: raster.read(0, 8).floats()[:, :, :8] for m, raster in job.read.items()}
        strip = next(iter(job.classifier.classify(0, 8)))
    assert bands["galileo"].shape == (32, 8, 8)
    found = program({m: torch.from_numpy(x)[None] for m, x in bands.items()})["posteriors"][0]
    np.testing.assert_array_equal(found.argmax(0).numpy() + 1, strip.class_map[:8, :8])


def test_what_cannot_be_made_is_refused(work_dir, files, monkeypatch):
    predictor = Predictor(work_dir)
    with pytest.raises(InputError, match="'galileo' is made of s2, s1 by the model's encoder; leave it out"):
        predictor.predict({**files, "galileo": np.zeros((32, 44, 37), np.float32)})
    with pytest.raises(InputError, match="modality 's1' is missing"):
        predictor.predict({"s2": files["s2"]})
    wrong = sentinel_rasters()["s2"].data / 1e4
    with pytest.raises(InputError, match=r"the values of 's2' .* which is not reflectance x 10000"):
        predictor.predict({**files, "s2": wrong})


def test_another_encoder_than_the_trainings_is_refused(work_dir, files, weights):
    config = next(work_dir.glob("*.py"))
    checkpoint = next(work_dir.glob("*.pth"))
    before = weights.read_bytes()
    try:
        write_weights(weights, seed=7)
        with pytest.raises(InputError, match=r"features of another encoder than this one .* fingerprints"):
            Predictor(work_dir).predict(files)
        for loaded in (scene_data._load, scene_data._load_scenes):
            loaded.cache_clear()  # as in a process of its own
        with pytest.raises(InputError, match=r"fingerprint of the encoder\.galileo was"):
            run_test([str(config), str(checkpoint), "--work-dir", str(work_dir.parent / "tested")])
        weights.unlink()
        with pytest.raises(
            InputError, match=r"'galileo' is made by an encoder that cannot be had.*no such file"
        ):
            Predictor(work_dir).predict(files)
    finally:
        weights.write_bytes(before)
