"""A card's section on robustness: there with its file, gone without, refused if it is of other weights."""

import hashlib
import json

import pytest
from card_folder import NAME, finish, make_card

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub.index import read_index
from workshop.cards import build_card, build_catalogue, check_card, new_card


def row(kind, *oa, **facts):
    trials = [{"oa": value, "aa": value / 2, "kappa": value / 4} for value in oa]
    return {"kind": kind, **facts, "trials": trials}


ROWS = [
    row("none", 0.85),
    row("missing", 0.6, modality="hsi"),
    row("shift", 0.8, 0.7, 0.8, 0.7, pixels=2),
    row("noise", 0.5, 0.3, snr_db=10),
    row("bands", 0.4, 0.4, modality="hsi", share=0.25, count=1),
]


@pytest.fixture
def folder(tmp_path):
    """A finished card without the file."""
    folder = make_card(tmp_path / "cards")
    new_card(folder)
    finish(folder)
    build_card(folder)
    return folder


def result_of(folder):
    (weights,) = folder.glob(f"{NAME}-*.safetensors")
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    return {
        "format": 1,
        "model": {"name": NAME, "file": weights.name, "sha256": sha256},
        "dataset": "simulated_toy",
        "simulated": True,
        "split": {"name": "blocks-seed4", "part": "test", "test_sha256": "5" * 64},
        "pixels": 200,
        "modalities": ["hsi", "lidar"],
        "seed": 0,
        "draws": 2,
        "rows": ROWS,
        "versions": {},
        "machine": "2 CPU cores",
        "commit": "0" * 40,
        "command": f"m3amba robustness {NAME}",
    }


def test_the_section_comes_and_goes_with_the_file(folder):
    without = (folder / "README.md").read_text()
    (folder / "robustness.json").write_text(json.dumps(result_of(folder)))
    assert "is stale" in check_card(folder)[0]
    build_card(folder)
    assert check_card(folder) == []
    text = (folder / "README.md").read_text()
    table = [line for line in text.partition("## Robustness")[2].splitlines() if line.startswith("|")]
    assert table[2:7] == [
        "| undisturbed | 85.0 | 42.5 | 21.2 | - | - |",
        "| hsi missing | 60.0 | 30.0 | 15.0 | -25.0 | - |",
        "| misregistered by 2 pixels | 75.0 | 37.5 | 18.8 | -10.0 | 70.0 |",
        "| noise, SNR 10 dB | 40.0 | 20.0 | 10.0 | -45.0 | 30.0 |",
        "| 25 % of the bands of hsi missing (1) | 40.0 | 20.0 | 10.0 | -45.0 | 40.0 |",
    ]
    assert "**Simulated data**" in text.partition("## Robustness")[2].partition("## Inputs")[0]
    build_catalogue(folder.parent, None)
    files = {file.path for file in read_index(folder.parent / "index.json")[NAME].files}
    assert "robustness.json" in files
    (folder / "robustness.json").unlink()
    build_card(folder)
    assert (folder / "README.md").read_text() == without


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"name": NAME, "file": "w", "sha256": "0" * 64}}, "is of weights with sha256 00000000"),
        ({"pixels": 199}, "has pixels 199, the shipped run 200"),
        (
            {"rows": [row("none", 0.8), *ROWS[1:]]},
            "the undisturbed OA is 0.8000, that of the shipped run 0.8500",
        ),
        ({"rows": [*ROWS[:2], row("shift", 0.8, pixels=2)]}, "'misregistered by 2 pixels' has 1 of 4 trials"),
        ({"rows": [row("fog", 0.8)]}, "rows"),
    ],
)
def test_a_result_that_is_not_of_the_card_is_refused(folder, change, message):
    (folder / "robustness.json").write_text(json.dumps(result_of(folder) | change))
    with pytest.raises(InputError, match=message):
        build_card(folder)
