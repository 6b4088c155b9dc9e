"""Runs side by side: differences are right, and what cannot be compared is said."""

import json
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
from pages import parse, small_run, unpack

from m3amba_zoo.cli.report import main
from m3amba_zoo.errors import DataNotFoundError, InputError
from m3amba_zoo.evaluation.scores import pack_predicted, unpack_predicted
from m3amba_zoo.maps.geotiff import write_class_map
from m3amba_zoo.reporting.comparison import Run, write_comparison
from m3amba_zoo.scenes.scene import LandClass

CLASSES = tuple(LandClass(name, (0, 0, 0)) for name in "abcd")


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


def test_equal_runs_are_said_to_be_so_and_a_map_of_another_size_is_named(runs, tmp_path):
    same = runs["one"][3]
    (tmp_path / "two" / "metrics.json").write_text(json.dumps(same))
    classes = runs["two"][0].classes
    write_class_map(tmp_path / "two" / "maps" / "tiny0.tif", np.ones((20, 20), np.uint8), classes)
    main(["one", "two"])
    page = parse(tmp_path / "comparison.html")
    words = " ".join(page.words)
    assert "No difference: both have the same shares in each cell" in words
    assert "confusion1" not in page.data["figures"]
    assert "two and one give the same class to each of the 336 scored pixels" in words
    assert "tiny0: the map of two has 20 x 20 pixels and that of one 20 x 21" in words
    assert [layer["name"] for layer in page.data["pictures"][0]["layers"]] == ["one"]
    assert len(page.data["pictures"][1]["layers"]) == 3


def test_rasters_lie_below_the_maps_where_the_data_is_there(runs, tmp_path):
    data = runs["one"][0]
    other = small_run(height=24)[0].scenes[1]
    both = [Run(name, tmp_path / name, record) for name, (*_, record) in runs.items()]
    write_comparison(tmp_path / "with.html", both, lambda: replace(data, scenes=[data.scenes[0], other]))
    shown = [picture["backgrounds"] for picture in parse(tmp_path / "with.html").data["pictures"]]
    assert [entry["name"] for entry in shown[0]] == ["hsi", "sar"]
    assert shown[0][0]["source"].startswith("data:image/png")
    assert shown[1] == [], "a scene of another size than its map is not drawn below it"

    def absent():
        raise DataNotFoundError("tiny: is not on this machine")

    write_comparison(tmp_path / "without.html", both, absent)
    page = parse(tmp_path / "without.html")
    assert "No rasters lie below the maps: tiny: is not on this machine." in " ".join(page.words)
    assert len(page.data["pictures"]) == 2


def test_few_pixels_that_differ_are_not_none(runs, tmp_path):
    record = runs["one"][3]
    classes = unpack_predicted(record["predicted"], record["pixels"]).copy()
    other = np.flatnonzero(classes != classes[0])[0]
    classes[[0, other]] = classes[[other, 0]]  # as many of each class as the confusion matrix has
    (tmp_path / "two" / "metrics.json").write_text(
        json.dumps({**record, "predicted": pack_predicted(classes)})
    )
    main(["one", "two"])
    assert "differ on 2 of the 336 scored pixels (0.6%)" in " ".join(
        parse(tmp_path / "comparison.html").words
    )


def test_a_map_of_other_classes_than_the_records_is_refused(runs, tmp_path):
    write_class_map(tmp_path / "two" / "maps" / "tiny0.tif", np.full((20, 21), 4, np.uint8), CLASSES)
    with pytest.raises(InputError, match=r"tiny0\.tif: has the class 4, expected 1 to 3"):
        main(["one", "two"])
    assert not (tmp_path / "comparison.html").exists()


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
