"""Every model on every dataset: the config reads, the model fits its data, and the main jobs run from it."""

import json
import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mmengine.config.config
import mmpretrain
import numpy as np
import pytest
import rasterio
import torch

from m3amba_zoo.cli import train
from m3amba_zoo.config import config_sha256, read_config
from m3amba_zoo.config.reading import installed_path
from m3amba_zoo.config.shipped import PLANS, dataset_configs
from m3amba_zoo.errors import InputError
from m3amba_zoo.models import PatchClassifier
from m3amba_zoo.registry import CLASSIFIERS, MODELS, SOURCES, SPLITS
from m3amba_zoo.scenes.source import data_roots

CONFIGS = Path(__file__).parents[1] / "configs"
DATASETS = list(dataset_configs())
RECIPES = ["m3amba.py", "m3amba-s.py"]
RECIPES += sorted(f"baselines/{path.name}" for path in (CONFIGS / "baselines").glob("*.py"))
LEAVES = sorted(
    path.name for path in CONFIGS.glob("*.py") if path.name not in RECIPES and path.stem not in PLANS
)
OF_FEATURES = [
    (f"encoders/{path.name}", data)
    for path in sorted((CONFIGS / "encoders").glob("*.py"))
    for data in ("terramind_galileo", "terramind_dem_galileo")
]
PRODUCT = [(recipe, data) for recipe in RECIPES for data in DATASETS]


def test_the_product_of_recipes_and_datasets_is_the_whole_zoo():
    assert len(RECIPES) == 16
    assert len(DATASETS) == 14


@pytest.mark.parametrize(("config", "data"), [*PRODUCT, *OF_FEATURES, *((leaf, None) for leaf in LEAVES)])
def test_model_data_and_split_belong_together(config, data):
    paper = config.startswith("m3amba-b_")
    config = read_config(CONFIGS / config, data)
    testing = config.test_dataloader.dataset
    SOURCES.check(testing.source.type)
    SPLITS.check(testing.split.type)
    if "classifier" in config:
        CLASSIFIERS.build({**config.classifier.to_dict(), "modalities": testing.modalities})
        return
    training = config.train_dataloader.dataset
    if "encoder" in config.model:
        config.model.encoder = None  # a frozen CLIP of 150 M parameters; tested on a small one elsewhere
    model = MODELS.build(config.model)
    assert list(model.in_channels) == list(training.modalities) == list(testing.modalities)
    assert (training.source, training.split) == (testing.source, testing.split)
    window = training.window
    if isinstance(model, PatchClassifier):
        assert (window, testing.margin) == (model.patch, model.margin)
    else:
        assert window == testing.window
    guard = testing.split.get("guard")
    if guard is not None:
        assert guard >= window / 2, "the protocol asks for a guard of half a window"
    elif testing.split.type == "official":
        assert window == 32 if paper else window <= 11, "masks have no guard: no model sees more than patches"
    pixels = {m: np.random.default_rng(0).normal(5, 1, (400, n)) for m, n in model.in_channels.items()}
    labels = np.arange(400) % model.num_classes + 1
    model.data_preprocessor.fit({m: x.astype(np.float32) for m, x in pixels.items()}, labels)
    inputs = {m: torch.rand(1, bands, window, window) for m, bands in model.in_channels.items()}
    if sum(parameter.numel() for parameter in model.parameters()) > 5e7:
        return  # the paper's size: building it is enough here
    with torch.no_grad():
        logits = model.eval().test_step({"inputs": inputs})
    side = window - 2 * model.margin
    assert logits[0].shape == (model.num_classes, side, side)


def test_a_new_dataset_is_one_file_and_a_new_model_too(tmp_path):
    dataset = tmp_path / "fields.py"
    dataset.write_text(
        f"_base_ = {str(CONFIGS / '_base_/datasets/windows.py')!r}\n"
        "source = dict(type='simulated', kind='augsburg-like', height=64, width=128, bands=12)\n"
        "split = dict(type='official')\n"
        "window = 8\n"
        "pretreatment = dict()\n"
    )
    for recipe in RECIPES:
        config = read_config(CONFIGS / recipe, dataset)
        assert config.test_dataloader.dataset.modalities == ["hsi", "sar"], "the source's own"
        assert config.experiment_name == f"{Path(recipe).stem}-fields"
        if "classifier" not in config and "msfmamba" not in recipe:  # that one asks for 30 components
            assert MODELS.build(config.model).in_channels == {"hsi": 12, "sar": 4}
    recipe = tmp_path / "mine.py"
    recipe.write_text(
        f"_base_ = {str(CONFIGS / '_base_/patch_recipe.py')!r}\nmodel = dict(type='S2ENet', patch=9)\n"
    )
    for data in (dataset, *(CONFIGS / f"_base_/datasets/{name}.py" for name in DATASETS)):
        config = read_config(recipe, data)
        assert config.train_dataloader.dataset.window == 9
        assert config.test_dataloader.dataset.margin == 4


def test_a_scene_file_of_the_users_own_is_a_dataset(tmp_path):
    write_scene(tmp_path)
    config = read_config(CONFIGS / "m3amba.py", tmp_path / "scene.yaml")
    assert config.model.in_channels == {"optical": 3, "height": 1}
    assert config.model.num_classes == 2
    assert config.model.modalities == config.test_dataloader.dataset.modalities == ["optical", "height"]


def test_what_a_config_says_once_reaches_every_part(tmp_path):
    name = CONFIGS / "baselines/s2enet.py"
    config = read_config(
        name, "houston", ["model.patch=9", "tile=16", "split.val.fraction=0.3", "modalities=hsi"]
    )
    assert (config.train_dataloader.dataset.window, config.test_dataloader.dataset.margin) == (9, 4)
    assert config.test_dataloader.dataset.window == 16
    assert config.model.in_channels == {"hsi": 144}
    assert config.train_dataloader.dataset.split == config.test_dataloader.dataset.split
    assert config.test_dataloader.dataset.split.val.fraction == 0.3
    config = read_config(CONFIGS / "m3amba_idtrees.py", options=["modalities=lidar", "window=12"])
    assert "pretreatment" not in config.model.data_preprocessor, "it has none for LiDAR"
    loaders = (config.train_dataloader, config.test_dataloader)
    assert {12} == {config.model.window, *(loader.dataset.window for loader in loaders)}
    config.dump(tmp_path / "written.py")
    again = read_config(tmp_path / "written.py", options=["window=8", "split.seed=3", "pretreatment=log"])
    assert again.model.window == again.test_dataloader.dataset.window == 8
    assert again.train_dataloader.dataset.split.seed == 3


def test_the_seed_draws_validation_and_random_pixels_but_never_the_test_part():
    def splits(name, *options, seed=None):
        config = read_config(CONFIGS / "baselines/mft.py", name, options, seed)
        assert config.train_dataloader.dataset.split == config.test_dataloader.dataset.split == config.split
        return config.split

    plain, seeded = (splits("terramind", "split.random.seed=0", seed=seed) for seed in (None, 4))
    assert (plain.val.seed, plain.random.seed) == (0, 0)
    assert (seeded.val.seed, seeded.random.seed) == (4, 4)
    assert seeded.seed == plain.seed
    # validation pixels that only an option asks for are drawn by the seed as well
    options = ("split.val.fraction=0.3", "split.val.guard=8")
    assert splits("houston", seed=4) == dict(type="official")
    assert splits("houston", *options, seed=4).val == dict(fraction=0.3, guard=8, seed=4)
    assert splits("houston", *options, "split.val.seed=2").val == dict(fraction=0.3, guard=8, seed=2)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("model.window=8", ["model.window is 8", "window follows 11"]),
        ("model.num_classes=3", ["model.num_classes is 3", "source follows 15"]),
        ("model.in_channels.hsi=9", ["model.in_channels", "source follows {'hsi': 144, 'lidar': 1}"]),
        ("test_dataloader.dataset.split.type=per_class", ["test_dataloader.dataset.split", "'official'"]),
        ("patch=9", ["no 'patch'"]),
        ("windo=9", ["no 'windo'", "'window'"]),
        (
            "pretreatment=lgo",
            ["pretreatment is 'lgo'", "expected one of its pretreatments: standardized, components"],
        ),
        ("modalities=sar", ["modalities names 'sar'", "hsi, lidar"]),
        ("tile=16", ["reads 'tile'"]),
    ],
)
def test_what_would_arrive_in_one_part_alone_is_refused(option, expected):
    with pytest.raises(InputError) as caught:
        read_config(CONFIGS / "m3amba_houston.py", options=[option])
    for part in expected:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("config", "option"),
    [("mft", "window=24"), ("lda", "window=24"), ("lda", "train_cfg.max_epochs=3"), ("svm", "model.patch=3")],
)
def test_what_nothing_reads_is_refused(config, option):
    with pytest.raises(InputError, match=f"reads '{option.partition('=')[0]}'"):
        read_config(CONFIGS / f"baselines/{config}.py", "houston", [option])


def test_an_explicit_test_window_stands_and_other_starts_have_other_hashes():
    name = CONFIGS / "m3amba_houston.py"
    config = read_config(name, options=["test_dataloader.dataset.window=64"])
    assert (config.model.window, config.test_dataloader.dataset.window) == (11, 64)
    plain = config_sha256(read_config(name))
    assert config_sha256(read_config(name, options=["load_from=x.pth"])) != plain
    assert config_sha256(read_config(name, options=["load_from=x.pth", "resume=True"])) == plain


def test_a_written_config_cannot_read_more_modalities_than_it_was_written_for(tmp_path):
    read_config(CONFIGS / "m3amba_terramind.py", options=["modalities=s1"]).dump(tmp_path / "written.py")
    with pytest.raises(InputError, match=r"written for s1; 's2' needs the config"):
        read_config(tmp_path / "written.py", options=["modalities=s2,s1"])


def test_configs_are_read_by_several_threads_at_once():
    names = ["houston", "augsburg", "trento", "berlin"] * 4
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda name: read_config(CONFIGS / "m3amba.py", name).source.type, names))
    assert [name.removesuffix("2013") for name in found] == names
    assert logging.root.manager.disable == 0
    assert mmengine.config.config.get_installed_path is not installed_path


@pytest.mark.parametrize(
    ("config", "data", "expected"),
    [
        ("m3amba_houston.py", "idtrees", "has its own dataset"),
        ("m3amba.py", "idtree", "did you mean 'idtrees'"),
        ("m3amba.py", "absent.yaml", "no such scene file"),
        ("m3amba.py", "absent.py", "no such dataset file"),
        ("m3amba.py", "windows", "no such dataset"),
        ("m3amba.py", "a\\b.yaml", "without backslashes"),
    ],
)
def test_a_dataset_that_cannot_be_taken_is_refused(config, data, expected):
    with pytest.raises(InputError, match=expected):
        read_config(CONFIGS / config, data)


def test_reading_leaves_mmengine_and_the_environment_as_they_are(monkeypatch):
    monkeypatch.setenv("M3AMBA_DATASET", "of the user")
    exchanged = [(mmengine.config.config, "get_installed_path"), (mmengine.config.config, "is_installed")]
    exchanged += [(mmengine.config.config.Config, "_get_cfg_path")]
    before, path = [vars(owner)[name] for owner, name in exchanged], list(sys.path)
    read_config(CONFIGS / "m3amba.py", "houston")
    assert os.environ["M3AMBA_DATASET"] == "of the user"
    assert before == [vars(owner)[name] for owner, name in exchanged]
    assert sys.path == path


def test_packages_are_found_without_pkg_resources(tmp_path, monkeypatch):
    assert installed_path("mmpretrain") == str(Path(mmpretrain.__file__).parent)
    assert installed_path("scikit-learn") == installed_path("sklearn")
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        installed_path("no_such_package")
    monkeypatch.setitem(sys.modules, "pkg_resources", None)  # as where it has vanished
    path = tmp_path / "config.py"
    path.write_text('_base_ = ["mmpretrain::_base_/default_runtime.py"]\n')
    assert "default_hooks" in read_config(path)


def test_a_written_config_keeps_the_order_of_its_modalities(tmp_path):
    config = read_config(CONFIGS / "baselines/two_branch_cnn.py", "terramind")
    config.dump(tmp_path / "written.py")  # sorted: s1 before s2
    written = read_config(tmp_path / "written.py")
    assert list(written.model.in_channels) == ["s1", "s2"]
    assert list(MODELS.build(written.model).in_channels) == ["s2", "s1"]
    del written.model["modalities"]  # as cards of the first release
    written.dump(tmp_path / "older.py")
    older = read_config(tmp_path / "older.py")
    assert list(MODELS.build(older.model).in_channels) == ["s2", "s1"]
    assert config_sha256(older) == config_sha256(written) == config_sha256(config)


def write_scene(folder):
    """Write two rasters, labels and the scene.yaml that describes them."""
    generator = np.random.default_rng(0)
    labels = np.kron(generator.integers(1, 3, (8, 8)), np.ones((16, 16), int)).astype(np.uint8)
    arrays = {"optical": generator.random((3, 128, 128), np.float32) + labels, "height": labels[None] * 2.0}
    for name, data in {**arrays, "labels": labels[None]}.items():
        profile = {"driver": "GTiff", "count": len(data), "height": 128, "width": 128, "dtype": data.dtype}
        with rasterio.open(folder / f"{name}.tif", "w", **profile) as file:
            file.write(data)
    (folder / "scene.yaml").write_text(
        "name: mine\nmodalities:\n  optical: {path: optical.tif}\n  height: {path: height.tif}\n"
        "labels: {path: labels.tif}\nclasses: [{name: field}, {name: wood}]\n"
    )


SMALL = ["source.height=64", "source.width=128", "source.bands=24"]


def run(config, work_dir, *options, arguments=("--seed", "1")):
    short = ["train_cfg.max_epochs=2", "train_dataloader.dataset.windows_per_epoch=32"]
    command = [str(CONFIGS / config), "--work-dir", str(work_dir), *arguments]
    assert train.main([*command, "--cfg-options", *short, *options]) == 0
    return json.loads((work_dir / "metrics.json").read_text())


def test_the_demo_ends_with_scores_and_maps_that_say_simulated(tmp_path, capsys):
    record = run("m3amba_demo.py", tmp_path, *SMALL)
    assert "simulated" in record["dataset"]
    assert record["simulated"] is True
    assert record["seed"] == 1
    assert record["pixels"] == record["split"]["pixels"]["test"] == np.sum(record["confusion"])
    assert len(record["split"]["sha256"]) == 64
    assert record["selection"] == "last epoch, number of epochs fixed beforehand"
    assert record["model"]["clip"] == "none"
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    assert "metrics.json" in capsys.readouterr().out


def test_a_resumed_demo_ends_with_the_same_weights(tmp_path):
    options = [*SMALL, "default_hooks.checkpoint.max_keep_ckpts=2"]
    run("m3amba_demo.py", tmp_path / "whole", *options)
    resume = ["--resume", str(tmp_path / "whole" / "epoch_1.pth")]
    run("m3amba_demo.py", tmp_path / "resumed", *options, arguments=resume)
    weights = [
        torch.load(tmp_path / part / "epoch_2.pth", weights_only=True)["state_dict"]
        for part in ("whole", "resumed")
    ]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


@pytest.mark.parametrize(("name", "patch"), [("endnet", 1), ("s2enet", 11)])
def test_a_patch_wise_baseline_is_scored_on_every_test_pixel_and_leaks_by_its_patch(name, patch, tmp_path):
    arguments = ("--seed", "1", "--data", "simulated_houston")
    record = run(f"baselines/{name}.py", tmp_path, *SMALL, arguments=arguments)
    assert record["model"]["name"] == f"{name}-simulated_houston"
    assert record["pixels"] == record["split"]["pixels"]["test"]
    assert record["split"]["window"] == patch
    assert (record["split"]["leaked_pixels"] > 0) == (patch > 1)
    with rasterio.open(next((tmp_path / "maps").glob("*.tif"))) as file:
        assert (file.read(1) > 0).sum() == record["pixels"], "nothing else is predicted"


def test_weights_may_not_be_chosen_on_test_pixels(tmp_path):
    config = tmp_path / "peeks.py"
    config.write_text(
        f"_base_ = {str(CONFIGS / 'm3amba_demo.py')!r}\n"
        "source = dict(height=64, width=128)\n"
        "val_dataloader = {{_base_.test_dataloader}}\n"
        "val_evaluator = {{_base_.test_evaluator}}\n"
        "val_cfg = dict(type='ValLoop')\n"
    )
    with pytest.raises(InputError, match="weights would be chosen on test pixels"):
        run(config, tmp_path / "work")


@pytest.mark.parametrize("name", ["idtrees", "terramind"])
def test_real_data_trains_and_ends_in_a_georeferenced_map(name, tmp_path):
    if not any((root / name).is_dir() for root in data_roots()):
        pytest.skip(f"the real data '{name}' is in none of {', '.join(map(str, data_roots()))}")
    overlap = "test_dataloader.dataset.overlap=0"
    record = run(f"m3amba_{name}.py", tmp_path, overlap, "train_dataloader.dataset.windows_per_epoch=384")
    assert record["dataset"] == name
    assert record["split"]["leaked_pixels"] == 0
    assert record["oa"] > 1 / len(record["per_class"])
    with rasterio.open(next((tmp_path / "maps").glob("*.tif"))) as file:
        assert file.crs is not None
        assert file.read(1).max() <= len(record["per_class"])
