import json
from dataclasses import replace

import numpy as np
import pytest

from m3amba_zoo.cli.split import main
from m3amba_zoo.errors import DataNotFoundError, InputError
from m3amba_zoo.rasters import Raster
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.source import Source
from m3amba_zoo.splits import Split


@pytest.fixture
def town(one_scene):
    class Town(Source):
        def load(self, rasters=True):
            if rasters:
                raise DataNotFoundError("the images are not here")
            return one_scene

    SOURCES.register_module(name="town_of_test", module=Town)
    yield "town_of_test"
    SOURCES.module_dict.pop("town_of_test")


def test_make_then_audit(town, tmp_path, capsys):
    out = tmp_path / "blocks.npz"
    made = ["--split", "blocks", "--size", "16", "--guard", "4", "--seed", "2", "--test-fraction", "0.4"]
    assert main(["make", town, *made, "--out", str(out)]) == 0
    split = Split.read(out)
    assert split.name == "blocks-size16-guard4-seed2-test_fraction0.4"
    assert f"sha256 {split.sha256}" in capsys.readouterr().out

    assert main(["audit", town, "--split", str(out), "--window", "8", "--json"]) == 0
    of_file = json.loads(capsys.readouterr().out)
    assert main(["audit", town, *made, "--window", "8", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == of_file
    assert (of_file["sha256"], of_file["window"], of_file["leaked_pixels"]) == (split.sha256, 8, 0)

    assert main(["audit", town, "--split", "official"]) == 0
    assert "training window of 11 x 11" in capsys.readouterr().out.replace("\n", " ")


def test_labels_that_no_raster_shows_are_in_no_part(town, one_scene, tmp_path, capsys, monkeypatch):
    dark = one_scene[0].labelled & (np.arange(one_scene[0].shape[1]) < 6)
    image = Raster(np.where(dark, -1.0, 1.0)[None], nodata=-1.0)
    scenes = [replace(one_scene[0], rasters={"image": image}), *one_scene[1:]]
    monkeypatch.setattr(SOURCES.get(town), "load", lambda self, rasters=True: scenes)
    out = tmp_path / "official.npz"
    assert main(["make", town, "--split", "official", "--out", str(out)]) == 0
    assert f"{dark.sum():,} labelled pixels are left out" in capsys.readouterr().out
    assert not any((mask & dark).any() for mask in Split.read(out).masks[scenes[0].name].values())


def test_options_reach_the_maker(town, tmp_path):
    out = tmp_path / "counts.npz"
    assert (
        main(["make", town, "--split", "per_class", "--counts", "3", "4", "5", "6", "--out", str(out)]) == 0
    )
    labels = np.concatenate([s.labels.ravel() for s in SOURCES.build({"type": town}).load(rasters=False)])
    train = np.concatenate([parts["train"].ravel() for parts in Split.read(out).masks.values()])
    assert np.bincount(labels[train]).tolist() == [0, 3, 4, 5, 6]


def test_a_yaml_path_is_a_manifest(town, tmp_path, monkeypatch, capsys):
    source = SOURCES.build({"type": town})
    monkeypatch.setattr(SOURCES, "build", lambda config: source if config == manifest else None)
    manifest = {"type": "manifest", "path": str(tmp_path / "scene.yaml")}
    assert main(["audit", manifest["path"], "--split", "official", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["split"] == "official"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["town_of_tset", "--split", "official"], "did you mean 'town_of_test'"),
        (["town_of_test", "--split", "offical"], "did you mean 'official'"),
        (["town_of_test", "--split", "official", "--size", "4"], "unexpected keyword argument 'size'"),
        (["town_of_test", "--split", "absent.npz"], "absent.npz: no such file"),
    ],
)
def test_bad_input_writes_nothing(town, arguments, message, tmp_path):
    with pytest.raises(InputError, match=message):
        main(["make", *arguments, "--out", str(tmp_path / "out.npz")])
    assert not list(tmp_path.iterdir())
