"""Tables of runs: mean, spread, best, marks, and what is refused."""

import csv

import numpy as np
import pytest

from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.run_groups import RunGroup, check_one_part, score_lines, table_text
from m3amba_zoo.evaluation.scores import confusion_matrix, pack_predicted, scores
from m3amba_zoo.evaluation.significance import FixedPart

LABELS = np.tile([1, 1, 2, 2, 2], 200)
PART = FixedPart("0" * 64, LABELS, np.arange(1000) // 20)


def record(seed: int, wrong: int) -> dict:
    """A run that has so many wrong pixels, spread evenly."""
    predicted = LABELS.copy()
    places = np.linspace(0, 999, wrong).astype(int)
    predicted[places] = 3 - predicted[places]
    found = scores(confusion_matrix(LABELS, predicted, 2), ["a_b", "c"])
    split = {"part": "test", "test_sha256": PART.sha256, "pixels": {"test": 1000}}
    return {**found, "seed": seed, "split": split, "pixels": 1000, "predicted": pack_predicted(predicted)}


def group(name: str, *wrong: int) -> RunGroup:
    return RunGroup(name, {seed: record(seed, one) for seed, one in enumerate(wrong)})


GROUPS = [group("one & two", 100, 120), group("worse", 300, 300), group("like one", 102, 122)]


def test_means_spreads_and_the_best_of_runs():
    oa = next(line for line in score_lines(GROUPS, 2) if line.name == "oa")
    assert [round(cell.mean, 6) for cell in oa.cells] == [89, 70, 88.8]
    assert oa.cells[0].std == pytest.approx(np.sqrt(2))  # of 90 and 88, with n - 1
    assert [cell.best for cell in oa.cells] == [True, False, False]
    rounded = next(line for line in score_lines(GROUPS, 0) if line.name == "oa")
    assert [cell.best for cell in rounded.cells] == [True, False, True], "89 and 89 are both best"
    single = score_lines([group("alone", 100)], 2)
    assert [(cell.std, cell.best) for line in single for cell in line.cells] == [(None, False)] * 3


def test_only_what_differs_beyond_chance_is_marked():
    lines = score_lines(GROUPS, 2, part=PART)
    best, worse, like = lines[0].cells
    assert best.p is None
    assert worse.p < 0.01
    text = table_text("markdown", GROUPS, lines, 2, ["A note."])
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("|")}
    assert "**89.00 ± 1.41**" in rows["one & two"]
    assert r"70.00 ± 0.00\*" in rows["worse"]
    assert (r"88.80 ± 1.41\*" in rows["like one"]) == (like.p < 0.05)
    assert text.endswith("\nA note.\n")


def test_latex_is_escaped_and_classes_are_rows():
    text = table_text("latex", GROUPS, score_lines(GROUPS, 1, classes=True), 1, ["A note."])
    lines = text.splitlines()
    assert r"class & one \& two & worse & like one \\" in lines
    assert any(line.startswith(r"a\_b & ") for line in lines)
    assert r"OA & \textbf{89.0} $\pm$ 1.4 & 70.0 $\pm$ 0.0 & 88.8 $\pm$ 1.4 \\" in lines
    assert "% A note." in lines


def test_names_from_a_file_mean_nothing_to_latex_markdown_or_a_terminal():
    name = "[1] <b>$x$ *y*\n\\input{a}\x1b[2J"
    one, other = group(name, 100), group("c", 120)
    for record_ in one.records.values():
        record_["per_class"][0]["name"] = "|\n- a"
    lines = score_lines([one, other], 1, classes=True)
    latex = table_text("latex", [one, other], lines, 1, ["A\nnote."]).splitlines()
    assert "% A note." in latex
    assert (
        r"class & {[}1] \textless{}b\textgreater{}\$x\$ {*}y{*} "
        r"\textbackslash{}input\{a\}\textbackslash{}x1b{[}2J & c \\"
    ) in latex
    assert any(line.startswith(r"\textbar{} - a & ") for line in latex)
    markdown = table_text("markdown", [one, other], lines, 1, ["* A\nnote of <b>."]).splitlines()
    assert markdown[-1] == r"\* A note of \<b\>."
    assert r"\[1\] \<b\>\$x\$ \*y\* \\input{a}\\x1b\[2J" in markdown[0]
    assert markdown[2].startswith(r"| \| - a ")
    text = table_text("csv", [one, other], lines, 1, [])
    assert len(text.splitlines()) == 3
    assert "\x1b" not in text


def test_where_all_are_alike_nothing_is_bold():
    groups = [group("a", 100), group("b", 100)]
    for form in ("latex", "markdown"):
        text = table_text(form, groups, score_lines(groups, 1), 1, [])
        assert "90.0" in text
        assert "**" not in text
        assert "textbf" not in text


def test_csv_holds_numbers_for_scripts():
    text = table_text("csv", GROUPS, score_lines(GROUPS, 3, True, PART), 3, [])
    first, second, _ = csv.DictReader(text.splitlines())
    assert (first["model"], first["seeds"], first["oa"], first["oa_std"]) == (
        "one & two",
        "2",
        "89.000",
        "1.414",
    )
    assert first["oa_p"] == ""
    assert float(second["oa_p"]) < 0.01
    assert "a_b_p" not in first
    assert float(first["a_b"]) > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"split": {"part": "test", "test_sha256": "1" * 64}},
            r"a and b .*different test parts .*00000000 and 1111",
        ),
        (
            {"split": {"part": "val", "test_sha256": "0" * 64}},
            "b: has scores of the part 'val', expected 'test'",
        ),
        ({"split": {"part": "test"}}, "b: .*lacks 'split.test_sha256'"),
        ({"per_class": [{"name": "x"}]}, r"a and b have different classes \(a_b, c; x\)"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        check_one_part({"a": record(0, 10), "b": {**record(1, 10), **change}})
