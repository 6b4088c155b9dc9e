"""From a work dir to a file that runs elsewhere; what cannot be exported says why and leaves nothing."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from exported import check_parity, in_pytorch
from mmengine.config import Config
from rasterio.transform import from_origin
from safetensors.torch import save_file
from tiny_runs import train_run

from m3amba_zoo.cli.export import main
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.record import METRICS_FILE
from m3amba_zoo.export import export_model, exporter
from m3amba_zoo.hub import get_model
from m3amba_zoo.inference import Predictor
from m3amba_zoo.models import FUSED, WindowClassifier
from m3amba_zoo.registry import MODELS
from m3amba_zoo.scenes.scene import Raster
from m3amba_zoo.system import sha256_of

DOCS = Path(__file__).parents[2] / "docs" / "export.md"
SOURCE_FILE = rb"[\w/.]+\.py\b"
CRS, PLACE = "EPSG:32617", from_origin(500_000, 4_000_000, 2, 2)
ALONE = """
import runpy, sys
sys.modules.update(dict.fromkeys({}))  # what is None there cannot be imported
del sys.argv[0]
runpy.run_path(sys.argv[0])
"""


def run_without(packages, script, *arguments):
    """Run a script in a process that cannot import the packages."""
    code = ALONE.format(repr(packages))
    command = [sys.executable, "-c", code, str(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def work_dir():
    return train_run(0)


@pytest.fixture(scope="module")
def onnx_file(work_dir, tmp_path_factory):
    return export_model(work_dir, "onnx", tmp_path_factory.mktemp("onnx") / "model.onnx").path


@pytest.fixture(scope="module")
def scene():
    """Rasters of 19 x 21 pixels in their units by modality, one pixel missing in all bands."""
    generator = np.random.default_rng(0)
    hsi = generator.uniform(1000, 3000, (6, 19, 21)).astype(np.float32)
    sar = generator.integers(20, 200, (2, 19, 21)).astype(np.int16)
    hsi[:, 3, 4], sar[:, 3, 4], hsi[2, 9:, 7] = -9999, -1, -9999
    return {"hsi": Raster(hsi, nodata=-9999), "sar": Raster(sar, nodata=-1)}


@pytest.fixture(scope="module")
def files(scene, tmp_path_factory):
    folder, given = tmp_path_factory.mktemp("rasters"), {}
    for name, raster in scene.items():
        given[name] = folder / f"{name}.tif"
        bands, height, width = raster.data.shape
        profile = {"count": bands, "height": height, "width": width, "dtype": raster.data.dtype}
        profile |= {"crs": CRS, "transform": PLACE, "nodata": raster.nodata}
        with rasterio.open(given[name], "w", "GTiff", **profile) as file:
            file.write(raster.data)
    return given


def windows_of(scene, side):
    cut = {}
    for name, raster in scene.items():
        values = torch.from_numpy(raster.data[:, :side, :side].astype(np.float32))
        cut[name] = torch.where(values == raster.nodata, torch.nan, values)[None]
    return cut


def test_a_trained_model_in_onnxruntime(work_dir, onnx_file, scene):
    """With all eight views, prior, smoothing and expert."""
    check_parity(onnx_file, get_model(work_dir), windows_of(scene, 8))


def test_a_trained_model_in_torch_without_this_package(work_dir, scene, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([str(work_dir), "--to", "torch"]) == 0
    path = tmp_path / f"{work_dir.name}.pt2"
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"wrote {path.name} (")
    assert said[1].startswith("takes hsi (batch, 6, 8, 8), sar (batch, 2, 8, 8): float32")
    assert said[2] == "gives posteriors and logits, (batch, 3, 8, 8) each"
    assert not re.findall(SOURCE_FILE, path.read_bytes())
    windows = windows_of(scene, 8)
    torch.save(windows, tmp_path / "windows.pt")
    script = tmp_path / "use.py"
    script.write_text(
        "import json, sys, torch\n"
        "extra = {'m3amba_zoo.json': ''}\n"
        "program = torch.export.load(sys.argv[1], extra_files=extra).module()\n"
        "found = program(torch.load(sys.argv[2]))\n"
        "torch.save((found, json.loads(extra['m3amba_zoo.json'])), sys.argv[3])\n"
    )
    run_without(["m3amba_zoo"], script, path, tmp_path / "windows.pt", tmp_path / "found.pt")
    found, facts = torch.load(tmp_path / "found.pt")
    expected = in_pytorch(get_model(work_dir), windows)
    np.testing.assert_allclose(found["logits"], expected, atol=1e-4 * np.abs(expected).max())
    torch.testing.assert_close(found["posteriors"], found["logits"].softmax(1))
    weights = work_dir / json.loads((work_dir / "weights.json").read_text())["file"]
    assert facts["weights"] == {"file": weights.name, "sha256": sha256_of(weights)}
    assert facts["modalities"] == [
        {"name": "hsi", "bands": 6, "unit": "counts"},
        {"name": "sar", "bands": 2, "unit": "counts"},
    ]
    assert (facts["model"], facts["window"], facts["margin"]) == (work_dir.name, 8, 0)
    assert facts["classes"][0] == {"name": "water", "color": [0, 0, 255]}
    assert facts["package"].startswith("m3amba_zoo ")


def test_no_path_of_this_machine_is_in_the_file(onnx_file):
    assert not re.findall(SOURCE_FILE, onnx_file.read_bytes())


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The script of docs/export.md."""
    text = DOCS.read_text(encoding="utf-8").partition("<!-- example -->\n```python\n")[2].partition("```")[0]
    assert len(text.splitlines()) < 30
    path = tmp_path_factory.mktemp("example") / "map.py"
    path.write_text(text)
    return path


def check_example(example, onnx_file, folder, files, out):
    """Run the documented script without torch and this package; compare its map with the Predictor's."""
    given = [f"{name}={path}" for name, path in files.items()]
    run_without(["m3amba_zoo", "torch"], example, onnx_file, out, *given)
    expected = Predictor(folder, device="cpu").predict(files, overlap=0.5)
    with rasterio.open(out) as file:
        found, colors = file.read(1), file.colormap(1)
        assert (file.crs.to_string(), file.transform, file.nodata) == (CRS, PLACE, 0)
    assert len(np.unique(expected.class_map)) > 2
    assert found[3, 4] == 0
    assert (found == expected.class_map).mean() > 0.99  # but for ties
    assert [colors[k + 1] for k in range(3)] == [(*entry.color, 255) for entry in expected.classes]


def test_the_documented_script_makes_the_map(example, onnx_file, work_dir, files, tmp_path):
    check_example(example, onnx_file, work_dir, files, tmp_path / "map.tif")


def test_the_documented_script_applies_scale_and_offset_of_the_files(
    example, onnx_file, work_dir, files, scene, tmp_path
):
    path = tmp_path / "hsi.tif"
    numbers = np.where(scene["hsi"].data < 0, 0, (scene["hsi"].data - 500) / 0.25).astype(np.uint16)
    with rasterio.open(files["hsi"]) as like:
        profile = {**like.profile, "dtype": "uint16", "nodata": 0}
    with rasterio.open(path, "w", **profile) as file:
        file.write(numbers)
        file.scales, file.offsets = [0.25] * 6, [500] * 6
    check_example(example, onnx_file, work_dir, {**files, "hsi": path}, tmp_path / "map.tif")


def test_the_documented_script_with_a_patch_wise_model(example, files, tmp_path):
    """Its windows have a margin, and the exported window is smaller than that of the evaluation.

    Its training stated how a file is read.
    """
    stated = {"scale": 0.5, "offset": 10, "nodata": -1}
    inputs = {"hsi": {"count": 6}, "sar": {"count": 2, "stated": stated}}
    classes = [{"name": name, "color": [k, k, k]} for k, name in enumerate("abc")]
    (tmp_path / METRICS_FILE).write_text(json.dumps({"per_class": classes, "inputs": inputs}))
    plain = tmp_path / "sar.tif"
    with (
        rasterio.open(files["sar"]) as like,
        rasterio.open(plain, "w", **{**like.profile, "nodata": None}) as file,
    ):
        file.write(like.read())
    files = {**files, "sar": plain}
    shapes = {"in_channels": {"hsi": 6, "sar": 2}, "num_classes": 3}
    preprocessor = {"type": "RasterPreprocessor"}
    config = {"model": {"type": "S2ENet", **shapes, "patch": 5, "data_preprocessor": preprocessor}}
    dataset = {"type": "SceneWindows", "window": 18}
    Config({**config, "test_dataloader": {"dataset": dataset}}).dump(tmp_path / "config.py")
    torch.manual_seed(0)
    model = MODELS.build(config["model"])
    pixels = np.random.default_rng(1).normal(0, 1, (50, 8)).astype(np.float32)
    pixels = {"hsi": 2000 + 600 * pixels[:, :6], "sar": 65 + 25 * pixels[:, 6:]}
    model.data_preprocessor.fit(pixels, np.ones(50, np.int64))
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    path, facts = export_model(tmp_path, "onnx", tmp_path / "model.onnx")
    assert (facts["window"], facts["margin"]) == (16, 2)
    assert facts["modalities"][1] == {"name": "sar", "bands": 2, **stated}
    check_example(example, path, tmp_path, files, tmp_path / "map.tif")


class Untraceable(WindowClassifier):
    """A network whose layers depend on the values of its input."""

    def logits(self, inputs):
        x = inputs["hsi"]
        return {FUSED: x[:, :2] if x.sum().item() > 0 else x[:, 1:3]}


@pytest.fixture
def untraceable(tmp_path, monkeypatch):
    MODELS.register_module(name="Untraceable", module=Untraceable)
    folder = tmp_path / "untraceable"
    folder.mkdir()
    model = {"type": "Untraceable", "in_channels": {"hsi": 4}, "num_classes": 2}
    Config({"model": model, "test_dataloader": {"dataset": {"window": 6}}}).dump(folder / "config.py")
    save_file({"unused": torch.zeros(1)}, folder / "model.safetensors")
    monkeypatch.setattr("m3amba_zoo.hub.trained_model.load_weights", lambda *_: None)
    yield folder
    MODELS.module_dict.pop("Untraceable")


@pytest.mark.parametrize("to", ["onnx", "torch"])
def test_a_network_that_cannot_be_traced_says_why(to, untraceable, tmp_path):
    out = tmp_path / f"model{'.onnx' if to == 'onnx' else '.pt2'}"
    out.write_text("earlier")
    expected = rf"^untraceable: Untraceable cannot be exported to {to} \("
    with pytest.raises(InputError, match=expected) as raised:
        export_model(untraceable, to, out)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 450
    assert out.read_text() == "earlier"
    assert sorted(os.listdir(tmp_path)) == sorted([out.name, "untraceable"])


def test_classical_classifiers_are_refused(tmp_path):
    (tmp_path / METRICS_FILE).write_text(json.dumps({"model": {"name": "lda", "type": "ShrinkageLDA"}}))
    with pytest.raises(InputError, match="holds a ShrinkageLDA, but only networks are exported"):
        export_model(tmp_path, "onnx")


def test_outputs_that_cannot_be_written_are_refused_before_the_work(work_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(exporter, "trace", None)
    (tmp_path / "folder.onnx").mkdir()
    weights = work_dir / json.loads((work_dir / "weights.json").read_text())["file"]
    (tmp_path / "linked.onnx").symlink_to(weights)
    before = sha256_of(weights)
    for out, reason in (
        (tmp_path / "folder.onnx", "it is a folder"),
        (tmp_path / "model.pt2", "its name should end in .onnx"),
        (tmp_path / "nowhere" / "model.onnx", "there is no folder"),
        (tmp_path / "linked.onnx", "is a file of the model that is exported"),
        (weights, "is a file of the model that is exported"),
    ):
        with pytest.raises(InputError, match=reason):
            export_model(work_dir, "onnx", out)
    assert sha256_of(weights) == before


def test_what_is_not_installed_is_named(work_dir, monkeypatch):
    with pytest.raises(InputError, match="no format is called 'tflite'; expected onnx or torch"):
        export_model(work_dir, "tflite")
    monkeypatch.setattr(exporter, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(InputError, match=r"needs onnxscript, .* pip install 'm3amba_zoo\[export\]'"):
        export_model(work_dir, "onnx")
    monkeypatch.setattr(torch, "__version__", "2.7.1")
    with pytest.raises(InputError, match=r"export needs torch 2\.8 or newer, but 2\.7\.1 is installed"):
        export_model(work_dir, "torch")
