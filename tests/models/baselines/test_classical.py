"""The classical baselines: they learn from training pixels alone, and are scored as the networks are."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from m3amba_zoo.cli.train import main
from m3amba_zoo.config import read_config
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation import evaluate_scenes, predict_scenes
from m3amba_zoo.models.baselines import PixelSpectra, spectra
from m3amba_zoo.models.baselines.classical import _thin
from m3amba_zoo.rasters import Raster
from m3amba_zoo.registry import CLASSIFIERS, SOURCES, SPLITS
from m3amba_zoo.scenes.scene import LandClass, Scene
from m3amba_zoo.scenes.source import Source
from m3amba_zoo.splits import audit, build_split
from m3amba_zoo.splits.scene_data import SceneData

CLASSES = tuple(LandClass(name, (0, 0, 0)) for name in ("water", "trees", "built"))
MODALITIES = ("hsi", "lidar")
MISSING = -9999.0
SMALL = {"RandomForest": {"trees": 10}}  # few trees
CONFIGS = Path(__file__).parents[3] / "configs" / "baselines"
PRETREATMENT = {"hsi": [{"type": "UnitNorm"}, {"type": "PCA", "components": 4}]}


def make_scene(index: int, shape=(24, 20)) -> Scene:
    """Patches of three classes with noisy spectra and heights; one height is missing."""
    generator = np.random.default_rng(index)
    patches = generator.permutation(np.arange(-(-shape[0] // 4) * -(-shape[1] // 4)) % 3)
    land = np.kron(patches.reshape(-(-shape[0] // 4), -1), np.ones((4, 4), int))[: shape[0], : shape[1]]
    means = np.random.default_rng(99).normal(size=(3, 6))
    hsi = means[land].transpose(2, 0, 1) + 0.8 * generator.standard_normal((6, *shape))
    lidar = (3.0 * land + generator.standard_normal(shape))[None]
    lidar[0, 5, 5] = MISSING
    labels = np.where(generator.random(shape) < 0.8, land + 1, 0).astype(np.uint8)
    rasters = {"hsi": Raster(1000 * hsi.astype(np.float32)), "lidar": Raster(lidar, nodata=MISSING)}
    return Scene(f"plot{index}", rasters, labels, CLASSES)


class BaselinePlots(Source):
    def load(self, rasters: bool = True) -> list[Scene]:
        return [make_scene(index) for index in range(6)]


def make_data(split: dict, count: int = 6) -> SceneData:
    scenes = [make_scene(index) for index in range(count)]
    return SceneData("simulated_plots", scenes, build_split(split, scenes), CLASSES)


@pytest.fixture(scope="module")
def data():
    return make_data({"type": "by_scene"})


@pytest.fixture(autouse=True)
def odd_strips(monkeypatch):
    """Strips that do not fit the scenes."""
    monkeypatch.setattr(spectra, "CHUNK_PIXELS", 7 * 20)


def build(name, modalities=MODALITIES, **options):
    config = {"type": name, "modalities": modalities, **SMALL.get(name, {}), **options}
    return CLASSIFIERS.build(config)


def run(name, data, seed=0, **options):
    classifier = build(name, **options)
    classifier.fit(data, seed)
    return evaluate_scenes(predict_scenes(classifier, data), data.scenes, data.split, "test")


@pytest.mark.parametrize("name", CLASSIFIERS.names())
@pytest.mark.parametrize("options", [{}, {"mean": 3}, {"pretreatment": PRETREATMENT}])
def test_each_baseline_predicts_every_pixel_and_those_with_bands_learn(data, name, options):
    evaluation = run(name, data, **({} if name == "Position" else options))
    assert evaluation.scores["pixels"] == data.split.count("test")
    assert all((class_map > 0).all() for class_map in evaluation.class_maps.values())
    if name != "Position":
        assert evaluation.scores["oa"] > 0.85


def change_test_scenes(data: SceneData) -> SceneData:
    """Other labels and other bands in the scenes that test."""
    changed = [
        replace(
            scene,
            labels=np.where(scene.labels > 0, 1, 0).astype(np.uint8),
            rasters={m: replace(r, data=5 - 3 * r.data, nodata=None) for m, r in scene.rasters.items()},
        )
        if data.split.masks[scene.name]["test"].any()
        else scene
        for scene in data.scenes
    ]
    return replace(data, scenes=changed)


@pytest.mark.parametrize("name", CLASSIFIERS.names())
def test_test_pixels_have_no_say_in_the_fit(data, name):
    changed = change_test_scenes(data)
    index = next(i for i, (a, b) in enumerate(zip(data.scenes, changed.scenes, strict=True)) if a is b)
    predicted = []
    for given in (data, changed):
        options = {} if name == "Position" else {"pretreatment": PRETREATMENT}
        classifier = build(name, **options)
        classifier.fit(given, 0)
        predicted.append((classifier.settings, predict_scenes(classifier, given)[index].class_map()))
    assert predicted[0][0] == predicted[1][0]
    assert (predicted[0][1] == predicted[1][1]).all()


def test_the_same_seed_gives_the_same_maps_and_another_does_not(data):
    first, again, other = (run("RandomForest", data, seed=seed).class_maps for seed in (0, 0, 1))
    assert all((first[name] == again[name]).all() for name in first)
    assert any((first[name] != other[name]).any() for name in first)


@pytest.mark.parametrize("split", [{"type": "per_class", "k": 15}, {"type": "by_scene"}])
def test_position_is_the_floor_of_the_leak_meter(split):
    data = make_data(split)
    measured = audit(data.split, data.scenes, window=1)
    assert run("Position", data).scores["oa"] == pytest.approx(measured.position_oa)


def test_balanced_classes_weigh_alike_whatever_their_number_of_pixels():
    """Two overlapping classes, one a hundred times as frequent: only balanced fits find the rare one."""
    generator = np.random.default_rng(0)
    labels = (np.arange(400) % 100 == 0).reshape(20, 20).astype(np.uint8) + 1
    band = labels + 0.5 * generator.standard_normal((20, 20))
    scenes = [
        Scene(
            f"s{i}",
            {"hsi": Raster(np.roll(band, i, 0)[None].astype(np.float32))},
            np.roll(labels, i, 0),
            CLASSES[:2],
        )
        for i in range(6)
    ]
    data = SceneData("rare", scenes, build_split({"type": "by_scene"}, scenes), CLASSES[:2])
    for kind in ("ShrinkageLDA", "SVM"):
        recall = {}
        for balanced in (False, True):
            classifier = CLASSIFIERS.build({"type": kind, "modalities": ["hsi"], "balanced": balanced})
            classifier.fit(data, 0)
            found = np.concatenate([classifier.probabilities(data, i, 0, 20).argmax(1) for i in range(6)])
            truth = np.concatenate([scene.labels.ravel() - 1 for scene in scenes])
            recall[balanced] = (found[truth == 1] == 1).mean()
        assert recall[False] < 0.5 < recall[True], kind


def test_svm_thins_large_sets_of_pixels_but_keeps_each_class_and_its_share(data):
    chosen = build("SVM", most_pixels=40)
    chosen.fit(data, 0)
    assert chosen.settings["training_pixels"] == pytest.approx(40, abs=1)
    generator = np.random.default_rng(0)
    labels = generator.permutation(np.repeat([1, 2, 3], [900, 99, 1]))
    pixels = np.arange(1000, dtype=np.float32)[:, None]
    kept, of_kept = _thin(pixels, labels, 100, generator)
    assert np.bincount(of_kept)[1:].tolist() == [90, 10, 1]
    assert len(np.unique(kept)) == len(kept)
    np.testing.assert_array_equal(labels[kept[:, 0].astype(int)], of_kept)
    assert _thin(pixels, labels, 1000, generator) == (pixels, labels)


def test_mean_spectra_equal_a_mean_in_loops():
    scene = make_scene(0)
    lidar, height, width = scene.rasters["lidar"].data[0].copy(), *scene.shape
    lidar[lidar == MISSING] = np.nan
    expected = [
        np.nanmean(lidar[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]) for y, x in np.ndindex(height, width)
    ]
    whole = build_split({"type": "per_class", "fraction": 0.5}, [scene])
    reader = PixelSpectra(("hsi", "lidar"), mean=3, pretreatment={"lidar": []})
    reader.fit(SceneData("plot", [scene], whole, CLASSES))
    found = reader.of_rows(scene, 0, height)
    assert found.shape == (height * width, 7)
    np.testing.assert_allclose(found[:, 6], expected, rtol=1e-5, atol=1e-6)


def test_pretreatment_is_fitted_on_training_pixels(data):
    reader = PixelSpectra(MODALITIES, pretreatment={"hsi": [{"type": "SelectBands", "drop": [(0, 1)]}]})
    fitted, labels = reader.fit(data)
    assert fitted.shape == (data.split.count("train"), 5)
    lidar = np.concatenate(
        [scene.rasters["lidar"].data[0][mask] for scene, mask in data.split.parts(data.scenes, "train")]
    )
    known = lidar != MISSING
    expected = (lidar - lidar[known].mean()) / lidar[known].std()
    np.testing.assert_allclose(fitted[known, 4], expected[known], rtol=1e-4, atol=1e-5)
    assert (fitted[~known, 4] == 0).all()
    np.testing.assert_array_equal(reader.of_part(data, "train")[0], fitted)
    assert len(labels) == len(fitted)


def test_augmentation_among_the_networks_steps_does_not_touch_a_classifier(data):
    steps = [{"type": "Standardize"}, {"type": "WindowShift", "level": 9.0}]
    plain, shifted = (PixelSpectra(MODALITIES, pretreatment={"hsi": chosen}) for chosen in (steps[:1], steps))
    np.testing.assert_array_equal(plain.fit(data)[0], shifted.fit(data)[0])
    np.testing.assert_array_equal(plain.of_rows(data.scenes[0], 0, 9), shifted.of_rows(data.scenes[0], 0, 9))


def test_a_missing_value_counts_as_the_training_mean(data):
    classifier = build("ShrinkageLDA", ("lidar",))
    classifier.fit(data, 0)
    parts = data.split.parts(data.scenes, "train")
    heights = np.concatenate([scene.rasters["lidar"].data[0][mask] for scene, mask in parts])
    filled = Raster(np.full((1, 1, 20), heights[heights != MISSING].mean()))
    blank = Raster(np.full((1, 1, 20), MISSING), nodata=MISSING)
    both = [
        replace(data.scenes[0], rasters={"lidar": raster}, labels=np.zeros((1, 20), np.uint8))
        for raster in (filled, blank)
    ]
    found = [classifier.probabilities(replace(data, scenes=[scene]), 0, 0, 1) for scene in both]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def test_bad_input_is_one_sentence(data):
    with pytest.raises(InputError, match="mean is 2; an odd number"):
        build("ShrinkageLDA", mean=2)
    with pytest.raises(InputError, match="pretreatment names 'sar', but modalities has hsi, lidar"):
        build("SVM", pretreatment={"sar": []})
    with pytest.raises(InputError, match="no modality 'sar'"):
        build("ShrinkageLDA", ("sar",)).fit(data, 0)
    narrow = replace(data.scenes[2], rasters={"hsi": Raster(data.scenes[2].rasters["hsi"].data[:4])})
    scenes = [*data.scenes[:2], narrow, *data.scenes[3:]]
    with pytest.raises(InputError, match=r"'plot2' of simulated_plots has 4 bands of 'hsi'.*'plot0' has 6"):
        build("ShrinkageLDA", ("hsi",)).fit(replace(data, scenes=scenes), 0)


@pytest.fixture
def in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.setitem(SOURCES.module_dict, "baseline_plots", BaselinePlots)
    monkeypatch.chdir(tmp_path)
    return tmp_path


CONFIG = """
_base_ = ["{runtime}"]
test_dataloader = dict(
    dataset=dict(
        source=dict(type="baseline_plots"), split=dict(type="by_scene", seed=0), modalities=("hsi", "lidar")
    )
)
classifier = dict(type="{type}", {options})
"""
RUNTIME = CONFIGS.parent / "_base_" / "default_runtime.py"


def write_config(path, type, options=""):
    path.write_text(CONFIG.format(runtime=RUNTIME, type=type, options=options))


def test_the_train_command_writes_scores_and_maps(in_tmp_path, capsys):
    write_config(in_tmp_path / "svm3.py", "SVM", "modalities=['hsi'], mean=3, cost=5.0")

    assert main(["svm3.py", "--seed", "2"]) == 0

    work_dir = in_tmp_path / "work_dirs" / "svm3"
    record = json.loads((work_dir / "metrics.json").read_text())
    expected = make_data({"type": "by_scene", "seed": 0}).split  # --seed leaves the maker's seed alone
    assert record["split"]["sha256"] == expected.sha256
    assert (record["seed"], record["split"]["window"], record["modalities"]) == (2, 3, ["hsi"])
    assert sum(map(sum, record["confusion"])) == record["pixels"] == expected.count("test")
    assert record["ece"] is None
    assert record["model"]["name"] == "svm3"
    assert record["model"]["C"] == 5.0
    assert record["selection"] == "settings fixed beforehand"
    kept = {"svm3.py", "classifier.safetensors", "weights.json", "report.html"}
    assert {path.name for path in work_dir.iterdir()} == {"metrics.json", "map.png", "maps", *kept}
    assert len(list((work_dir / "maps").glob("*.tif"))) == 6
    assert f"{record['oa']:.4f}" in capsys.readouterr().out


def test_a_recipes_run_is_named_after_recipe_and_dataset(in_tmp_path):
    arguments = ["--data", "simulated_houston", "--cfg-options", "source.height=64", "source.width=128"]
    assert main([str(CONFIGS / "lda.py"), *arguments]) == 0
    record = json.loads((in_tmp_path / "work_dirs" / "lda-simulated_houston" / "metrics.json").read_text())
    assert record["model"]["name"] == "lda-simulated_houston"


def test_the_command_leaves_nothing_behind_on_bad_input(in_tmp_path):
    write_config(in_tmp_path / "typo.py", "ShrinkLDA")
    write_config(in_tmp_path / "option.py", "ShrinkageLDA", "means=3")
    write_config(in_tmp_path / "sar.py", "ShrinkageLDA", "modalities=['sar']")
    (in_tmp_path / "empty.py").write_text("classifier = dict(type='ShrinkageLDA')")
    for name, reason in (
        ("none.py", "none.py: no such config"),
        ("empty.py", "empty.py: has no 'test_dataloader'"),
        ("typo.py", "did you mean 'ShrinkageLDA'"),
        ("option.py", "unexpected keyword argument 'means'"),
        ("sar.py", "no modality 'sar'"),
    ):
        with pytest.raises(InputError, match=re.escape(reason)):
            main([name])
    assert not (in_tmp_path / "work_dirs").exists()


def test_a_forest_is_grown_on_part_of_many_pixels_and_lda_on_all(data):
    forest, lda = build("RandomForest", most_pixels=40), build("ShrinkageLDA")
    for classifier in (forest, lda):
        classifier.fit(data, 0)
    assert forest.settings["training_pixels"] == pytest.approx(40, abs=2)
    assert sum(forest.estimator.estimators_[0].tree_.n_node_samples[:1]) <= 42
    assert "training_pixels" not in lda.settings


CLASSICAL = sorted(path for path in CONFIGS.glob("*.py") if "classifier = " in path.read_text())


@pytest.mark.parametrize("path", CLASSICAL, ids=lambda path: path.stem)
def test_every_classifiers_config_builds(path):
    config = read_config(path)
    dataset = config.test_dataloader.dataset
    SOURCES.check(dataset.source.type)
    SPLITS.check(dataset.split.type)
    default_args = {"modalities": list(dataset.modalities)}
    built = CLASSIFIERS.build(config.classifier.to_dict(), default_args=default_args)
    assert built.window == (3 if path.stem.endswith("3") else 1)
