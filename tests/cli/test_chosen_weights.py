"""Which weights a work dir stands for: the final test, Predictor and metrics.json agree."""

import hashlib
from pathlib import Path

import pytest
import torch
from tiny_runs import CONFIG
from toy_commands import VALIDATED_SPLIT, check, record, refusal, train

from m3amba_zoo.engine.checkpoint import SafeCheckpointHook
from m3amba_zoo.evaluation.scene_metric import SceneMetric
from m3amba_zoo.hub.trained_model import TrainedModel, find_weights
from m3amba_zoo.models.weights import trained_weights

VALIDATION = """
val_dataloader = dict(
    sampler=dict(type="DefaultSampler", shuffle=False, round_up=False),
    dataset=dict(type="SceneWindows", overlap=0.5, part="val", **data),
    **loader,
)
val_evaluator = dict(type="SceneMetric")
val_cfg = dict(type="ValLoop")
default_hooks = dict(checkpoint=dict(save_best={scores}, rule="greater"))
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A config whose scores on validation pixels are given: ``write(scores, oa, kappa)``."""
    monkeypatch.chdir(tmp_path)
    path, evaluate = Path("tiny.py"), SceneMetric.evaluate
    text = CONFIG.replace('split=dict(type="official")', VALIDATED_SPLIT)
    text = text.replace("scenes=1)", "scenes=1, height=40, width=42)").replace("views=8", "views=1")

    def write(scores, oa, kappa=(0.1, 0.2, 0.3)):
        path.write_text(text + VALIDATION.format(scores=scores))
        said = iter([{"oa": one, "kappa": other} for one, other in zip(oa, kappa, strict=True)])

        def scripted(self, size):
            found = evaluate(self, size)
            return found | (next(said) if self.dataset_meta["part"] == "val" else {})

        monkeypatch.setattr(SceneMetric, "evaluate", scripted)
        return path

    return write


def assert_all_say(file, epoch, rule, run="run"):
    """Check that test, record and Predictor took the same file, and that it holds that epoch."""
    path = Path(run, file)
    assert torch.load(path, weights_only=True)["meta"]["epoch"] == epoch
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert record(run)["weights"] == {"file": path.name, "sha256": sha256, "epoch": epoch}
    assert record(run)["model"]["epochs"] == epoch
    assert record(run)["selection"] == rule
    assert find_weights(Path(run)).resolve() == path.resolve()
    log = max(Path(run).glob("*/*.log"), key=lambda log: log.stat().st_mtime_ns).read_text()
    assert log.rindex(f"Load checkpoint from {path.resolve()}") > log.rindex("Saving checkpoint")


def test_of_several_scores_the_first_decides(config):
    train(config('["oa", "kappa"]', oa=(0.1, 0.3, 0.2)), "--work-dir", "run")
    assert sorted(path.name for path in Path("run").glob("best_*")) == [
        "best_kappa_epoch_3.pth",
        "best_oa_epoch_2.pth",
    ]
    assert_all_say("best_oa_epoch_2.pth", 2, "best oa on validation pixels")


def test_a_second_training_in_a_folder_leaves_no_stale_answer(config):
    train(config('"oa"', oa=(0.1, 0.3, 0.2)), "--work-dir", "run")
    assert_all_say("best_oa_epoch_2.pth", 2, "best oa on validation pixels")
    train(config('"oa"', oa=(0.4, 0.3, 0.2)), "--work-dir", "run", "--no-test", "--overwrite")
    assert not Path("run/metrics.json").exists()  # of the first training
    assert find_weights(Path("run")) == Path("run/best_oa_epoch_1.pth")
    train(config('"oa"', oa=(0.1, 0.2, 0.3)), "--work-dir", "run", "--overwrite")
    assert_all_say("best_oa_epoch_3.pth", 3, "best oa on validation pixels")
    Path("run").rename("moved")
    assert find_weights(Path("moved")) == Path("moved/best_oa_epoch_3.pth")
    assert TrainedModel.from_folder(Path("moved")).window == 8


def test_a_run_that_goes_on_elsewhere_keeps_its_best_weights(config):
    # the validation of epoch 3 is made again: its checkpoint was written before it and cannot know of it
    path = config('"oa"', oa=(0.1, 0.3, 0.2, 0.2), kappa=(0.0,) * 4)
    train(path, "--work-dir", "old", "--no-test")
    train(path, "--work-dir", "run", "--resume", "old/epoch_3.pth")
    said = record()
    assert (said["weights"]["file"], said["selection"]) == (
        "best_oa_epoch_2.pth",
        "best oa on validation pixels",
    )
    assert find_weights(Path("run")).resolve() == Path("old/best_oa_epoch_2.pth").resolve()


def test_a_checkpoint_of_another_epoch_is_tested_as_what_it_is(config):
    path = config('"oa"', oa=(0.1, 0.3, 0.2))
    train(path, "--work-dir", "run")
    check(path, "run/epoch_3.pth", "--work-dir", "by_name")
    assert (record("by_name")["weights"]["epoch"], record("by_name")["selection"]) == (
        3,
        "none, epoch_3.pth was given by name",
    )
    check(path, "run/best_oa_epoch_2.pth", "--work-dir", "chosen")
    assert record("chosen")["selection"] == "best oa on validation pixels"


def test_weights_that_changed_since_or_that_nobody_chose_are_not_taken(config):
    train(config('"oa"', oa=(0.1, 0.3, 0.2)), "--work-dir", "run", "--no-test")
    best, answer = Path("run/best_oa_epoch_2.pth"), Path("run/weights.json")
    kept = best.read_bytes()
    best.write_bytes(Path("run/epoch_3.pth").read_bytes())
    assert "names best_oa_epoch_2.pth with sha256" in refusal(find_weights, Path("run"))
    best.write_bytes(kept)
    answer.unlink()  # an earlier version has written none
    assert "chose best_oa_epoch_2.pth or the last checkpoint" in refusal(find_weights, Path("run"))
    answer.write_text("{}")
    assert "weights.json: damaged" in refusal(find_weights, Path("run"))


def test_an_extended_run_says_so_and_is_not_published(config):
    from workshop.publishing.runs import read_runs

    path = config('"oa"', oa=(0.1, 0.3, 0.2))
    train(path, "--work-dir", "run")
    clean = record()
    assert clean["extended"] == []
    path = config('"oa"', oa=(0.2, 0.1), kappa=(0.1, 0.1))
    longer = ("--resume", "--extend", "--cfg-options", "train_cfg.max_epochs=4")
    train(path, "--work-dir", "run", *longer)
    said = record()
    assert [(one["epoch"], one["config_sha256"]) for one in said["extended"]] == [(3, clean["config_sha256"])]
    assert "extended after epoch 3 (train_cfg.max_epochs changed)" in refusal(read_runs, [Path("run")])
    check(path, "run/epoch_4.pth", "--work-dir", "again", *longer[2:])
    assert record("again")["extended"] == said["extended"]
    assert record("again")["config_sha256"] == said["config_sha256"]


def test_a_second_training_that_stops_before_its_first_checkpoint_leaves_no_weights(config, monkeypatch):
    train(config('"oa"', oa=(0.1, 0.3, 0.2)), "--work-dir", "run")

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(SafeCheckpointHook, "_save_checkpoint_with_step", stop)
    with pytest.raises(KeyboardInterrupt):
        train(config('"oa"', oa=(0.4, 0.3, 0.2)), "--work-dir", "run", "--overwrite")
    assert not [*Path("run").glob("*.pth"), *Path("run").glob("*.json")]
    assert trained_weights(Path("run")) is None


@pytest.mark.parametrize(
    "content",
    ['{"file": 5, "sha256": "a", "rule": "x"}', '{"file": "a", "sha256": "b", "rule": null}', "[" * 99999],
)
def test_a_damaged_answer_is_refused_before_the_test(config, content):
    path = config('"oa"', oa=(0.1, 0.3, 0.2))
    train(path, "--work-dir", "run", "--no-test")
    Path("run/weights.json").write_text(content)
    assert "weights.json: damaged" in refusal(check, path, "run/epoch_3.pth", "--work-dir", "new")
    assert not Path("new").exists()
