"""The Predictor: the same map as the test loop's, from files, for users who give the wrong ones too."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
import torch
from matplotlib.image import imread
from mmengine.config import Config
from rasterio.transform import from_origin
from safetensors.torch import save_file
from torch.utils.data import DataLoader, default_collate

from m3amba_zoo.cli.predict import main
from m3amba_zoo.datasets import SceneWindows, TrainWindows
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation import SceneMetric
from m3amba_zoo.inference import Predictor
from m3amba_zoo.models.weights import write_choice
from m3amba_zoo.registry import MODELS

DATA = {
    "source": {"type": "tiny", "scenes": 1},
    "split": {"type": "official"},
    "modalities": ("hsi", "sar"),
}
PLACE = from_origin(500_000, 4_000_000, 2, 2)
WINDOW = 8
CONFIG, WEIGHTS = "m3amba_tiny.py", "epoch_3.pth"
PREPROCESSOR = {"type": "RasterPreprocessor"}


def config(window=WINDOW):
    return {
        "model": {
            "type": "M3amba",
            "in_channels": {"hsi": 6, "sar": 2},
            "num_classes": 3,
            "embed_dim": 16,
            "window": window,
            "adapter": {"type": "LinearAdapter"},
            "neck": {"type": "CrossMamba", "depth": 1, "d_state": 4},
            "data_preprocessor": PREPROCESSOR,
        },
        "test_dataloader": {"dataset": {**DATA, "type": "SceneWindows", "window": window}},
    }


def build_model(settings):
    torch.manual_seed(0)
    model = MODELS.build(settings["model"])
    model.data_preprocessor.fit(*TrainWindows(**DATA, window=5, windows_per_epoch=1).training_pixels())
    for parameter in model.parameters():  # far enough from the initial weights for a map of all classes
        parameter.data += 0.2 * torch.randn_like(parameter)
    return model.eval()


def write_work_dir(folder, window=WINDOW):
    """Write what a training leaves behind, moved to another folder since."""
    folder.mkdir()
    settings = config(window)
    Config(settings).dump(folder / CONFIG)
    model = build_model(settings)
    torch.save({"state_dict": model.state_dict(), "meta": {"epoch": 3}}, folder / WEIGHTS)
    (folder / "last_checkpoint").write_text("/somewhere/else/epoch_3.pth")
    classes = [{"name": name, "color": [k, 2 * k, 200]} for k, name in enumerate(("a", "b", "c"))]
    (folder / "metrics.json").write_text(json.dumps({"per_class": classes}))
    return model


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training") / "work"
    write_work_dir(folder)
    return folder


def write_tif(path, data, nodata=None, **options):
    count, height, width = data.shape
    profile = {"crs": "EPSG:32617", "transform": PLACE, "nodata": nodata, **options}
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=data.dtype, **profile
    ) as file:
        file.write(data)
    return path


@pytest.fixture(scope="module")
def scene():
    return SceneWindows(**DATA, window=WINDOW).data.scenes[0]


@pytest.fixture
def files(scene, tmp_path):
    """The tiny scene's rasters as GeoTIFFs by modality."""
    return {
        name: str(write_tif(tmp_path / f"{name}.tif", raster.data, raster.nodata))
        for name, raster in scene.rasters.items()
    }


@torch.no_grad()
def class_map_of_the_test_loop(model, window, overlap, margin=0):
    dataset = SceneWindows(**DATA, window=window, overlap=overlap, mirror_small_scenes=True, margin=margin)
    metric = SceneMetric()
    metric.dataset_meta = dataset.metainfo
    for batch in DataLoader(dataset, batch_size=5, collate_fn=default_collate):
        metric.process(batch, model.test_step(batch))
    metric.evaluate(len(dataset))
    return metric.evaluation.class_maps["tiny0"]


@pytest.mark.parametrize(("window", "overlap"), [(8, 0.5), (8, 0.0), (5, 0.7), (32, 0.5)])
def test_the_map_is_that_of_the_test_loop(window, overlap, files, scene, tmp_path):
    model = write_work_dir(tmp_path / "work", window)
    expected = class_map_of_the_test_loop(model, window, overlap)
    assert set(np.unique(expected)) == {1, 2, 3}
    predictor = Predictor(tmp_path / "work", device="cpu")
    prediction = predictor.predict(files, overlap=overlap)
    np.testing.assert_array_equal(prediction.class_map, expected)
    assert prediction.crs == "EPSG:32617"
    assert prediction.transform == PLACE
    assert [entry.name for entry in prediction.classes] == ["a", "b", "c"]
    in_memory = predictor.predict(scene.rasters, overlap=overlap, batch_size=1)
    np.testing.assert_array_equal(in_memory.class_map, expected)


@pytest.mark.parametrize(("type", "patch"), [("S2ENet", 5), ("EndNet", 1)])
def test_the_map_of_a_patch_wise_model_is_that_of_the_test_loop(type, patch, files, tmp_path):
    settings, margin = config(), patch // 2
    common = {"in_channels": {"hsi": 6, "sar": 2}, "num_classes": 3}
    settings["model"] = {"type": type, **common, "patch": patch, "data_preprocessor": PREPROCESSOR}
    settings["test_dataloader"]["dataset"]["margin"] = margin
    model = build_model(settings)
    expected = class_map_of_the_test_loop(model, WINDOW, 0.3, margin=margin)
    assert len(np.unique(expected)) > 1
    Config(settings).dump(tmp_path / "config.py")
    save_file(model.state_dict(), tmp_path / "patches.safetensors")
    predictor = Predictor(tmp_path, device="cpu")
    rows = []
    prediction = predictor.predict(files, progress=lambda done, total: rows.append((done / 21, total / 21)))
    np.testing.assert_array_equal(prediction.class_map, expected)
    assert rows == [(0, 20), (8, 20), (12, 20), (20, 20)], (
        "3 windows cover 20 rows: overlap would change nothing"
    )


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_map_does_not_depend_on_the_batch(size, work_dir, scene):
    predictor = Predictor(work_dir, device="cpu")
    assert predictor.batch_size is None
    chosen = predictor.predict(scene.rasters, probabilities=True)
    assert predictor.batch_size == 4
    given = predictor.predict(scene.rasters, batch_size=size, probabilities=True)
    assert predictor.batch_size == size
    np.testing.assert_array_equal(given.class_map, chosen.class_map)
    np.testing.assert_allclose(given.probabilities, chosen.probabilities, atol=1e-3)  # they are float16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": "x"}, "batch_size is 'x', expected a whole number of windows"),
        ({"batch_size": True}, "batch_size is True, expected a whole number"),
        ({"batch_size": 0}, "batch_size is 0, expected a whole number of windows, at least 1"),
        ({"overlap": "a half"}, "overlap is 'a half', expected a number from 0 to below 1"),
        ({"overlap": float("nan")}, "overlap is nan, expected"),
        ({"speed": 3}, "speed is 3, expected best or balanced or fast"),
        ({"strict": "no"}, "strict is 'no', expected True or False"),
        ({"align": True}, "align is True, expected bilinear"),
        ({"grid": 0}, "grid is 0, expected the name of a modality"),
        ({"strips": 4}, "no option 'strips'; did you mean 'strict'"),
        ({"views": 4}, "no option 'views'; expected overlap, speed"),
        ({"progress": 3}, "progress is 3, expected a function"),
        ({"probabilities": "all"}, "probabilities is 'all', expected True or False"),
    ],
)
def test_an_option_of_another_type_is_told_by_name(options, message, work_dir, scene):
    with pytest.raises(InputError, match=message):
        Predictor(work_dir).predict(scene.rasters, **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beside": 3}, "beside is 3, expected names of outputs"),
        ({"beside": "pictures"}, "no output 'pictures' beside a map"),
        ({"half": 1}, "half is 1, expected True or False"),
        ({"dask": 2}, "dask is 2, expected local"),
        ({"probabilities": True}, "no option 'probabilities'"),
    ],
)
def test_so_is_one_of_a_map(change, message, work_dir, scene, tmp_path):
    with pytest.raises(InputError, match=message):
        Predictor(work_dir).predict_map(scene.rasters, tmp_path / "map.tif", **change)
    assert not list(tmp_path.iterdir())


def test_other_things_than_rasters_and_models_are_named(work_dir, scene):
    predictor = Predictor(work_dir)
    with pytest.raises(InputError, match="rasters is list, expected a dict of rasters by modality"):
        predictor.predict([scene.rasters["hsi"].data])
    last = {**scene.rasters, "hsi": np.moveaxis(scene.rasters["hsi"].data, 0, -1)}
    with pytest.raises(InputError, match=r"seems to be \(rows, columns, bands\); .*moveaxis\(array, -1, 0\)"):
        predictor.predict(last)
    with pytest.raises(InputError, match="name_or_path is 3, expected the name of a published model"):
        Predictor(3)
    with pytest.raises(InputError, match=r"device is 3\.5; cpu or cuda"):
        Predictor(work_dir, device=3.5)


def fail_beyond(windows, predictor, error):
    """Let a model raise an error on batches of more windows; return the sizes of those that it gets."""
    tried, test_step = [], predictor.model.test_step

    def step(data):
        tried.append(len(data["inputs"]["hsi"]))
        if tried[-1] > windows:
            raise error
        return test_step(data)

    predictor.model.test_step = step
    return tried


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
        RuntimeError("not enough memory: you tried to allocate 9 bytes"),
    ],
    ids=["cuda", "cpu", "windows"],
)
def test_without_enough_memory_the_batch_is_halved(error, work_dir, scene):
    predictor = Predictor(work_dir, device="cpu")
    expected = predictor.predict(scene.rasters)
    tried = fail_beyond(3, predictor, error)
    found = predictor.predict(scene.rasters, batch_size=9)
    np.testing.assert_array_equal(found.class_map, expected.class_map)
    assert predictor.batch_size == 2
    assert tried[:2] == [5, 2], "there are 5 windows in a row of windows"
    assert max(tried[1:]) == 2, "what failed once is not tried again"


@pytest.mark.parametrize(
    ("error", "most"), [(torch.cuda.OutOfMemoryError("CUDA out of memory"), 1), (RuntimeError("other"), 4)]
)
def test_other_errors_and_windows_too_large_for_the_memory_are_raised(error, most, work_dir, scene):
    predictor = Predictor(work_dir, device="cpu")
    tried = fail_beyond(0, predictor, error)
    with pytest.raises(RuntimeError, match=str(error)):
        predictor.predict(scene.rasters)
    assert set(tried) == ({4, 1} if most == 4 else {4, 2, 1}), "a row of windows has 4 and 1"


def test_a_folder_with_config_and_safetensors_serves_too(work_dir, files, tmp_path):
    Config(config()).dump(tmp_path / "config.py")
    save_file(build_model(config()).state_dict(), tmp_path / "m3amba-12345678.safetensors")
    save_file({"logits": torch.zeros(1)}, tmp_path / "golden.safetensors")
    card = Predictor(tmp_path, device="cpu")
    trained = Predictor.from_files(work_dir / "m3amba_tiny.py", work_dir / "epoch_3.pth", device="cpu")
    expected = trained.predict(files).class_map
    np.testing.assert_array_equal(card.predict(files).class_map, expected)
    assert card.classes[2].name == "class 3"


def test_the_weights_are_taken_that_the_training_chose(tmp_path):
    model = write_work_dir(tmp_path / "work")
    for parameter in model.parameters():
        parameter.data.zero_()
    torch.save({"state_dict": model.state_dict()}, tmp_path / "work" / "best_oa_epoch_2.pth")
    for file, zero in (("best_oa_epoch_2.pth", True), ("epoch_3.pth", False)):
        write_choice(tmp_path / "work", tmp_path / "work" / file, "a rule")
        chosen = Predictor(tmp_path / "work", device="cpu")
        assert any(parameter.any() for parameter in chosen.model.parameters()) != zero


def test_probabilities_agree_with_the_map_and_pixels_without_data_stay_empty(work_dir, files, tmp_path):
    with rasterio.open(files["hsi"], "r+") as file:
        hsi = file.read()
        hsi[:, 3:6, 4] = -9999
        file.write(hsi)
    with rasterio.open(files["sar"], "r+") as file:
        sar = file.read()
        sar[:, 4:9, 4] = -32768
        file.nodata = -32768
        file.write(sar)
    prediction = Predictor(work_dir, device="cpu").predict(files, probabilities=True)
    empty = np.zeros(hsi.shape[1:], bool)
    empty[4:6, 4] = True
    np.testing.assert_array_equal(prediction.class_map == 0, empty)
    np.testing.assert_array_equal(np.isnan(prediction.probabilities).any(0), empty)
    np.testing.assert_allclose(prediction.probabilities[:, ~empty].sum(0), 1, atol=2e-3)
    best = np.sort(prediction.probabilities[:, ~empty], axis=0)
    clear = best[-1] > best[-2]  # float16 rounds near ties away
    likely = prediction.probabilities[:, ~empty].argmax(0) + 1
    np.testing.assert_array_equal(likely[clear], prediction.class_map[~empty][clear])


def without_sar_at_the_left(files):
    """Let the radar image miss five columns; return which pixels of the map are theirs."""
    with rasterio.open(files["sar"], "r+") as file:
        sar = file.read()
        sar[:, :, :5] = -32768
        file.nodata = -32768
        file.write(sar)
    left = np.zeros(sar.shape[1:], bool)
    left[:, :5] = True
    return left


def test_pixels_that_lack_a_modality_are_told_and_left_empty_if_it_is_needed(work_dir, files, caplog):
    predictor, left = Predictor(work_dir, device="cpu"), without_sar_at_the_left(files)
    unseen = np.argwhere(predictor.predict(files, speed="fast").class_map == 0).tolist()
    assert unseen == [[0, 0]], "which lacks both"
    assert "'sar' is missing at 23.6 % (99 of 419) of the pixels" in caplog.text
    assert "'predict --need sar' leaves them empty" in caplog.text
    assert "in training" not in caplog.text, "nothing is known of that"
    for need in ("all", ["sar"]):
        caplog.clear()
        found = predictor.predict(files, speed="fast", need=need)
        np.testing.assert_array_equal(found.class_map == 0, left)
        assert found.tags["WITHOUT_SAR"] == "23.6 % (99 of 419), left empty"
        assert "(99 of 419) of the pixels, left empty" in caplog.text
    assert (predictor.predict(files, speed="fast", need="hsi").class_map > 0).sum() == 419
    with pytest.raises(InputError, match="need: 'dsm', expected all, or of hsi, sar"):
        predictor.predict(files, need="dsm")


def test_what_is_left_of_a_map_is_not_gone_on_with_if_a_modality_is_needed(work_dir, files, tmp_path):
    left = without_sar_at_the_left(files)
    rasters = [f"--raster={name}={path}" for name, path in files.items()]

    def stop(done, total):
        if done:
            raise KeyboardInterrupt

    predictor, out = Predictor(work_dir, device="cpu"), tmp_path / "map.tif"
    with pytest.raises(KeyboardInterrupt):
        predictor.predict_map(files, out, progress=stop)
    with pytest.raises(KeyboardInterrupt):
        predictor.predict_map(files, out, progress=stop, need="all")
    assert main([str(work_dir), *rasters, "--out", str(out), "--need", "all"]) == 0
    predictor.predict_map(files, tmp_path / "whole.tif", need="all")
    assert out.read_bytes() == (tmp_path / "whole.tif").read_bytes()
    with rasterio.open(out) as file:
        np.testing.assert_array_equal(file.read(1) == 0, left)
        assert (file.tags()["NEEDED"], file.tags()["WITHOUT_SAR"][:6]) == ("hsi, sar", "23.6 %")


def test_the_command_writes_map_and_probabilities(work_dir, files, tmp_path, capsys):
    rasters = [f"--raster={name}={path}" for name, path in files.items()]
    out, probabilities, picture = tmp_path / "map.tif", tmp_path / "p.tif", tmp_path / "map.png"
    assert main([str(work_dir), *rasters, "--out", str(out), "--probabilities", str(probabilities)]) == 0
    assert f"wrote {out}" in capsys.readouterr().out
    assert main([str(work_dir), *rasters, "--out", str(picture)]) == 0
    with rasterio.open(out) as file, rasterio.open(probabilities) as of_classes:
        class_map, percent = file.read(1), of_classes.read()
        assert (file.crs, file.transform) == ("EPSG:32617", PLACE)
    of_class = np.take_along_axis(percent, class_map[None].astype(int) - 1, axis=0)[0]
    np.testing.assert_array_equal(of_class, percent.max(0))
    shown = np.round(imread(picture)[..., :3] * 255).astype(int).reshape(-1, 3)
    for number in np.unique(class_map):  # in the map and in the legend
        assert (shown == (number - 1, 2 * (number - 1), 200)).all(1).sum() > 100


INFINITE = np.full((2, 20, 21), 1.0, np.float32)
INFINITE[1, 17, 2] = np.inf


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"sar": None},
            r"modality 'sar' is missing; the model was trained on hsi \(6 bands\), sar \(2",
        ),
        ({"dsm": INFINITE}, "the model has no modality 'dsm'; it was trained on hsi"),
        ({"sar": INFINITE[:1]}, r"sar\.tif: has 1 bands .* but those of 'sar' in training are 2"),
        ({"sar": INFINITE[:, 1:]}, r"hsi\.tif and .*sar\.tif are 20 x 21 and 19 x 21 pixels"),
        ({"sar": INFINITE}, r"sar\.tif: band 1 of 'sar' holds 1 values .* \(the first at row 17, column 2"),
        ({"sar": "gone.tif"}, r"gone\.tif: no such file"),
    ],
)
def test_bad_rasters_are_named_and_nothing_is_written(change, message, work_dir, files, tmp_path):
    for modality, given in change.items():
        path = tmp_path / f"{modality}.tif"
        if given is None:
            del files[modality]
            continue
        files[modality] = given if isinstance(given, str) else str(write_tif(path, given))
    rasters = [f"--raster={name}={path}" for name, path in files.items()]
    with pytest.raises(InputError, match=message):
        main([str(work_dir), *rasters, "--out", str(tmp_path / "map.tif")])
    assert not list(tmp_path.glob("map*"))


def test_values_in_another_unit_than_the_training_s_are_warned_about(work_dir, scene, caplog):
    predictor = Predictor(work_dir, device="cpu")  # without a record of the bands; the weights know them
    predictor.predict(scene.rasters)
    assert "the median of band" not in caplog.text
    rasters = {**scene.rasters, "hsi": scene.rasters["hsi"].data + 1e5}
    predictor.predict(rasters)
    assert "the median of band" in caplog.text
    with pytest.raises(InputError, match=r"the array of 'hsi': the median of band . is .* in 6 of 6 bands"):
        predictor.predict(rasters, strict=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "nowhere/map.tif"], "nowhere/map.tif: cannot be written, there is no folder"),
        (["--out", "map.jpg"], r"map\.jpg: .* its name should end in \.tif or \.tiff or \.png"),
        (["--out", "map.tif", "--probabilities", "p.png"], r"p\.png: .*should end in \.tif"),
        (["--out", "map.tif", "--overlap", "1"], "overlap is 1.0, expected a number from 0 to below 1"),
        (["--out", "hsi.tif"], r"hsi\.tif: cannot be written, it is an input or another output"),
        (["--out", "map.tif", "--probabilities", "map.tif"], r"map\.tif: cannot be written, it is an input"),
        (["--out", "map.tif", "--scale", "x"], "--scale: 'x', expected a number"),
        (["--out", "map.tif", "--scale", "-1e-3", "--offset", "-inf"], "states the offset -inf; a number"),
        (["--out", "map.tif", "--bands", "hsi=5-2"], "--bands has '5-2'; a list of band numbers"),
        (["--out", "map.tif", "--raster", "hsi"], "--raster: 'hsi', expected MODALITY=FILE"),
        (["--out", "map.tif", "--raster", "hsi=b.tif"], r"'hsi' is given twice \(.*hsi\.tif and b\.tif\)"),
    ],
)
def test_bad_options_are_named(options, message, work_dir, files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rasters = [f"--raster={name}={path}" for name, path in files.items()]
    with pytest.raises(InputError, match=message):
        main([str(work_dir), *rasters, *options])
    assert not list(tmp_path.glob("map*"))


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        (CONFIG, Path.unlink, r"holds no config \(\*\.py\); a work dir of 'm3amba train' is"),
        ("last_checkpoint", Path.unlink, "holds no weights; a work dir"),
        (WEIGHTS, Path.unlink, "last_checkpoint: names /somewhere/else/epoch_3.pth, which"),
        (WEIGHTS, lambda file: file.write_bytes(b"PK\x03\x04 and no more"), "not a checkpoint"),
        (WEIGHTS, lambda file: torch.save({"state_dict": SimpleNamespace()}, file), "pickled types"),
        (CONFIG, lambda file: Config({"a": 1}).dump(file), "has no 'model'"),
        (CONFIG, lambda file: file.write_text("model = dict("), "the config cannot be read: SyntaxError"),
        (
            CONFIG,
            lambda file: Config({"model": {**config()["model"], "num_classes": 4}}).dump(file),
            r"does not fit the config: 'heads.*' is \(3, .* in the checkpoint and \(4, .* in the model",
        ),
        ("metrics.json", lambda file: file.write_text("{}"), "names 0 classes, but the model has 3"),
    ],
)
def test_a_folder_that_is_no_work_dir_is_named(file, damage, message, tmp_path):
    write_work_dir(tmp_path / "work")
    damage(tmp_path / "work" / file)
    with pytest.raises(InputError, match=message):
        Predictor(tmp_path / "work")
