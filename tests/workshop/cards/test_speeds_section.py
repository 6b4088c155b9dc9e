"""A card's section on speeds: of validation pixels, there with its file, refused if of other weights."""

import json

import pytest
from tiny_runs import CONFIG, NAME, finished_card, train_run

from m3amba_zoo.cli.train import main as train
from m3amba_zoo.errors import InputError
from workshop.cards import build_card, check_card
from workshop.cli.card import main

VAL = 'split=dict(type="official", val=dict(fraction=0.4, guard=0))'


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    """A card of a model that was trained without validation pixels, with its speeds."""
    folder = tmp_path_factory.mktemp("speeds")
    config = folder / "m3amba_tiny.py"
    config.write_text(CONFIG.replace('split=dict(type="official")', VAL))
    train([str(config), "--work-dir", str(folder / "work")])
    card = finished_card([folder / "work"], folder / "cards")
    assert main(["--cards", str(card.parent), "speeds", NAME]) == 0
    return card


def test_speeds_are_measured_on_validation_pixels_and_shown(card):
    found = json.loads((card / "speeds.json").read_text())
    record = next(iter(json.loads((card / "metrics.json").read_text())["runs"].values()))
    assert found["pixels"] == record["split"]["pixels"]["val"] > 0
    assert list(found["speeds"]) == ["best", "balanced", "fast"]
    assert "is stale" in check_card(card)[0]
    build_card(card)
    assert check_card(card) == []
    section = (card / "README.md").read_text().partition("## Speed\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("| `")]
    assert [row[0].strip() for row in rows] == ["`best`", "`balanced`", "`fast`"]
    best, fast = (found["speeds"][speed] for speed in ("best", "fast"))
    assert [float(row[1]) for row in rows] == [
        pytest.approx(100 * of["oa"], abs=0.051) for of in found["speeds"].values()
    ]
    shown = rows[2][4].strip()
    assert float(shown) == pytest.approx(100 * (fast["oa"] - best["oa"]), abs=0.051)


def test_speeds_of_other_weights_are_refused(card):
    path = card / "speeds.json"
    before = path.read_text()
    path.write_text(json.dumps(json.loads(before) | {"weights_sha256": "0" * 64}))
    with pytest.raises(InputError, match=r"speeds\.json: is of weights with sha256 00000000, but"):
        build_card(card)
    path.write_text(before)


def test_a_test_part_that_is_predicted_otherwise_is_noticed(card):
    path = card / "metrics.json"
    before = path.read_text()
    record = json.loads(before)
    record["runs"][str(record["seed"])]["oa"] -= 0.01
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"the test part has OA 1\.0000 when .* but metrics\.json says"):
        main(["--cards", str(card.parent), "speeds", NAME])
    path.write_text(before)


def test_without_validation_pixels_there_is_nothing_to_compare(tmp_path):
    card = finished_card([train_run(0)], tmp_path)
    with pytest.raises(InputError, match=r"split 'official.*' has no validation pixels"):
        main(["--cards", str(tmp_path), "speeds", card.name])
