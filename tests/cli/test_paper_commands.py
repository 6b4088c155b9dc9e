"""``m3amba figure`` and ``m3amba table`` on trained runs and their card."""

import json
import re
import shutil

import pytest
from matplotlib.image import imread
from tiny_runs import finished_card, train_run

from m3amba_zoo.cli.figure import main as figure
from m3amba_zoo.cli.report import main as report
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
    assert ("% * worse than the best (p < 0.05" in text) == (r"\textsuperscript{*}" in text)
    with pytest.raises(InputError, match="--digits: 400, expected 0 to 12"):
        table([str(runs[0]), "--digits", "400"])
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


def test_a_file_is_replaced_only_if_that_is_asked_for(runs, tmp_path, capsys):
    for command, name in ((table, "t.md"), (figure, "f.png"), (report, "r.html")):
        arguments = [str(runs[0]), "--out", str(tmp_path / name), "--quiet"]
        command(arguments)
        (tmp_path / name).write_text("mine")
        with pytest.raises(InputError, match=rf"--out .*{name}: exists; --overwrite replaces it"):
            command(arguments)
        assert (tmp_path / name).read_text() == "mine"
        command([*arguments, "--overwrite"])
        assert (tmp_path / name).read_bytes() != b"mine"
    assert capsys.readouterr() == ("", "")


def test_a_report_takes_cards_and_names_as_the_others_do(runs, tmp_path):
    card = finished_card(runs, tmp_path / "cards")
    out = tmp_path / "both.html"
    report([f"First={runs[0]}", str(card), str(runs[1]), "--out", str(out)])
    page = out.read_text()
    for name in ("First", card.name, "seed1"):
        assert f'<th scope="col">{name}</th>' in page
    assert f"No confusion matrix is kept of {card.name}" in page
    assert "cannot be compared" not in page
    with pytest.raises(InputError, match="a second run is called 'First'"):
        report([f"First={runs[0]}", f"First={runs[1]}", "--out", str(tmp_path / "other.html")])


def changed(*path, to):
    """Return what changes an entry of a record; None removes it."""

    def change(record):
        *way, last = path
        for key in way:
            record = record[key]
        if to is None:
            del record[last]
        else:
            record[last] = to

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed("confusion", 0, to=[1]), "the confusion matrix has not 3 rows and columns"),
        (changed("confusion", to=[[1]]), "the confusion matrix has not 3 rows and columns"),
        (changed("confusion", to=[]), "the confusion matrix has not 3 rows and columns"),
        (changed("per_class", to=[]), "in per_class, .*non-empty"),
        (changed("per_class", 0, "accuracy", to=None), r"in per_class\.0, there is no 'accuracy'"),
        (changed("per_class", 0, "iou", to="high"), "in per_class.0.iou, 'high' is not of type"),
        (changed("ece", to="abc"), "in ece, 'abc' is not of type 'number'"),
        (changed("mean_f1", to=[]), r"in mean_f1, \[\] is not of type 'number'"),
        (changed("oa", to=7), "in oa, 7 is greater than the maximum of 1"),
        (changed("model", "name", to=3), "in model.name, 3 is not of type 'string'"),
        (
            changed("model", "parameters", to=10**400),
            "in model.parameters, .*expected: a number that fits in float64",
        ),
        (changed("pixels", to=None), "'pixels' is a dependency of 'predicted'"),
        (changed("pixels", to=3), "scores are computed on"),
        (changed("predicted", to="AAAA"), "the packed predictions of"),
        (changed("split", to=None), "has no 'split', expected the results of"),
        (changed("split", "pixels", to=None), "'split' does not say how many pixels"),
        (changed("aa", to=None), "has no 'aa', expected the results of"),
    ],
)
def test_a_damaged_record_is_one_sentence_for_every_reader(runs, tmp_path, change, message):
    damaged = tmp_path / "damaged"
    shutil.copytree(runs[0], damaged, ignore=shutil.ignore_patterns("*.pth", "maps", "2*"))
    record = json.loads((damaged / "metrics.json").read_text())
    change(record)
    (damaged / "metrics.json").write_text(json.dumps(record))
    out = str(tmp_path / "out.html")
    for command, options in ((table, ["--classes"]), (report, ["--out", out])):
        with pytest.raises(InputError, match=message) as refused:
            command([f"a={runs[1]}", f"b={damaged}", *options])
        assert str(damaged / "metrics.json") in str(refused.value)


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
