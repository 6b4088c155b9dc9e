"""Trainings on scenes where a class, a band or a pixel lacks data."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_runs

from m3amba_zoo.cli.train import main as train
from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters import Raster
from m3amba_zoo.registry import SOURCES

WARNING = "next to no data of a class in a modality: 'sar' at 0 of 54 training pixels of 'water'"
CONFIGS = Path(__file__).parents[2] / "configs"


@SOURCES.register_module(name="dry")
class Dry(SOURCES.get("tiny")):
    """Tiny scenes whose `sar` has no data over water; no raster shows three of their pixels."""

    def _scene(self, index, rasters):
        scene = super()._scene(index, rasters)
        if not rasters:
            return scene
        hsi, sar = (scene.rasters[m].data.copy() for m in ("hsi", "sar"))
        sar[:, scene.labels == 1] = -1
        hsi[:, [0, 19], 1] = -9999
        return replace(scene, rasters={"hsi": Raster(hsi, nodata=-9999), "sar": Raster(sar, nodata=-1)})


@SOURCES.register_module(name="empty_bands")
class EmptyBands(SOURCES.get("tiny")):
    """Tiny scenes of 224 bands, of which six have no data anywhere, as in EnMAP's products."""

    def __init__(self, **options) -> None:
        super().__init__(bands=224, scenes=1, **options)

    def _scene(self, index, rasters):
        scene = super()._scene(index, rasters)
        hsi = scene.rasters["hsi"]
        hsi.data[127:133] = -9999
        known = replace(hsi, wavelengths=np.linspace(420, 2450, 224))
        return replace(scene, rasters={**scene.rasters, "hsi": known})


def run(folder, text, *options):
    config = folder / "run.py"
    config.write_text(text)
    train([str(config), "--work-dir", str(folder / "work"), *options])
    return json.loads((folder / "work/metrics.json").read_text())


def network(source, **changes):
    """The config of the tiny runs with another source and other text."""
    text = tiny_runs.CONFIG
    for before, after in {'dict(type="tiny", scenes=1)': source, **changes}.items():
        assert before in text
        text = text.replace(before, after)
    return text


def recall(record, name="water"):
    return next(entry["accuracy"] for entry in record["per_class"] if entry["name"] == name)


def test_a_class_without_data_in_a_modality_is_recognised_by_the_others(tmp_path, capfd):
    record = run(tmp_path, network("dict(type='dry', scenes=1)", **{"max_epochs=3": "max_epochs=6"}))
    shown = capfd.readouterr()
    assert recall(record) > 0.5
    assert record["oa"] > 0.8
    assert shown.out.count("3 labelled pixels are left out, no raster shows them") == 1
    assert (shown.out + shown.err).count(WARNING) == 1
    assert record["split"]["pixels"]["test"] == 8 * 21 - 1 == record["pixels"]


@pytest.mark.parametrize("name", ["ShrinkageLDA", "RandomForest"])
def test_so_it_is_by_a_classical_classifier(name, tmp_path, capfd):
    text = (
        f"_base_ = ['{CONFIGS}/_base_/default_runtime.py']\n"
        "test_dataloader = dict(dataset=dict(type='SceneWindows', source=dict(type='dry', scenes=1), "
        "split=dict(type='official'), modalities=('hsi', 'sar')))\n"
        f"classifier = dict(type='{name}')\n"
    )
    record = run(tmp_path, text)
    shown = capfd.readouterr().out
    assert recall(record) > 0.9
    assert shown.count(f"warning: {WARNING}") == 1
    assert "3 labelled pixels are left out" in shown


def test_bands_that_are_empty_by_design_are_left_out_on_request(tmp_path):
    steps_before = (
        'hsi=[dict(type="UnitNorm"), dict(type="PCA", components=4)]',
        'hsi=[dict(type="UnitNorm"), dict(type="Standardize")]',
    )
    changes = {"hsi=6": "hsi=224", **dict.fromkeys(steps_before, "hsi=STEPS")}
    text = network("dict(type='empty_bands')", **changes)
    steps = 'dict(type="Standardize"), dict(type="PCA", components=4)'
    with pytest.raises(InputError, match=r"band 127 \(1576 nm\) to 132 \(1622 nm\) of 'hsi'") as caught:
        run(tmp_path, text.replace("STEPS", f"[{steps}]"))
    step = str(caught.value).partition(" with ")[2]
    assert step == "dict(type='SelectBands', drop=[(127, 132)])"
    record = run(tmp_path, text.replace("STEPS", f"[{step}, {steps}]"))
    assert record["oa"] > 0.8
