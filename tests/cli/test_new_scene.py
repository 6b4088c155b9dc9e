"""``m3amba new scene``: what it finds, what it decides, what it refuses."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from field_files import PLACE, few_polygons, large_fields, write_labels, write_rasters
from rasterio.transform import Affine
from tiny_rasters import pixel_box, write_polygons, write_raster

from m3amba_zoo.cli.new import main
from m3amba_zoo.config import read_config
from m3amba_zoo.config.shipped import baseline_configs, encoder_configs, leaf_configs, recipes
from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import CLASSIFIERS, MODELS
from m3amba_zoo.scenes.manifest import Manifest
from m3amba_zoo.splits import PARTS, Split, leaked_pixels, load_scene_data


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new(*arguments):
    return main(["scene", *map(str, arguments)])


def given(folder, labels, form="raster", **options):
    """Write rasters and labels; return the arguments that name them."""
    return [*write_rasters(folder, labels, **options), "--labels", *write_labels(folder, labels, form)]


def fill(path, at, value):
    """Write a value into some pixels of a raster."""
    with rasterio.open(path, "r+") as file:
        data = file.read()
        data[at] = value
        file.write(data)


def data_of(config):
    return load_scene_data(config.source.to_dict(), config.split.to_dict())


def of_classes(data, part):
    return {
        entry.name: sum(int((s.labels[m] == k).sum()) for s, m in data.split.parts(data.scenes, part))
        for k, entry in enumerate(data.classes, start=1)
    }


@pytest.mark.parametrize(
    ("labels", "window", "windows", "batch"),
    [(large_fields((260, 320), 40), 32, 128, 4), (few_polygons(), 8, 2048, 64)],
    ids=["large fields", "few small polygons"],
)
def test_window_and_blocks_suit_the_labels(labels, window, windows, batch, tmp_path, capsys):
    assert new("farm", *given(tmp_path, labels)) == 0
    said = capsys.readouterr().out
    config = read_config(Path("farm/config.py"))
    assert config.model.in_channels == {"hsi": 4, "sar": 2}
    loaders = config.train_dataloader, config.test_dataloader
    assert {config.window, config.model.window, *(of.dataset.window for of in loaders)} == {window}
    assert (config.train_dataloader.batch_size, loaders[0].dataset.windows_per_epoch) == (batch, windows)
    data = data_of(config)
    for part in ("train", "test"):
        assert min(of_classes(data, part).values()) > 10
    assert leaked_pixels(data.split, data.scenes, window) == 0
    assert f"0 of {data.split.count('test')} test pixels (0.0%) lie in a training window" in said
    assert f"window: {window} x {window} pixels" in said
    assert "have no distance" not in said
    assert not set("┏│─") & set(said), "frames in a pipe"
    first, second, _ = said.rstrip().splitlines()[-3:]
    assert first == "next: m3amba train farm/config.py"
    assert second.endswith("in seconds, a linear classifier to compare with: m3amba train lda --data farm")
    assert config.experiment_name == "farm", "the work dir is work_dirs/farm"


def rare(spread):
    """Ten pixels of a third class, in one place or all over the scene."""
    labels = large_fields(classes=2)
    if spread:
        labels[10:110:10, 80] = 3
    else:
        labels[50:52, 70:75] = 3
    return labels


def test_ten_pixels_in_many_places_are_divided(tmp_path, capsys):
    new("farm", *given(tmp_path, rare(True)))
    data = data_of(read_config(Path("farm/config.py")))
    counts = {part: of_classes(data, part)["wheat"] for part in ("train", "test")}
    assert min(counts.values()) >= 1
    told = f"'wheat' has {counts['train']} training and {counts['test']} test pixels: its score says little"
    assert told in capsys.readouterr().out


def test_ten_pixels_in_one_place_are_refused_and_each_remedy_goes(tmp_path, capsys):
    files = given(tmp_path, rare(False))
    with pytest.raises(InputError) as caught:
        new("farm", *files)
    message = str(caught.value)
    assert "class 'wheat' (10 labelled pixels in 1 place) cannot train and test 4 pixels apart" in message
    assert not Path("farm").exists()
    remedies = re.findall(r"\((--\w+) ([^)]*)\)", message)
    assert remedies == [("--unlabelled", "0 3"), ("--untested", "wheat")]
    for number, (option, values) in enumerate(remedies):
        new(f"farm{number}", *files, option, *values.split())
    left_out, untested = (data_of(read_config(Path(f"farm{number}/config.py"))) for number in (0, 1))
    assert [entry.name for entry in left_out.classes] == ["maize", "rape"]
    assert of_classes(untested, "train")["wheat"] == 10
    assert "class 'wheat' has 10 training and 0 test pixels: it is not tested" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["raster", "gpkg", "shapefile", "fgb", "geojson", "layers", "roi", "points"])
def test_labels_of_every_form_give_the_same_classes(form, tmp_path, capsys):
    labels = few_polygons()
    new("farm", *given(tmp_path, labels, form))
    (scene,) = Manifest("farm/scene.yaml").load()
    assert [entry.name for entry in scene.classes] == ["maize", "rape", "wheat"]
    if form == "points":  # circles of 25 m around the middles
        assert (scene.labels[scene.labelled] == labels[scene.labelled]).all()
        assert scene.labelled.sum() == 15 * 16
    else:
        np.testing.assert_array_equal(scene.labels, labels)
    split = Split.read("farm/split.npz")
    assert split.masks["farm"]["train"].any()
    assert f"{int(scene.labelled.sum()):,} pixels are labelled" in capsys.readouterr().out


def test_it_says_what_it_found(tmp_path, capsys, caplog):
    files = given(tmp_path, few_polygons(), "gpkg", nodata=0)
    fill(tmp_path / "hsi.tif", np.s_[:, :10], 0)
    fill(tmp_path / "hsi.tif", np.s_[0, 10:20], 0)
    fill(tmp_path / "sar.tif", np.s_[:, :5], np.nan)
    boxes = [pixel_box(5, 5, 6, 6, PLACE), pixel_box(8, 8, 6, 6, PLACE), pixel_box(50, 40, 6, 6, PLACE)]
    write_polygons(tmp_path / "over.gpkg", boxes, crop=["maize", "rape", "maize"])
    new("farm", *files)
    said = capsys.readouterr().out
    assert "100 x 120 pixels (rows x columns) of 10 m, EPSG:32617" in said
    assert re.search(r"hsi: \S*hsi\.tif: 4 bands, 450 to 860 nm, uint16, values \d+ to \d+, ", said)
    assert "reflectance x 10000, nodata 0" in said
    assert "10.0% of the pixels are missing, 10.0% lack some of the bands" in said
    assert re.search(r"sar: \S*sar\.tif: 2 bands, float32, values -\d", said)
    assert "5.0% of the pixels are missing" in said
    assert re.search(r"maize .* 5 .* 180 .* 1\.80", said), "shapes, pixels, hectares"
    assert "540 pixels are labelled, 4.5% of the scene" in said
    assert "150 of the labelled pixels (27.8 %) lack 'hsi'; they train and test with the other" in said
    assert "lack 'sar'" not in said, "no pixel that lacks it is labelled"
    with pytest.raises(InputError):  # too little for a split
        new("over", *files, "--labels", "over.gpkg:crop")
    assert "9 pixels lie under shapes of different classes" in caplog.text


def test_values_that_seem_to_mean_missing_are_named(tmp_path, capsys):
    files = given(tmp_path, few_polygons())
    fill(tmp_path / "sar.tif", np.s_[:, :20], -9999)
    new("farm", *files)
    assert "20.0% of the pixels are -9999 in all bands" in capsys.readouterr().out
    new("stated", *files, "--nodata", "sar=-9999")
    assert "20.0% of the pixels are missing" in capsys.readouterr().out
    assert yaml.safe_load(Path("stated/scene.yaml").read_text())["modalities"]["sar"]["nodata"] == -9999


def test_what_is_stated_is_written_and_holds_in_training(tmp_path):
    stated = ["--bands", "hsi=3,0-1", "--nodata", "hsi=0", "--scale", "hsi=0.0001", "--unit", "sar=dB"]
    new("farm", *given(tmp_path, few_polygons()), *stated)
    entries = yaml.safe_load(Path("farm/scene.yaml").read_text())["modalities"]
    assert entries["hsi"] == {
        "path": "../hsi.tif",
        "bands": [3, 0, 1],
        "nodata": 0,
        "unit": "reflectance x 10000",
        "scale": 0.0001,
    }
    assert entries["sar"] == {"path": "../sar.tif", "unit": "dB"}
    (scene,) = Manifest("farm/scene.yaml").load()
    assert scene.rasters["hsi"].wavelengths.tolist() == [860.0, 450.0, 550.0]
    assert float(np.nanmax(scene.rasters["hsi"].data)) < 1


def test_bands_that_no_model_can_use_are_left_out(tmp_path, capsys):
    labels = few_polygons()
    files = given(tmp_path, labels, nodata=0)
    fill(tmp_path / "hsi.tif", 1, 0)  # missing everywhere
    fill(tmp_path / "hsi.tif", (2, labels > 0), 700)  # constant where there are labels
    new("farm", *files)
    assert "bands of 'hsi' left out, missing or constant where labels train: 1 (550 nm), 2 (650 nm)" in (
        capsys.readouterr().out
    )
    assert yaml.safe_load(Path("farm/scene.yaml").read_text())["modalities"]["hsi"]["bands"] == [0, 3]
    assert read_config(Path("farm/config.py")).model.in_channels == {"hsi": 2, "sar": 2}


def test_classes_and_pixels_without_a_raster_are_left_out(tmp_path, capsys):
    rasters = write_rasters(tmp_path, few_polygons())
    boxes = [pixel_box(20 * n, 20 * n, 12, 12, PLACE) for n in range(5)]
    boxes += [pixel_box(20 * n, 20 * n + 40, 12, 12, PLACE) for n in range(3)]
    boxes.append(pixel_box(500, 500, 9, 9, PLACE))
    crops = [*["maize", "rape"] * 4, "hops"]
    write_polygons(tmp_path / "a.gpkg", boxes, crop=crops)
    new("farm", *rasters, "--labels", "a.gpkg:crop", "--window", "8")
    assert "left out, without a pixel on the rasters: 'hops'" in capsys.readouterr().out
    (scene,) = Manifest("farm/scene.yaml").load()
    assert [entry.name for entry in scene.classes] == ["maize", "rape"]


def test_the_folder_can_be_moved_with_the_files(tmp_path):
    home = tmp_path / "here"
    home.mkdir()
    new(home / "scenes" / "farm", *given(home, few_polygons(), "gpkg"))
    before = data_of(read_config(home / "scenes/farm/config.py")).split
    shutil.move(home, tmp_path / "there")
    after = data_of(read_config(tmp_path / "there/scenes/farm/config.py")).split
    assert before.sha256 == after.sha256


def test_the_split_can_be_made_again_by_the_command_in_the_config(tmp_path):
    from m3amba_zoo.cli.split import main as split

    new("farm", *given(tmp_path, few_polygons(), "gpkg"), "--seed", "3", "--step", "2")
    before = Split.read("farm/split.npz")
    (command,) = re.findall(r"# m3amba split (.*)", Path("farm/config.py").read_text())
    Path("farm/split.npz").unlink()
    split(command.split())
    again = Split.read("farm/split.npz")
    assert (again.name, again.sha256) == (before.name, before.sha256)


def test_a_raster_says_which_values_mean_no_class(tmp_path, capsys):
    labels = few_polygons()
    rasters = write_rasters(tmp_path, labels)
    from_zero = np.where(labels > 0, labels - 1, 255).astype(np.uint8)
    write_raster(tmp_path / "from_zero.tif", from_zero[None], PLACE)
    new("farm", *rasters, "--labels", "from_zero.tif")
    assert "values taken to mean no class: 0, 255" in capsys.readouterr().out
    new("all", *rasters, "--labels", "from_zero.tif", "--unlabelled", "255")
    (scene,) = Manifest("all/scene.yaml").load()
    assert [entry.name for entry in scene.classes] == ["class 0", "class 1", "class 2"]
    np.testing.assert_array_equal(scene.labels, labels)


def test_it_takes_no_other_dataset(tmp_path):
    new("farm", *given(tmp_path, few_polygons()))
    with pytest.raises(InputError, match="has its own dataset"):
        read_config(Path("farm/config.py"), "idtrees")


def test_options_go_before_what_the_data_suggest(tmp_path):
    options = ["--window", "12", "--size", "24", "--test-fraction", "0.4", "--epochs", "3"]
    options += ["--windows-per-epoch", "40", "--batch-size", "8"]
    new("farm", *given(tmp_path, large_fields()), *options)
    config = read_config(Path("farm/config.py"))
    assert (config.window, config.train_cfg.max_epochs) == (12, 3)
    assert (config.train_dataloader.batch_size, config.train_dataloader.dataset.windows_per_epoch) == (8, 40)
    assert Split.read("farm/split.npz").name == "blocks-size24-guard6-seed0-test_fraction0.4"


def test_every_recipe_that_is_accepted_gives_a_config_that_builds(tmp_path):
    files = given(tmp_path, few_polygons())
    told = f"expected one of {', '.join(recipes())}, or a recipe of yours"
    for name in (*leaf_configs(), *baseline_configs(), *encoder_configs()):
        if name not in recipes():
            with pytest.raises(InputError, match=told):
                new(name, *files, "--model", name)
            continue
        new(name, *files, "--model", name)
        config = read_config(Path(name, "config.py"))
        assert config.source.type == "manifest"
        if config.get("model") is None:
            CLASSIFIERS.build(config.classifier.to_dict(), default_args={"modalities": config.modalities})
            continue
        assert MODELS.build(config.model).in_channels == {"hsi": 4, "sar": 2}
        guard = int(re.search(r"guard(\d+)", Split.read(Path(name, "split.npz")).name)[1])
        assert guard >= config.train_dataloader.dataset.window / 2


def test_many_bands_become_components(tmp_path):
    labels = few_polygons()
    wide = np.random.default_rng(0).normal(0, 1, (40, *labels.shape)).astype(np.float32)
    write_raster(tmp_path / "wide.tif", wide, PLACE)
    new("farm", *given(tmp_path, labels), "--raster", "wide=wide.tif")
    steps = read_config(Path("farm/config.py")).model.data_preprocessor.pretreatment
    assert steps == {"wide": [dict(type="Standardize"), dict(type="PCA", components=30)]}


def test_a_raster_without_crs_gets_one(tmp_path):
    labels = few_polygons()
    files = given(tmp_path, labels, "geojson")
    for name in ("hsi", "sar"):
        with rasterio.open(tmp_path / f"{name}.tif") as file:
            bands = file.read()
        write_raster(tmp_path / f"{name}.tif", bands, PLACE, crs=None)
    with pytest.raises(InputError, match=r"has no CRS: --raster-crs EPSG:\.\.\. states it"):
        new("farm", *files)
    new("farm", *files, "--raster-crs", "EPSG:32617")
    entries = yaml.safe_load(Path("farm/scene.yaml").read_text())["modalities"]
    assert {entry["crs"] for entry in entries.values()} == {"EPSG:32617"}
    (scene,) = Manifest("farm/scene.yaml").load()
    assert scene.crs == "EPSG:32617"
    np.testing.assert_array_equal(scene.labels, labels)


def test_several_scenes_share_a_class_table_and_named_ones_test(tmp_path):
    places = {}
    for number, name in enumerate(("north", "south")):
        (tmp_path / name).mkdir()
        labels = large_fields(classes=3 - number, seed=number)
        places[name] = [
            *write_rasters(tmp_path / name, labels, number),
            "--labels",
            write_labels(tmp_path / name, labels, "gpkg")[0].partition(":")[0],
        ]
    arguments = ["farms", "--attribute", "crop", "--split", "by_scene", "--test", "south"]
    for name, files in places.items():
        arguments += ["--scene", name, *files]
    new(*arguments)
    data = data_of(read_config(Path("farms/config.py")))
    assert [scene.name for scene in data.scenes] == ["north", "south"]
    assert [entry.name for entry in data.classes] == ["maize", "rape", "wheat"]
    assert data.split.name == "by_scene-train_north-test_south"
    assert of_classes(data, "test")["wheat"] == 0
    new("blocks", *[part if part != "by_scene" else "blocks" for part in arguments[1:5]], *arguments[7:])
    masks = Split.read("blocks/split.npz").masks
    assert all(masks[name][part].any() for name in ("north", "south") for part in ("train", "test"))


def test_a_scene_for_testing_alone_needs_no_split(tmp_path, capsys):
    new("farm", *given(tmp_path, rare(False)), "--split", "none")
    assert [path.name for path in Path("farm").iterdir()] == ["scene.yaml"]
    assert capsys.readouterr().out.splitlines()[-1] == "next: m3amba test MODEL --scene farm/scene.yaml"


@pytest.fixture
def files(tmp_path):
    labels = few_polygons()
    write_raster(tmp_path / "small.tif", np.ones((1, 50, 60), np.float32), PLACE)
    write_raster(tmp_path / "all.tif", labels[None], PLACE)
    Path("full").mkdir()
    Path("full/kept.txt").write_text("kept")
    return given(tmp_path, labels, "gpkg")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("full", [], "full: exists and is not empty; nothing is overwritten"),
        ("fie'ld", [], "a path without backslashes, quotes and braces"),
        ("farm", ["--raster", "dem=absent.tif"], "absent.tif: no such file"),
        ("farm", ["--raster", "dem=small.tif"], "are 100 x 120 and 50 x 60 pixels"),
        ("farm", ["--raster", "hsi=small.tif"], "--raster: 'hsi' is given twice"),
        ("farm", ["--raster", "a.b=small.tif"], "'a.b' cannot name a modality"),
        ("farm", ["--nodata", "dem=0"], "is for 'dem', but the rasters are hsi, sar"),
        ("farm", ["--labels", "absent.gpkg:crop"], "--labels absent.gpkg:crop: no such file"),
        ("farm", ["--labels", "points.csv:crop"], "--labels points.csv.*: a table; .* ogr2ogr makes"),
        ("farm", ["--labels", "full"], "--labels full: is a folder; a label raster, polygons or points"),
        ("farm", ["--labels", "small.tif"], r"common grid is expected, or .*\(--align-labels "),
        ("farm", ["--labels", "fields.gpkg"], r"which attribute holds the classes\?.* it has 'crop' \(3"),
        ("farm", ["--labels", "fields.gpkg:a:b:c"], "has 3 parts behind the file; layer and attribute at"),
        ("farm", ["--raster", "gt=all.tif", "--labels", "all.tif"], "^.*all.tif is both the modality 'gt'"),
        ("farm", ["--labels", "all.tif", "--crs", "EPSG:1"], "--crs: is for polygons and points, but"),
        ("farm", ["--radius", "-1"], "^--radius is -1.0; a number of metres"),
        ("farm", ["--attribute", "crop"], "names the attribute, and so does --attribute crop"),
        ("farm", ["--unlabelled", "wheet"], "no class of .*fields.gpkg is 'wheet'; did you mean 'wheat'"),
        ("farm", ["--untested", "wheet"], "--untested: no class is named 'wheet'; did you mean 'wheat'"),
        ("farm", ["--model", "m3ambo"], "--model m3ambo: no such config; did you mean 'm3amba'"),
        ("farm", ["--model", "m3amba_demo"], "own dataset, expected one of m3amba-s, m3amba, convnext"),
        ("farm", ["--model", "mft", "--window", "9"], "mft reads patches of 11 pixels"),
        ("farm", ["--model", "lda", "--epochs", "9"], "--epochs is 9; leave it out, lda is fitted at once"),
        ("farm", ["--model", "convnext", "--window", "1"], "ConvNeXt cannot read windows of 1 pixels"),
        (
            "farm",
            ["--model", "endnet", "--batch-size", "5", "--windows-per-epoch", "11"],
            "a batch has one window, .* --batch-size and --windows-per-epoch that leave no single one",
        ),
        ("farm", ["--window", "101"], "--window is 101; 1 to 100 pixels"),
        ("farm", ["--epochs", "0"], "--epochs is 0; 1 or more"),
        ("farm", ["--k", "4"], "--k: split 'blocks' has no such option"),
        ("farm", ["--test-fraction", "1.5"], "test_fraction is 1.5; a number between 0 and 1"),
        ("farm", ["--split", "bloks"], "did you mean 'blocks'"),
        ("farm", ["--scene", "a"], "--raster and --labels stand before the first --scene"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(files, name, change, message, tmp_path):
    before = sorted(path for path in tmp_path.rglob("*"))
    with pytest.raises(InputError, match=message) as caught:
        new(name, *files, *change)
    assert "\n" not in str(caught.value)
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_a_scene_without_rasters_or_labels_is_refused(files):
    for missing, kept in (("raster", files[4:]), ("labels", files[:4])):
        with pytest.raises(InputError, match=f"--{missing} is missing"):
            new("farm", *kept)


def test_data_of_a_simulated_scene_keep_the_name(tmp_path):
    files = given(tmp_path, few_polygons())
    with rasterio.open(tmp_path / "sar.tif", "r+") as file:
        file.update_tags(SIMULATED="yes")
    new("farm", *files)
    config = read_config(Path("farm/config.py"))
    data = data_of(config)
    assert (data.name, data.simulated, config.experiment_name) == ("simulated_farm", True, "farm")
    assert [part for part in PARTS if data.split.count(part)] == ["train", "test"]


def test_other_grids_and_stacks_go_into_the_manifest(tmp_path):
    labels = large_fields()
    write_rasters(tmp_path, labels)
    with rasterio.open(tmp_path / "hsi.tif") as file:
        hsi = file.read()
    write_raster(tmp_path / "first.tif", hsi[:3], PLACE)
    write_raster(tmp_path / "last.tif", hsi[3:], PLACE)
    with rasterio.open(tmp_path / "sar.tif") as file:
        sar = file.read()[:, ::2, ::2]
    write_raster(tmp_path / "sar.tif", sar, PLACE @ Affine.scale(2))
    files = ["--raster", "hsi=first.tif,last.tif", "--raster", "sar=sar.tif"]
    files += ["--labels", *write_labels(tmp_path, labels, "raster")]
    with pytest.raises(InputError, match="--align"):
        new("farm", *files)
    assert not Path("farm").exists()
    new("farm", *files, "--align", "sar=nearest", "--grid", "hsi")
    document = yaml.safe_load(Path("farm/scene.yaml").read_text())
    parts = [Path(part["path"]).name for part in document["modalities"]["hsi"]["paths"]]
    assert parts == ["first.tif", "last.tif"]
    assert (document["modalities"]["sar"]["align"], document["grid"]) == ("nearest", "hsi")
    (scene,) = Manifest("farm/scene.yaml").load()
    assert {name: len(raster.data) for name, raster in scene.rasters.items()} == {"hsi": 4, "sar": 2}
    np.testing.assert_array_equal(scene.rasters["sar"].data[:, ::2, ::2], sar)
