"""Publishing: the shipped weights are the tested ones, and runs that break the protocol are refused."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_runs import NAME, train_run

from m3amba_zoo.cli import test as test_command
from m3amba_zoo.config import config_sha256
from m3amba_zoo.errors import InputError
from m3amba_zoo.hub import TrainedModel
from m3amba_zoo.hub.index import read_index
from workshop.cards.document import portable_command
from workshop.cli.card import main as card_command
from workshop.cli.publish import main
from workshop.publishing import card_files, publishing
from workshop.publishing.runs import median_run

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def trained():
    return [train_run(seed) for seed in SEEDS]


@pytest.fixture
def runs(trained, tmp_path):
    """Copies of the work dirs that a test may change."""
    return [shutil.copytree(work_dir, tmp_path / work_dir.name) for work_dir in trained]


@pytest.fixture
def cards(tmp_path):
    return tmp_path / "cards"


def publish(runs, cards, *options):
    assert main([*map(str, runs), "--name", NAME, "--cards", str(cards), *options]) == 0
    return cards / NAME


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def record_of(work_dir):
    return json.loads((work_dir / "metrics.json").read_text())


def change(work_dir, **entries):
    """Change entries of a record."""
    (work_dir / "metrics.json").write_text(json.dumps({**record_of(work_dir), **entries}))


def reconfigure(work_dir, key, value):
    """Change an entry of a config, and its hash in the record."""
    path = next(work_dir.glob("*.py"))
    config = Config.fromfile(path)
    config.merge_from_dict({key: value})
    config.dump(path)
    change(work_dir, config_sha256=config_sha256(config))


def test_the_published_weights_are_those_whose_test_is_published(trained, cards, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    card = publish(trained, cards)
    weights = next(card.glob(f"{NAME}-*.safetensors"))
    metrics = json.loads((card / "metrics.json").read_text())
    work_dir = trained[SEEDS.index(metrics["seed"])]
    checkpoint = torch.load(work_dir / "epoch_3.pth", weights_only=True)
    # the trained weights, whose average is shipped: MMEngine swaps the two in the file
    raw = {k.removeprefix("module."): v for k, v in checkpoint["ema_state_dict"].items() if "module." in k}
    save_file(raw, "raw.safetensors")
    for name, file in (("again", weights), ("raw", "raw.safetensors")):
        test_command.main([str(card / "config.py"), str(file), "--work-dir", name])
    again, tested = record_of(tmp_path / "again"), record_of(work_dir)
    for key in ("oa", "aa", "kappa", "confusion", "predicted", "ece"):
        assert again[key] == tested[key]
    assert record_of(tmp_path / "raw")["ece"] != tested["ece"]  # so that the comparison tells them apart
    assert again["config_sha256"] == metrics["runs"][str(metrics["seed"])]["config_sha256"]
    published = load_file(weights)
    assert published.keys() == checkpoint["state_dict"].keys()
    assert all(torch.equal(published[name], value) for name, value in checkpoint["state_dict"].items())


def test_a_card_holds_what_it_should_and_nothing_else(trained, cards, capsys):
    card = publish(trained, cards)
    weights = next(card.glob(f"{NAME}-*.safetensors")).name
    expected = {"README.md", "config.py", "metrics.json", "golden.safetensors", "map.png", weights}
    assert files(card).keys() == expected
    assert [path.name for path in cards.iterdir()] == [NAME]
    assert "not in the index yet" in capsys.readouterr().out  # what only a person can write is still open
    text = (card / "config.py").read_text()
    assert not any(word in text for word in ("_base_", "work_dir", str(trained[0].parent)))
    assert Config.fromfile(card / "config.py").load_from is None
    metrics = json.loads((card / "metrics.json").read_text())
    assert list(metrics["runs"]) == [str(seed) for seed in SEEDS]
    assert not {"predicted", "confusion"} & metrics["runs"]["0"].keys()
    assert str(trained[0].parent) not in metrics["runs"]["0"]["command"]
    assert [entry.name for entry in TrainedModel.from_folder(card).classes] == ["water", "trees", "roofs"]


def test_the_same_runs_give_the_same_bytes(trained, cards):
    before = files(publish(trained, cards))
    assert files(publish(trained, cards, "--replace")) == before


def test_a_golden_pair_is_drawn_again_only_by_a_model_that_gives_the_old_one(trained, cards, monkeypatch):
    golden = publish(trained, cards) / "golden.safetensors"
    before = golden.read_bytes()
    redraw = ["--cards", str(cards), "golden", NAME]
    monkeypatch.setattr(card_files, "GOLDEN_SEED", 1)
    assert card_command(redraw) == 0
    assert golden.read_bytes() != before
    monkeypatch.undo()
    assert card_command(redraw) == 0
    assert golden.read_bytes() == before

    of_another = load_file(golden)
    of_another["logits"] += 1
    save_file(of_another, golden, {"tolerance": "0.001"})
    spoilt = golden.read_bytes()
    with pytest.raises(InputError, match="not the model that was published"):
        card_command(redraw)
    assert golden.read_bytes() == spoilt


@pytest.mark.parametrize(
    ("accuracies", "median"), [([0.5, 0.7, 0.6], 2), ([0.8, 0.5, 0.7, 0.6], 3), ([0.4], 0), ([0.6, 0.6], 0)]
)
def test_the_median_run_is_shipped(accuracies, median):
    runs = [SimpleNamespace(seed=seed, record={"oa": oa}) for seed, oa in enumerate(accuracies)]
    assert median_run(runs).seed == median


def other_split(run, **entries):
    change(run, split={**record_of(run)["split"], **entries})


REFUSALS = {
    "two of a seed": (lambda runs: shutil.copytree(runs[0], runs[1], dirs_exist_ok=True), "both have seed 0"),
    "another config": (
        lambda runs: reconfigure(runs[1], "optim_wrapper.optimizer.lr", 0.01),
        "optim_wrapper.optimizer.lr is 0.01 and 0.001",
    ),
    "a changed config": (lambda runs: change(runs[1], config_sha256="0" * 64), "is of another config"),
    "another part": (lambda runs: other_split(runs[2], part="val"), "scores of the part val, expected test"),
    "another split": (lambda runs: other_split(runs[2], sha256="0" * 64), "its split is 00000000"),
    "scores that do not follow": (lambda runs: change(runs[0], oa=0.99), "the confusion matrix gives"),
    "an older test": (
        lambda runs: change(runs[0], weights={"file": "epoch_2.pth", "sha256": "0" * 64, "epoch": 2}),
        "the training chose these weights .* metrics.json is of epoch_2.pth",
    ),
    "a later test": (lambda runs: change(runs[0], timing_s={"test": 1.0}), "was written by a later test"),
    "chosen on test pixels": (
        lambda runs: (
            [reconfigure(run, "val_dataloader", {"dataset": {}}) for run in runs]
            + [change(run, selection="best oa on validation pixels") for run in runs]
        ),
        "chosen on the part test",
    ),
    "a path of this machine": (
        lambda runs: [reconfigure(run, "optim_wrapper.files", ["/home/me/x"]) for run in runs],
        "optim_wrapper.files.0 is '/home/me/x', a path of this machine",
    ),
    "no test": (lambda runs: (runs[1] / "metrics.json").unlink(), "metrics.json: no such file"),
    "no weights": (
        lambda runs: [(runs[1] / name).unlink() for name in ("last_checkpoint", "weights.json")],
        "holds no weights",
    ),
    "no map": (lambda runs: [(run / "map.png").unlink() for run in runs], "map.png: does not exist"),
    "other weights": (
        lambda runs: [torch.save({"state_dict": SimpleNamespace()}, run / "epoch_3.pth") for run in runs],
        "names epoch_3.pth with sha256",
    ),
    "no work dir": (lambda runs: shutil.rmtree(runs[0]), "does not exist, expected the work dir"),
}


@pytest.mark.parametrize(("spoil", "expected"), REFUSALS.values(), ids=REFUSALS)
def test_runs_that_break_the_protocol_are_refused_and_leave_nothing(runs, cards, spoil, expected):
    spoil(runs)
    with pytest.raises(InputError, match=expected) as refused:
        publish(runs, cards)
    assert "\n" not in str(refused.value)
    assert not cards.exists()


def test_a_leak_that_the_record_does_not_admit_is_refused(runs, cards, monkeypatch):
    monkeypatch.setattr("workshop.publishing.runs.leaked_pixels", lambda *_: 3)
    with pytest.raises(InputError, match="windows contain 0 test pixels, but they contain 3"):
        publish(runs, cards)
    assert not cards.exists()


def test_large_files_and_unsafe_names_are_refused(runs, cards, monkeypatch):
    monkeypatch.setattr(card_files, "LARGEST_FILE", 1000)
    with pytest.raises(InputError, match="MB"):
        publish(runs, cards)
    for name in ("../m3amba-t_tiny", "tiny", ".hidden_tiny"):
        with pytest.raises(InputError, match="expected"):
            main([str(runs[0]), "--name", name, "--cards", str(cards)])
    assert not cards.exists()


def test_replacing_keeps_what_is_written_by_hand_and_failing_keeps_all(runs, cards, monkeypatch):
    readme = publish(runs[:1], cards) / "README.md"
    readme.write_text(readme.read_text().replace("TO BE WRITTEN: what it is", "It maps three classes"))
    before = files(cards / NAME)
    with pytest.raises(InputError, match="--replace"):
        publish(runs, cards)

    def fail(folder):
        raise InputError("no")

    with monkeypatch.context() as patched:
        patched.setattr(publishing, "build_card", fail)
        with pytest.raises(InputError, match="no"):
            publish(runs, cards, "--replace")
    assert files(cards / NAME) == before
    readme.write_text(readme.read_text().replace("TO BE WRITTEN", "Written"))
    publish(runs, cards, "--replace")
    assert "It maps three classes" in readme.read_text()
    assert len(json.loads((cards / NAME / "metrics.json").read_text())["runs"]) == len(SEEDS)
    assert {path.name for path in cards.iterdir()} == {NAME, "README.md", "index.json"}
    assert read_index(cards / "index.json")[NAME].weights in files(cards / NAME)


def test_a_large_map_is_made_small(runs, cards):
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), dtype=np.uint8)
    Image.fromarray(noise).save(runs[0] / "map.png")
    assert (runs[0] / "map.png").stat().st_size > 2**20
    card = publish(runs[:1], cards)
    assert (card / "map.png").stat().st_size <= 2**20
    assert min(Image.open(card / "map.png").size) >= 400


def test_commands_lose_the_folders_of_this_machine():
    command = "m3amba train /home/me/configs/baselines/mft.py --seed 0 --work-dir /x --cfg-options a=/b/c.pth"
    assert portable_command(command) == "m3amba train configs/baselines/mft.py --seed 0 --cfg-options a=c.pth"
