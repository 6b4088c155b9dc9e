"""Runs side by side: differences are right, and what cannot be compared is said."""

import json

import numpy as np
import plotly.graph_objects as go
import pytest
from pages import parse, small_run, unpack

from m3amba_zoo.cli.report import main
from m3amba_zoo.errors import InputError
from m3amba_zoo.maps.geotiff import write_class_map


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two runs of other seeds, in the folders ``one`` and ``two``."""
    monkeypatch.chdir(tmp_path)
    made = {}
    for seed, name in enumerate(("one", "two")):
        data, found, _, record = made[name] = small_run(seed=seed)
        maps = tmp_path / name / "maps"
        maps.mkdir(parents=True)
        (tmp_path / name / "metrics.json").write_text(json.dumps(record))
        for scene in data.scenes:
            write_class_map(maps / f"{scene.name}.tif", found.class_maps[scene.name], scene.classes)
    return made


def test_scores_maps_and_classes_stand_side_by_side(runs, tmp_path, capsys):
    assert main(["one", "two"]) == 0
    assert "wrote comparison.html" in capsys.readouterr().out
    page = parse(tmp_path / "comparison.html")
    (_, one, _, record), (_, two, _, other) = runs["one"], runs["two"]
    words = " ".join(page.words)
    assert f"{other['oa']:.2%}".replace("%", " %") in words
    assert 'class="delta"' in (tmp_path / "comparison.html").read_text()
    assert f"({100 * (other['oa'] - record['oa']):+.2f})" in words
    picture = page.data["pictures"][0]
    assert [layer["name"] for layer in picture["layers"]] == ["one", "two", "two ≠ one"]
    maps = [run.class_maps["tiny0"] for run in (one, two)]
    expected = np.where(maps[0] == maps[1], 1, 2)
    np.testing.assert_array_equal(unpack(picture["layers"][2]["plane"]).reshape(20, 21), expected)
    shares = [
        np.array(each["confusion"]) / np.sum(each["confusion"], axis=1)[:, None] for each in (record, other)
    ]
    shown = page.data["figures"]["confusion1"]["data"][0]["z"]
    np.testing.assert_allclose(shown, 100 * (shares[1] - shares[0]), atol=1e-5)
    for figure in page.data["figures"].values():
        go.Figure(figure)
    with pytest.raises(InputError, match=r"comparison\.html: exists; --overwrite"):
        main(["one", "two"])


def test_runs_of_other_pixels_or_classes_are_named_and_one_run_will_do(runs, tmp_path):
    record = runs["two"][3]
    record["split"]["test_sha256"] = "other"
    record["per_class"][0]["name"] = "<lake>"
    (tmp_path / "two" / "metrics.json").write_text(json.dumps(record))
    main(["one", "two", "--overwrite"])
    page = parse(tmp_path / "comparison.html")
    words = " ".join(page.words)
    assert "two was scored on other pixels than one: their scores cannot be compared" in words
    assert "two has other classes than one" in words
    assert 'class="delta"' not in (tmp_path / "comparison.html").read_text()  # to scores on other pixels
    assert {"classes", "confusion0"} <= page.data["figures"].keys()
    main(["two", "--out", "two.html"])
    assert [layer["name"] for layer in parse(tmp_path / "two.html").data["pictures"][0]["layers"]] == ["two"]


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (["one", "./absent"], "absent: no such folder"),
        (["one", "./one"], "one: is given twice"),
        (["one", "two", "--out", "page.pdf"], r"page\.pdf: is no name of a page"),
        (["one", "two", "--out", "absent/page.html"], r"page\.html: cannot be written"),
    ],
)
def test_wrong_arguments_are_refused_in_a_sentence(runs, arguments, refusal):
    with pytest.raises(InputError, match=refusal):
        main(arguments)
