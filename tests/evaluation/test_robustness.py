"""Disturbances of rasters, and a network's scores under them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tiny_runs import train_run

from m3amba_zoo.cli.robustness import main as robustness
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation import confusion_matrix, scores
from m3amba_zoo.evaluation.disturbances import Missing, Noisy, Shifted, WithoutBands, draw_bands
from m3amba_zoo.evaluation.robustness import RobustnessTest, plan, summary
from m3amba_zoo.hub import TrainedModel
from m3amba_zoo.inference import Predictor
from m3amba_zoo.rasters import Raster
from m3amba_zoo.registry import SOURCES

SCENE = SOURCES.build({"type": "tiny"}).load()[0]  # hsi: 6 bands with one missing pixel, sar: 2 bands


@pytest.fixture(scope="module")
def run():
    return train_run(0)


@pytest.fixture(scope="module")
def tested(run):
    trained = TrainedModel.from_folder(run)
    return RobustnessTest(trained.model.eval(), trained.config.test_dataloader)


@pytest.mark.parametrize(("rows", "columns"), [(2, 0), (-3, 0), (0, 1), (0, -4), (0, 0)])
def test_a_shift_moves_the_content_and_what_nothing_moves_to_is_missing(rows, columns):
    moved = Shifted(("sar",), rows, columns).apply(SCENE, 0)
    before, after = SCENE.rasters["sar"].floats(), moved.rasters["sar"].floats()
    height, width = SCENE.shape
    for row in range(height):
        for column in range(width):
            there = 0 <= row - rows < height and 0 <= column - columns < width
            expected = before[:, row - rows, column - columns] if there else [np.nan, np.nan]
            np.testing.assert_array_equal(after[:, row, column], expected)
    assert moved.rasters["hsi"] is SCENE.rasters["hsi"]
    assert moved.labels is SCENE.labels


def test_noise_has_the_stated_power_in_each_band_and_leaves_missing_values_so():
    generator = np.random.default_rng(0)
    spread = np.array([1.0, 50.0])[:, None, None]
    data = (generator.normal(0, spread, (2, 300, 300)) - 700).astype(np.float32)
    data[:, :30] = -9999
    rasters, labels = {"sar": Raster(data, nodata=-9999)}, np.zeros((300, 300), np.uint8)
    scene = replace(SCENE, rasters=rasters, labels=labels, official=None)
    before = scene.rasters["sar"].floats()
    for snr_db in (10, 30):
        noise = Noisy(("sar",), snr_db).apply(scene, 0).rasters["sar"].floats() - before
        assert np.isnan(noise[:, :30]).all()
        ratio = before[:, 30:].var(axis=(1, 2)) / noise[:, 30:].var(axis=(1, 2))
        np.testing.assert_allclose(10 * np.log10(ratio), snr_db, atol=0.1)
        assert abs(np.corrcoef(noise[:, 30:].reshape(2, -1))[0, 1]) < 0.02, "bands have noise of their own"
    first, again, other = (
        Noisy(("sar",), 20, draw=draw).apply(scene, index).rasters["sar"].data
        for draw, index in ((0, 0), (0, 0), (1, 0))
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[:, 30:], other[:, 30:])


def test_drawn_bands_are_of_the_stated_number_and_larger_shares_hold_smaller_ones():
    tenth, quarter, half = (draw_bands(30, share, 0, 0) for share in (0.1, 0.25, 0.5))
    assert [len(tenth), len(quarter), len(half)] == [3, 8, 15]
    assert set(tenth) < set(quarter) < set(half) <= set(range(30))
    assert draw_bands(30, 0.5, 0, 1) != half != draw_bands(30, 0.5, 1, 0)
    assert len(draw_bands(2, 0.9, 0, 0)) == len(draw_bands(2, 0.1, 0, 0)) == 1
    lost = WithoutBands("hsi", (0, 4)).apply(SCENE, 0).rasters["hsi"]
    assert np.isnan(lost.data).all(axis=(1, 2)).tolist() == [True, False, False, False, True, False]


def test_the_plan_has_a_row_for_each_disturbance_that_a_network_can_meet():
    rows = plan({"hsi": 6, "sar": 2}, draws=2)
    counts = [(row.facts["kind"], len(row.trials)) for row in rows]
    expected = [
        ("none", 1),
        *[("missing", 1)] * 2,
        *[("shift", 4)] * 4,
        *[("noise", 2)] * 4,
        *[("bands", 2)] * 3,
    ]
    assert counts == expected
    moved = [trial.disturbance for row in rows if row.facts["kind"] == "shift" for trial in row.trials]
    assert {shift.modalities for shift in moved} == {("sar",)}
    assert {row.facts["kind"] for row in plan({"hsi": 6})} == {"none", "noise", "bands"}
    assert {row.facts["kind"] for row in plan({"dem": 1})} == {"none", "noise"}
    with pytest.raises(InputError, match="draws is 0"):
        plan({"hsi": 6}, draws=0)


def test_what_does_not_disturb_leaves_the_score_of_the_test(run, tested):
    record = json.loads((run / "metrics.json").read_text())
    undisturbed = tested.score(None)
    assert undisturbed == {score: record[score] for score in ("oa", "aa", "kappa")}
    for nothing in (Noisy(("hsi", "sar"), np.inf), Shifted(("sar",), 0, 0), WithoutBands("hsi", ())):
        assert tested.score(nothing) == undisturbed


def test_a_missing_modality_scores_as_a_prediction_with_that_raster_empty(run, tested):
    data = tested.windows.data
    (scene,) = data.scenes
    empty = np.full_like(scene.rasters["hsi"].floats(), np.nan)
    class_map = Predictor(run).predict({"hsi": empty, "sar": scene.rasters["sar"]}).class_map
    test = data.split.masks[scene.name]["test"]
    found = scores(confusion_matrix(scene.labels[test], class_map[test], 3), ["a", "b", "c"])
    assert tested.score(Missing("hsi")) == {score: found[score] for score in ("oa", "aa", "kappa")}


def test_the_command_goes_on_where_it_stopped_and_refuses_another_model(run, tmp_path, capsys):
    out = tmp_path / "robustness.json"
    command = [str(run), "--out", str(out), "--draws", "1"]
    assert robustness(command) == 0
    whole = json.loads(out.read_text())
    assert "misregistered by 4 pixels" in capsys.readouterr().out
    cut = json.loads(out.read_text())
    for row in cut["rows"][5:]:
        row["trials"] = row["trials"][1:]
    cut["rows"][0]["trials"][0]["oa"] = 0.125  # is kept: it is not scored again
    cut["command"] = "m3amba robustness first"
    begun = {**cut, "versions": {**cut["versions"], "torch": "1.0"}}
    out.write_text(json.dumps(begun))
    with pytest.raises(
        InputError, match=r"was begun with versions torch 1\.0, now it is torch .*--overwrite"
    ):
        robustness(command)
    assert json.loads(out.read_text()) == begun
    out.write_text(json.dumps(cut))
    assert robustness([*command, "--json"]) == 0
    gone_on = json.loads(capsys.readouterr().out)
    assert gone_on == json.loads(out.read_text())
    assert gone_on["command"] == "m3amba robustness first"
    assert gone_on["rows"][0]["trials"][0]["oa"] == 0.125
    for before, after in zip(whole["rows"][1:], gone_on["rows"][1:], strict=True):
        assert summary(before)["mean"] == pytest.approx(summary(after)["mean"])
    gone_on["commit"] = "f" * 40  # of what is finished nothing is scored, so that any software shows it
    out.write_text(json.dumps(gone_on))
    assert robustness([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == gone_on == json.loads(out.read_text())
    with pytest.raises(InputError, match="has draws 1, now it is 2; --overwrite replaces it"):
        robustness([*command[:-1], "2"])
    assert json.loads(out.read_text()) == gone_on
    out.write_text("{}")
    with pytest.raises(InputError, match=r"robustness\.json"):
        robustness(command)


def test_what_has_no_windows_of_rasters_is_refused(tested):
    with pytest.raises(InputError, match=r"expected test_dataloader\.dataset of type"):
        RobustnessTest(tested.model, {"dataset": {"type": "ToyDataset"}})
