"""``m3amba figure`` and ``m3amba table`` on trained runs and their card."""

import re

import pytest
from matplotlib.image import imread
from tiny_runs import finished_card, train_run

from m3amba_zoo.cli.figure import main as figure
from m3amba_zoo.cli.table import main as table
from m3amba_zoo.errors import InputError


@pytest.fixture(scope="module")
def runs():
    return [train_run(seed) for seed in (0, 1)]


def test_a_table_sums_up_seeds_and_a_card_says_the_same(runs, tmp_path, capsys):
    table(list(map(str, runs)))
    told = capsys.readouterr().out
    row = next(line for line in told.splitlines() if "m3amba\\_tiny" in line)
    assert row.count("±") == 3
    assert row.split("|")[-2].strip() == "2"
    assert "mean ± standard deviation (n - 1) over seeds" in told
    card = finished_card(runs, tmp_path / "cards")
    table([f"m3amba_tiny={card}"])
    assert capsys.readouterr().out == told
    table(
        [
            f"A={runs[0]}",
            f"B={runs[1]}",
            "--out",
            str(tmp_path / "t.tex"),
            "--format",
            "latex",
            "--block",
            "4",
        ]
    )
    text = (tmp_path / "t.tex").read_text()
    assert "bootstrap of 4000 draws over" in text
    assert "blocks of 4 x 4 pixels" in text
    with pytest.raises(InputError, match="are both 'm3amba_tiny' with seed 0"):
        table([str(runs[0]), str(runs[0])])


def test_a_figure_is_written_by_its_suffix_with_letters_as_text(runs, tmp_path, capsys):
    one, two = (f"{name}={run}" for name, run in zip(("First", "Second"), runs, strict=True))
    chosen = ["--columns", "false-colour", "sar", "reference", "prediction", "errors"]
    figure([one, two, "--out", str(tmp_path / "f.svg"), *chosen])
    told = capsys.readouterr().out
    assert "First: OA" in told
    assert "no scale bar" in told
    assert "(181 x " in told
    texts = re.findall(r"<text[^>]*>(?:<tspan[^>]*>)?([^<]*)", (tmp_path / "f.svg").read_text())
    for wanted in ("false colour", "First", "Second", "errors, Second", "water", "wrong test pixel"):
        assert wanted in texts
    figure([one, "--out", str(tmp_path / "f.pdf"), "--titles", "a", "b", "c", "d"])
    content = (tmp_path / "f.pdf").read_bytes()
    assert b"/Type0" in content, "TrueType, which editors keep as text"
    assert b"/Type3" not in content
    capsys.readouterr()
    figure(
        [one, "--out", str(tmp_path / "f.png"), "--width", "88", "--scenes", "tiny0", "--columns", "train"]
    )
    assert "tiny, split official\n" in capsys.readouterr().out
    assert imread(tmp_path / "f.png").shape[1] == pytest.approx(88 / 25.4 * 400, abs=2)


def test_what_a_figure_cannot_be_drawn_of_is_refused_before_a_file_is_written(runs, tmp_path):
    run, out = str(runs[0]), str(tmp_path / "f.png")
    for options, message in (
        (["--columns", "refrence"], "--columns: 'refrence'; did you mean 'reference'"),
        (["--scenes", "nowhere"], "--scenes: no scene 'nowhere'; there are tiny0"),
        (["--scenes", "tiny0", "tiny0"], "--scenes: 'tiny0' is named twice"),
        (["--titles", "one"], "--titles: 1 are given, expected 4"),
        (["--width", "5"], "--width: 5 mm, expected 40 to 1000"),
    ):
        with pytest.raises(InputError, match=re.escape(message)):
            figure([run, "--out", out, *options])
    with pytest.raises(InputError, match=r"f\.jpg: cannot be written, its name should end in"):
        figure([run, "--out", str(tmp_path / "f.jpg")])
    with pytest.raises(InputError, match=r"has no metrics\.json"):
        figure([str(tmp_path), "--out", out])
    assert list(tmp_path.iterdir()) == []


def test_a_card_predicts_what_its_run_has_drawn(runs, tmp_path, capsys):
    card = finished_card(runs, tmp_path / "cards")
    figure([f"a={card}", "--out", str(tmp_path / "card.png"), "--columns", "prediction"])
    told = capsys.readouterr().out
    assert "its weights predict 1 scenes now" in told
    of_card = next(run for run in runs if f"seed {run.name[-1]})" in told)
    figure([f"a={of_card}", "--out", str(tmp_path / "run.png"), "--columns", "prediction"])
    drawn, expected = (imread(tmp_path / f"{name}.png") for name in ("card", "run"))
    assert (drawn == expected).all(
        -1
    ).mean() > 0.99  # the pixel without any value is predicted by the test alone
