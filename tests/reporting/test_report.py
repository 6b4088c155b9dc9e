"""report.html: what it holds is what the run found, and it never spoils a run."""

import json
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
from matplotlib.image import imread
from pages import CENTRES, parse, small_run, unpack, unpack_numbers
from tiny_runs import CONFIG

from m3amba_zoo.cli.train import main
from m3amba_zoo.errors import InputError
from m3amba_zoo.models.baselines.classical import log_probabilities
from m3amba_zoo.reporting import REPORT_FILE, run_report, write_report, write_results
from m3amba_zoo.reporting.colors import safe_colors
from m3amba_zoo.reporting.figures import curve_figures, read_curves
from m3amba_zoo.reporting.layers import LEVELS, choose, draw_scenes, entropy
from m3amba_zoo.scenes.palette import SAFE_COLORS


def write(folder, run, warnings=None):
    data, found, logits, record = run
    warn = pytest.fail if warnings is None else warnings.append
    return write_report(folder, record, data, found.class_maps, logits, warn)


def test_layers_samples_and_probabilities_are_those_of_the_run(tmp_path):
    data, found, logits, _ = run = small_run()
    page = parse(write(tmp_path, run))
    assert [picture["title"] for picture in page.data["pictures"]] == ["tiny0", "tiny1"]
    for scene, stitched, picture in zip(data.scenes, logits, page.data["pictures"], strict=True):
        planes = {layer["name"]: unpack(layer["plane"]).reshape(scene.shape) for layer in picture["layers"]}
        masks = data.split.masks[scene.name]
        class_map = found.class_maps[scene.name]
        np.testing.assert_array_equal(planes["prediction"], class_map)
        np.testing.assert_array_equal(planes["reference"], scene.labels)
        np.testing.assert_array_equal(planes["split"], masks["train"] + 3 * masks["test"])
        wrong = np.where(masks["test"], 1 + (class_map != scene.labels), 0)
        np.testing.assert_array_equal(planes["errors"], wrong)
        assert wrong.max() == 2

        sample = picture["samples"]
        rows, columns = (unpack(sample[axis], np.uint16) for axis in "yx")
        assert len(rows) == sample["count"] > 50
        for name, raster in scene.rasters.items():
            shown = unpack_numbers(sample["spectra"][name])
            values = raster.floats()[:, rows, columns].T
            np.testing.assert_allclose(shown, values, atol=sample["spectra"][name]["step"])
        expected = np.exp(log := stitched.mean()[:, rows, columns]) / np.exp(log).sum(0)
        np.testing.assert_allclose(unpack_numbers(sample["probabilities"]), expected.T, atol=1e-4)
    assert page.data["modalities"]["hsi"]["wavelengths"] == CENTRES.tolist()
    assert page.data["pictures"][0]["members"][0] | {"name": ""} == {
        "name": "", "x": 0, "y": 0, "width": 21, "height": 20, "row": 0, "column": 0, "step": 1
    }  # fmt: skip


def test_the_entropy_is_none_of_a_certain_class_and_full_of_equal_ones():
    _, _, (logits, _), _ = small_run()
    logits.total[:, 0, 0] = 0
    logits.total[:, 0, 1] = [100, 0, 0]
    logits.count[0, 2] = 0
    logits.total[:, 0, 3] = log_probabilities(np.array([0.5, 0.5, 0.0]))
    shown = entropy(logits)
    half = 1 + round(LEVELS * np.log(2) / np.log(3))
    assert shown[0, :4].tolist() == [1 + LEVELS, 1, 0, half]


def test_the_page_says_what_the_run_is_and_asks_nobody(tmp_path):
    path = write(tmp_path, small_run())
    page = parse(path)
    words = " ".join(page.words)
    for told in ("c0ffee", "facade", "small.pth", "Leak meter", "OA by position alone", "100.0%"):
        assert told in words
    assert page.links
    assert all(link.startswith("data:") for link in page.links)
    assert "default-src 'none'" in path.read_text()
    for name in ("confusion", "classes"):
        go.Figure(page.data["figures"][name])  # refuses what Plotly does not know
    assert page.data["figures"]["confusion"]["data"][0]["customdata"] == small_run()[3]["confusion"]


def test_scores_are_percent_and_a_users_own_are_shown(tmp_path):
    run = small_run()
    run[3].update(g_mean=0.55123, found=True, remark="none")
    run[3]["model"]["trained_parameters"] = 10
    words = " ".join(" ".join(parse(write(tmp_path, run)).words).split())
    assert f"kappa x 100 {100 * run[3]['kappa']:.2f} " in words
    assert f"ECE {100 * run[3]['ece']:.2f} %" in words
    assert "g_mean 0.5512" in words
    assert "parameters in all 12 trained parameters 10" in words
    assert "remark" not in words
    assert "found" not in words


def test_numbers_that_are_not_finite_are_no_json_and_become_null(tmp_path):
    run = small_run()
    hsi = run[0].scenes[0].rasters["hsi"]
    run[0].scenes[0].rasters["hsi"] = replace(hsi, wavelengths=np.array([np.nan, *CENTRES[1:]]))
    page = parse(write(tmp_path, run))
    assert page.data["modalities"]["hsi"]["wavelengths"] == [None, *CENTRES[1:]]
    assert "NaN" not in page.text


def test_ticks_of_few_epochs_are_whole_and_curves_of_one_of_two_runs_are_named():
    curves = {"loss": [(1, 2.0), (2, 1.0)], "oa": [(1, 0.5), (2, 0.6)]}
    assert curve_figures({"": curves})["validation"]["layout"]["xaxis"]["dtick"] == 1
    long = {"loss": [(step, 1.0) for step in range(100)]}
    assert "dtick" not in curve_figures({"": long})["loss"]["layout"]["xaxis"]
    assert not curve_figures({"": long})["loss"]["layout"]["showlegend"]
    of_two = curve_figures({"one": long, "two": {}})["loss"]
    assert of_two["layout"]["showlegend"]
    assert of_two["data"][0]["name"] == "one"


def test_texts_of_the_user_stay_texts(tmp_path):
    names = ("</script><script id='evil'>", "<b>bold</b> & co", "roofs")
    run = small_run(names)
    run[3]["model"]["name"] = "<img src=x onerror=alert(1)>"
    run[3]["command"] = "m3amba train <i>.py"
    page = parse(write(tmp_path, run))
    assert page.scripts == ["data", "plotly", ""]
    assert all(link.startswith("data:") for link in page.links)
    assert [entry["name"] for entry in page.data["classes"]] == list(names)
    assert page.data["figures"]["confusion"]["data"][0]["x"][1] == "&lt;b&gt;bold&lt;/b&gt; &amp; co"


def finish(folder, run, warnings):
    data, found, logits, record = run
    record = {**record, "inputs": {}}
    return write_results(folder, record, data, found.class_maps, logits, warnings.append, with_report=True)


def test_names_that_look_like_formulas_cost_no_result(tmp_path):
    warnings = []
    assert finish(tmp_path, small_run((r"roof $\foo$", "$a_b$", "_price $5")), warnings)
    assert warnings == []
    assert imread(tmp_path / "map.png").size


def test_a_picture_that_fails_is_one_line_and_the_results_are_there(tmp_path, monkeypatch):
    (tmp_path / "map.png").write_bytes(b"of an earlier run")
    monkeypatch.setattr("m3amba_zoo.visualization.maps.draw_sheet", lambda *_: 1 / 0)
    warnings = []
    finish(tmp_path, small_run(), warnings)
    assert len(warnings) == 1
    assert "map.png: not written (ZeroDivisionError" in warnings[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["maps", "metrics.json", "report.html"]


def test_what_cannot_be_drawn_is_one_line_and_the_rest_is_written(tmp_path, monkeypatch):
    def fail(*_):
        raise ValueError("no colour today")

    monkeypatch.setattr(run_report, "draw_scenes", fail)
    warnings = []
    page = parse(write(tmp_path, small_run(), warnings))
    assert len(warnings) == 1
    assert "written without the maps (ValueError: no colour today)" in warnings[0]
    assert "confusion" in page.data["figures"]

    warnings.clear()
    assert write(tmp_path / "absent", small_run(), warnings) is None
    assert len(warnings) == 1
    assert "cannot be written" in warnings[0]


def test_many_scenes_are_cut_to_size_and_the_page_says_so(tmp_path, monkeypatch):
    data, found, _, _ = run = small_run(scenes=3)
    two = draw_scenes(data.scenes[:2], found.class_maps, data.split, "test", {})
    size = sum(len(text) for picture in two.pictures for text in run_texts(picture))
    monkeypatch.setattr("m3amba_zoo.reporting.layers.MOST_BYTES", size + 100)
    run = (data, found, None, run[3])
    page = parse(write(tmp_path, run))
    assert len(page.data["pictures"]) == 2
    assert "2 of 3 scenes are shown" in " ".join(page.words)
    assert "uncertainty" not in [layer["name"] for layer in page.data["pictures"][0]["layers"]]
    assert page.data["pictures"][0]["samples"]["probabilities"] is None


def test_a_page_of_a_scene_as_large_as_houston_stays_small(tmp_path):
    # noise, which no packing makes smaller
    path = write(tmp_path, small_run(scenes=1, height=349, width=1905))
    assert 2 * 2**20 < path.stat().st_size < 15_000_000
    assert len(parse(path).data["pictures"][0]["members"]) == 1


def run_texts(node):
    if isinstance(node, str):
        return [node]
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [text for child in children for text in run_texts(child)]


def test_a_sample_has_each_class_alike_and_pixels_without_labels():
    labels = np.zeros((40, 50), np.uint8)
    labels[:, :20] = 1
    labels[:2, 20:25] = 2
    class_map = np.ones_like(labels)
    class_map[:, 45:] = 0
    rows, columns = choose(labels, class_map, 200)
    assert len(rows) == 200
    drawn = np.bincount(labels[rows, columns], minlength=3)
    assert drawn[2] == 10  # all there are
    assert drawn[1] >= 50
    assert drawn[0] > 20
    assert (columns < 45).all()
    again = choose(labels, class_map, 200)
    np.testing.assert_array_equal(np.stack(again), np.stack((rows, columns)))
    assert len(choose(labels * 0, class_map * 0, 10)[0]) == 0


def test_curves_join_the_starts_of_a_run(tmp_path):
    def log(start, lines):
        folder = tmp_path / start / "vis_data"
        folder.mkdir(parents=True)
        (folder / "scalars.json").write_text("\n".join(map(json.dumps, lines)) + '\n{"loss": 1, "st')

    steps = [{"loss": 10.0 - step, "lr": 0.1, "step": step, "epoch": 1} for step in (1, 2, 3)]
    log("20200101_000000", [*steps, {"oa": 0.5, "step": 1}, {"loss": float("nan"), "step": 4}])
    log("20200102_000000", [{"loss": 5.0, "lr": 0.2, "step": 3}])
    assert read_curves(tmp_path) == {
        "loss": [(1, 9.0), (2, 8.0), (3, 5.0)],
        "lr": [(1, 0.1), (2, 0.1), (3, 0.2)],
        "oa": [(1, 0.5)],
    }


def test_colours_are_those_of_okabe_and_ito_first_and_the_tables_last():
    table = [(index, 1, 2) for index in range(30)]
    colors = safe_colors(table)
    assert len(set(colors)) == 30
    assert colors[0] == "#0072b2"
    assert colors[len(SAFE_COLORS) :] == [f"#{index:02x}0102" for index in range(21, 30)]


def train(arguments):
    return main(arguments)


def test_a_training_writes_it_and_report_false_leaves_all_else_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "tiny.py"
    config.write_text(CONFIG.replace("max_epochs=3", "max_epochs=2"))
    logging = ["--cfg-options", "default_hooks.logger.interval=1"]
    assert train(["tiny.py", "--work-dir", "with", *logging]) == 0
    page = parse(tmp_path / "with" / REPORT_FILE)
    assert {"loss", "rate", "confusion", "classes"} <= page.data["figures"].keys()
    steps = page.data["figures"]["loss"]["data"][0]
    assert (steps["name"], steps["x"]) == ("loss", [1, 2, 3, 4])
    assert page.data["pictures"][0]["samples"]["probabilities"] is not None
    for figure in page.data["figures"].values():
        go.Figure(figure)

    assert train(["tiny.py", "--work-dir", "without", *logging, "report=False"]) == 0
    assert not (tmp_path / "without" / REPORT_FILE).exists()
    records = [json.loads((tmp_path / run / "metrics.json").read_text()) for run in ("with", "without")]
    for record in records:
        for changing in ("timing_s", "pixels_per_second", "memory_mib", "command", "weights", "commit"):
            record.pop(changing)
    assert records[0] == records[1]

    # results that replace earlier ones do not leave the earlier report
    train(["tiny.py", "--work-dir", "with", "--overwrite", *logging, "report=False"])
    assert not (tmp_path / "with" / REPORT_FILE).exists()
    with pytest.raises(InputError, match="report is 'no', expected True or False"):
        train(["tiny.py", "--work-dir", "wrong", "--cfg-options", "report=no"])
