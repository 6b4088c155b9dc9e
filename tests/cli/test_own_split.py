"""Other models on the split of a user's own scene."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from field_files import PLACE, few_polygons, write_labels, write_rasters
from tiny_rasters import write_raster
from toy_commands import REPOSITORY, refusal, train

from m3amba_zoo.cli.new import main as new
from m3amba_zoo.config import read_config
from m3amba_zoo.errors import InputError
from m3amba_zoo.splits import Split, load_scene_data
from m3amba_zoo.splits.scene_data import _load, _load_scenes

SHORT = ("--cfg-options", "train_cfg.max_epochs=1", "train_dataloader.dataset.windows_per_epoch=16")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with ``farm``, of two rasters, one of them with many bands."""
    files = tmp_path_factory.mktemp("files")
    labels = few_polygons()
    wide = np.random.default_rng(0).normal(0, 1, (40, *labels.shape)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(files)
        rasters = write_rasters(files, labels)
        write_raster(files / "hsi.tif", wide, PLACE)
        assert new(["scene", "farm", *rasters, "--labels", *write_labels(files, labels, "raster")]) == 0
    return files


@pytest.fixture(autouse=True)
def working_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)


@pytest.mark.parametrize("data", ["farm", "farm/scene.yaml"])
def test_a_recipe_takes_split_window_and_pretreatment_of_the_folder(data):
    config, own = read_config("mamba_hsi", data), read_config("farm/config.py")
    assert config.split == {"type": "file", "path": "farm/split.npz"}
    assert config.test_dataloader.dataset.source == {"type": "manifest", "path": "farm/scene.yaml"}
    for key in ("modalities", "window", "pretreatment"):
        assert config[key] == own[key]
    assert config.pretreatment["hsi"][1] == {"type": "PCA", "components": 30}


def copy_files(folder):
    shutil.copytree("farm", folder / "farm")
    for path in Path().glob("*.tif"):
        shutil.copy(path, folder)


def test_a_scene_alone_and_its_split_alone_do(tmp_path):
    copy_files(tmp_path)
    Path(tmp_path, "farm/config.py").unlink()
    assert read_config("lda", tmp_path / "farm").split.type == "file"
    Path(tmp_path, "farm/split.npz").unlink()
    assert read_config("lda", tmp_path / "farm").split.type == "blocks"


@pytest.mark.parametrize("model", ["convnext", "lda"])
def test_the_command_of_the_page_trains_on_it_and_says_so(model, capsys):
    page = (REPOSITORY / "docs/your_data.md").read_text()
    (command,) = re.findall(rf"^m3amba train {model} --data (\S+)", page, re.MULTILINE)
    assert command == "harbour"
    short = SHORT if model == "convnext" else ()
    assert train(model, "--data", "farm", "--work-dir", f"runs/{model}", *short) == 0
    said = capsys.readouterr().out
    assert "split: farm/split.npz" in said
    assert Split.read("farm/split.npz").name in said
    assert (
        f'"sha256": "{Split.read("farm/split.npz").sha256}"' in Path(f"runs/{model}/metrics.json").read_text()
    )


def test_labels_that_change_after_the_split_was_made_are_noticed(tmp_path, monkeypatch, caplog):
    copy_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    config = read_config("farm/config.py")
    data = config.source.to_dict(), config.split.to_dict()
    load_scene_data(*data)
    assert not caplog.records, "unchanged labels are passed over in silence"

    def change(row, label):
        _load_scenes.cache_clear()
        _load.cache_clear()
        with rasterio.open("labels.tif", "r+") as file:
            labels = file.read(1)
            labels[row : row + 2, 5:7] = label
            file.write(labels, 1)

    change(row=0, label=2)
    load_scene_data(*data)
    told = "split.npz: the labels of scene 'farm' have changed since the split was made"
    assert f"{told} ('rape' had 180 pixels and has 184)" in caplog.text
    change(row=5, label=0)
    with pytest.raises(InputError, match="carry no label; the labels of scene 'farm' have changed"):
        load_scene_data(*data)


def test_a_split_is_named_by_options():
    options = ["split.path=farm/split.npz", "split.type=file"]
    config = read_config("m3amba_demo", options=options)
    assert config.test_dataloader.dataset.split == {"type": "file", "path": "farm/split.npz"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--data", "farm/config.py"], "is the config of a whole training; .* such as --data farm$"),
        (["--data", "farm/split.npz"], "is a split; expected the folder of its scene"),
        (["--data", "runs"], "the folder has no scene.yaml"),
        (
            ["--data", "farm", "--cfg-options", "split=farm/split.npz"],
            "'split=farm/split.npz', expected split.type=file split.path=farm/split.npz",
        ),
        (
            ["--cfg-options", "split.type=farm/split.npz"],
            "expected split.type=file split.path=farm/split.npz",
        ),
    ],
)
def test_other_ways_are_refused_with_the_right_one(arguments, expected):
    Path("runs").mkdir(exist_ok=True)
    assert re.search(expected, refusal(train, "convnext", "--work-dir", "runs/none", *arguments))
