"""``m3amba test MODEL --scene``: a trained model scored on another scene than its own."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from field_files import CROPS, NM, PLACE, few_polygons, write_labels, write_rasters
from tiny_rasters import write_raster

from m3amba_zoo.cli.new import main as new
from m3amba_zoo.cli.test import main as check
from m3amba_zoo.cli.train import main as train
from m3amba_zoo.errors import InputError
from m3amba_zoo.inference import Predictor
from m3amba_zoo.splits import scene_data


def small():
    """Label nine squares; those of one column are of one class."""
    return few_polygons((60, 70), count=9, columns=3)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A scene and a model of it, trained for a moment."""
    folder = tmp_path_factory.mktemp("home")
    labels = small()
    files = [*write_rasters(folder, labels), "--labels", *write_labels(folder, labels, "gpkg")]
    short = ["--epochs", "2", "--windows-per-epoch", "48", "--batch-size", "16"]
    new(["scene", str(folder / "farm"), *files, *short])
    train([str(folder / "farm/config.py"), "--work-dir", str(folder / "model")])
    return folder


@pytest.fixture
def other(home, tmp_path, monkeypatch):
    """Another scene of the same classes, in a folder of its own; returns the content of its scene.yaml."""
    monkeypatch.chdir(tmp_path)
    labels = np.fliplr(small())
    write_rasters(tmp_path, labels)  # of the same spectra
    write_raster(tmp_path / "labels.tif", labels[None], PLACE)
    return {
        "name": "quay",
        "modalities": {"sar": {"path": "sar.tif"}, "hsi": {"path": "hsi.tif"}},
        "labels": {"path": "labels.tif"},
        "classes": [{"name": name, "values": [value]} for value, name in enumerate(CROPS, start=1)],
    }


def scored(home, document, *options, folder="out"):
    Path("quay.yaml").write_text(yaml.safe_dump(document))
    arguments = ["--scene", "quay.yaml", "--work-dir", folder, *options]
    assert check([str(home / "model"), *arguments]) == 0
    return json.loads(Path(folder, "scene_metrics.json").read_text())


def test_all_labelled_pixels_are_scored_against_the_map(home, other, capsys):
    before = {path: path.read_bytes() for path in (home / "model").rglob("*") if path.is_file()}
    found = scored(home, other)
    assert "model, trained on farm, is scored on another scene: quay (quay.yaml)" in capsys.readouterr().out
    with rasterio.open("out/maps/quay.tif") as file:
        predicted = file.read(1)
    labels = np.fliplr(small())
    expected = [[int(((labels == a) & (predicted == b)).sum()) for b in (1, 2, 3)] for a in (1, 2, 3)]
    assert found["confusion"] == expected
    assert found["oa"] == np.trace(expected) / np.sum(expected) > 0.5
    assert found["pixels"] == (labels > 0).sum()
    assert [entry["name"] for entry in found["per_class"]] == list(CROPS)
    assert (found["dataset"], found["model"]["trained_on"]) == ("quay", "farm")
    assert "another scene" in found["scored"]
    assert sorted(path.name for path in Path("out").iterdir()) == ["map.png", "maps", "scene_metrics.json"]
    assert {path: path.read_bytes() for path in (home / "model").rglob("*") if path.is_file()} == before


def test_the_map_is_that_of_predict(home, other):
    from m3amba_zoo.cli.predict import main as predict

    scored(home, other)
    predict([str(home / "model"), "--raster", "hsi=hsi.tif", "--raster", "sar=sar.tif", "--out", "map.tif"])
    with rasterio.open("out/maps/quay.tif") as mine, rasterio.open("map.tif") as theirs:
        np.testing.assert_array_equal(mine.read(1), theirs.read(1))


def test_classes_are_compared_by_name_and_bands_by_wavelength(home, other, capsys):
    straight = scored(home, other)
    other["classes"] = [
        {"name": "Wheat ", "values": [3]},
        {"name": "straw", "values": [9]},  # without a pixel
        {"name": "MAIZE", "values": [1]},
        {"name": "rape", "values": [2]},
    ]
    with rasterio.open("hsi.tif") as file:
        data, tags = file.read(), [file.tags(band) for band in (4, 3, 2, 1)]
    write_raster(Path("hsi.tif"), data[::-1].copy(), PLACE)
    with rasterio.open("hsi.tif", "r+") as file:
        for band, of_band in enumerate(tags, start=1):
            file.update_tags(band, **of_band)
    assert "another order" not in capsys.readouterr().out
    assert scored(home, other)["confusion"] == straight["confusion"]
    assert "classes stand in another order than the model's; they are compared" in capsys.readouterr().out
    other["classes"].pop(0)
    other["labels"]["unlabelled"] = [0, 3]
    found = scored(home, other)
    assert found["classes_absent"] == ["wheat"]
    assert found["confusion"][:2] == straight["confusion"][:2]
    assert "classes of the model without a labelled pixel here: wheat" in capsys.readouterr().out


def test_pixels_that_no_raster_shows_are_left_out(home, other, capsys):
    labels = np.fliplr(small())
    for name in ("hsi", "sar"):
        with rasterio.open(f"{name}.tif", "r+") as file:
            data = file.read()
            data[:, :12] = 0
            file.write(data)
        other["modalities"][name]["nodata"] = 0
    found = scored(home, other)
    assert found["pixels"] == (labels[12:] > 0).sum()
    assert found["unseen_pixels"] == (labels[:12] > 0).sum() > 0
    assert f"{found['unseen_pixels']:,} labelled pixels are left out" in capsys.readouterr().out


def test_the_folder_is_named_after_both_and_an_earlier_result_is_replaced(home, other):
    Path("quay.yaml").write_text(yaml.safe_dump(other))
    for _ in range(2):
        check([str(home / "model"), "--scene", "quay.yaml"])
    (folder,) = Path("work_dirs").iterdir()
    assert folder.name == "model_on_quay"


def test_a_config_and_a_checkpoint_will_do(home, other):
    straight = scored(home, other)
    Path("weights").mkdir()
    shutil.copy(home / "model/epoch_2.pth", "weights")
    shutil.copy(home / "model/metrics.json", "weights")
    arguments = [
        str(home / "model/config.py"),
        "weights/epoch_2.pth",
        "--scene",
        "quay.yaml",
        "--work-dir",
        "b",
    ]
    assert check(arguments) == 0
    assert json.loads(Path("b/scene_metrics.json").read_text())["confusion"] == straight["confusion"]


def with_wavelengths(centres, data):
    """Write ``hsi.tif`` anew with other bands."""
    write_raster(Path("hsi.tif"), data, PLACE)
    with rasterio.open("hsi.tif", "r+") as file:
        for band, centre in enumerate(centres, start=1):
            file.update_tags(band, wavelength=str(centre), wavelength_units="nm")


def test_other_bands_are_matched_or_named_as_in_predict(home, other, capsys):
    straight = scored(home, other)
    with rasterio.open("hsi.tif") as file:
        data = file.read()
    finer = np.sort([*NM, 500, 600, 700, 800])
    spectra = np.apply_along_axis(lambda pixel: np.interp(finer, NM, pixel), 0, data)
    with_wavelengths(finer + 20, spectra.astype(np.uint16))
    with pytest.raises(InputError, match=r"hsi\.tif: its bands have .*--bands.* --match-bands"):
        scored(home, other)
    outside = r"1 of 4 bands of 450-860 nm lie outside .*; or a training on the bands .*--bands .*--init-from"
    with pytest.raises(InputError, match=outside):
        scored(home, other, "--match-bands")
    numbers = ",".join(str(list(finer).index(centre)) for centre in NM)
    for option in (f"hsi={numbers}", f"hsi={numbers[::-1]}"):
        found = scored(home, other, "--bands", option)
        assert (found["confusion"] == straight["confusion"]) == (option == f"hsi={numbers}")
    with_wavelengths(np.arange(435, 870, 60), spectra.astype(np.uint16))
    scored(home, other, "--match-bands")
    with rasterio.open("out/maps/quay.tif") as file:
        assert file.tags()["RESAMPLED_HSI"] == "8 bands of 435-855 nm resampled to 4 bands of 450-860 nm"
    with pytest.raises(InputError, match=r"--bands: 'lidar=0' is for 'lidar', but the rasters are hsi, sar"):
        scored(home, other, "--bands", "lidar=0")
    with pytest.raises(InputError, match=r"--match-bands: is for another scene's .* with --scene"):
        check([str(home / "model"), "--match-bands"])


def test_a_training_that_is_not_finished_is_named_so(home, other):
    shutil.copytree(home / "model", "young")
    Path("young/metrics.json").unlink()
    Path("quay.yaml").write_text(yaml.safe_dump(other))
    with pytest.raises(InputError, match=r"young: this training is not finished, metrics\.json is missing"):
        check(["young", "--scene", "quay.yaml"])
    assert not Path("work_dirs").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"classes": [{"name": n, "values": [v]} for v, n in enumerate(("maize", "rape", "wheet"), 1)]},
            r"know class 'wheet' \(108 labelled pixels\); its classes are maize, rape, wheat \(did you mean",
        ),
        (
            {"modalities": {"hsi": {"path": "hsi.tif"}}},
            "has the modalities hsi, but the model reads hsi, sar",
        ),
        ({"modalities": {"hsi": {"path": "sar.tif"}, "sar": {"path": "sar.tif"}}}, "has 2 bands"),
    ],
)
def test_what_does_not_fit_is_refused(home, other, change, message):
    with pytest.raises(InputError, match=message) as caught:
        scored(home, {**other, **change})
    assert "\n" not in str(caught.value)
    assert not Path("out").exists()


def test_another_scene_of_the_same_name_does_not_train_over_the_first(home, other):
    Path("farm").mkdir()
    for name in ("config.py", "split.npz"):
        shutil.copy(home / "farm" / name, "farm")
    text = (home / "farm/scene.yaml").read_text().replace("../", f"{home}/")
    Path("farm/scene.yaml").write_text(text)
    with pytest.raises(
        InputError, match=r"model: holds the run of .*/farm/scene\.yaml; give another --work-dir"
    ):
        train(["farm/config.py", "--work-dir", str(home / "model")])


def test_nothing_of_the_training_is_replaced(home, other):
    Path("quay.yaml").write_text(yaml.safe_dump(other))
    with pytest.raises(InputError, match=r"holds .*, not only earlier results on another scene"):
        check([str(home / "model"), "--scene", "quay.yaml", "--work-dir", str(home / "model")])
    with pytest.raises(InputError, match="is the scene that the model was trained on"):
        check([str(home / "model"), "--scene", str(home / "farm/scene.yaml")])
    copied = (home / "farm/scene.yaml").read_text().replace("../", f"{home}/")
    Path("copy.yaml").write_text(copied)
    with pytest.raises(InputError, match=r"copy\.yaml: is the scene that the model was trained on"):
        check([str(home / "model"), "--scene", "copy.yaml"])
    with pytest.raises(
        InputError, match="--cfg-options: a model is scored on another scene as it was trained"
    ):
        check([str(home / "model"), "--scene", "quay.yaml", "--cfg-options", "window=8"])
    with pytest.raises(InputError, match="CHECKPOINT is missing"):
        check([str(home / "model")])
    assert not Path("work_dirs").exists()


@pytest.fixture
def rewritten(home):
    """Return a function that gives the classes of the training's own scene.yaml other names, in order."""
    path = home / "farm/scene.yaml"
    before = path.read_text()

    def rewrite(names):
        document = yaml.safe_load(before)
        known = {entry["name"]: entry for entry in document["classes"]}
        kept = [{"values": [entry["name"]], **entry} for entry in document["classes"]]
        document["classes"] = [
            {**known[name], "values": [name]} if name in known else {**kept[place], "name": name}
            for place, name in enumerate(names)
        ]
        write(yaml.safe_dump(document))

    def write(text):
        path.write_text(text)
        for cached in (scene_data._load, scene_data._load_scenes):
            cached.cache_clear()

    yield rewrite
    write(before)


@pytest.fixture
def copy(home, tmp_path, monkeypatch):
    """The model's work dir, to be changed."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(home / "model", "copy")
    return str(home / "farm/config.py"), Path("copy/epoch_2.pth"), "--work-dir", "copy"


@pytest.mark.parametrize("has_results", [True, False])
def test_classes_in_another_order_do_not_relabel_a_trained_model(copy, rewritten, has_results):
    rewritten(["rape", "maize", "wheat"])
    if not has_results:
        Path("copy/metrics.json").unlink()
    both = "with the classes maize, rape, wheat, but farm has rape, maize, wheat; expected their order"
    with pytest.raises(InputError, match=rf"epoch_2\.pth: was trained {both}"):
        check([*map(str, copy)])
    config, _, *folder = copy
    with pytest.raises(InputError, match=rf"epoch_2\.pth: was trained {both}"):
        train([config, *folder, "--resume"])


def test_a_class_can_be_renamed(copy, rewritten):
    rewritten(["corn", "rape", "wheat"])
    arguments, results = [*map(str, copy)], Path("copy/metrics.json")
    before = json.loads(results.read_text())
    with pytest.raises(InputError, match=r"but farm has corn, rape, wheat; .* --renamed OLD=NEW says"):
        check(arguments)
    with pytest.raises(InputError, match="--renamed: no class is named 'oats'"):
        check([*arguments, "--renamed", "oats=corn"])
    assert check([*arguments, "--renamed", "maize=corn"]) == 0
    found = json.loads(results.read_text())
    assert [entry["name"] for entry in found["per_class"]] == ["corn", "rape", "wheat"]
    assert found["confusion"] == before["confusion"]
    assert [entry.name for entry in Predictor("copy").classes] == ["corn", "rape", "wheat"]


def test_what_is_said_of_a_classical_classifier_holds_for_it(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = ["--raster", f"hsi={home / 'hsi.tif'}", "--labels", str(next(home.glob("*.gpkg"))) + ":crop"]
    new(["scene", "field", *files, "--model", "lda"])
    train(["field/config.py", "--work-dir", "lda"])
    with pytest.raises(
        InputError, match=r"would be scored; lda/metrics\.json has the scores of its test part"
    ):
        check(["lda", "--scene", "field/scene.yaml"])
    with pytest.raises(InputError, match=r"ShrinkageLDA is scored when it is fitted \('m3amba train field/c"):
        check(["field/config.py", "lda/classifier.safetensors"])
