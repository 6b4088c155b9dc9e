"""Runs grouped by model: mean and spread of their scores over seeds, the best, and what differs from it.

The table of them is written as LaTeX (booktabs), Markdown or CSV.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from m3amba_zoo.errors import InputError, printable
from m3amba_zoo.evaluation.record import check_scores
from m3amba_zoo.evaluation.scores import SCORES, unpack_predicted
from m3amba_zoo.evaluation.significance import LEVEL, Drawn, FixedPart, difference, holm

PART = "test"
HEADINGS = {"oa": "OA", "aa": "AA", "kappa": "kappa x 100"}
LATEX_HEADINGS = {"oa": "OA", "aa": "AA", "kappa": r"$\kappa \times 100$"}
MARKDOWN_SPECIAL = re.compile(r"[\\|*_`<>\[\]~$]|&(?=#?\w+;)")
LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # at the start of a row it would be an option of the line break before
    "*": "{*}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


@dataclass(frozen=True)
class RunGroup:
    """The runs of one model, over its seeds.

    Attributes:
        name: of the model, for people.
        records: the content of each run's ``metrics.json``, by seed.
    """

    name: str
    records: Mapping[int, Mapping[str, Any]]

    def values(self, score: str) -> list[float]:
        """Return a score of each run, as a fraction."""
        return [record[score] for record in self.records.values()]

    def accuracies(self, index: int) -> list[float]:
        """Return a class's accuracy in each run that has test pixels of it."""
        found = [record["per_class"][index]["accuracy"] for record in self.records.values()]
        return [value for value in found if value is not None]

    @property
    def comparable(self) -> bool:
        """Whether each record says what was predicted, pixel by pixel; those of early versions do not."""
        return all({"predicted", "confusion"} <= record.keys() for record in self.records.values())

    @property
    def classes(self) -> list[str]:
        """The names of the classes, in order."""
        return [entry["name"] for entry in next(iter(self.records.values()))["per_class"]]


class Cell(NamedTuple):
    """A score of a model.

    Attributes:
        mean: over its runs, in percent; None without test pixels.
        std: over its runs (n - 1), in percent; None with fewer than two.
        best: whether no model has a higher mean, as it is rounded in the table.
        p: that the best model is no better, adjusted for the number of models (Holm); None where it is not
            known, and for the best.
    """

    mean: float | None
    std: float | None
    best: bool = False
    p: float | None = None

    @property
    def marked(self) -> bool:
        """Whether it is worse than the best beyond chance."""
        return self.p is not None and self.p < LEVEL and not self.best


class ScoreLine(NamedTuple):
    """A score or a class's accuracy, of each model."""

    name: str
    cells: list[Cell]

    @property
    def tied(self) -> bool:
        """Whether no model is better than another, so that none is shown as the best."""
        return all(cell.best for cell in self.cells if cell.mean is not None)


def check_one_part(records: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that runs were scored on the same test pixels, with the same classes.

    Args:
        records: the content of each ``metrics.json``, by the name of the run in messages.

    Raises:
        InputError: if a record scores another part, says no test part, or two have different ones.
    """
    first, *_ = records
    for name, record in records.items():
        split = record["split"]
        if "test_sha256" not in split and len(records) > 1:
            raise InputError(f"{name}: its metrics.json lacks 'split.test_sha256', the hash of its test part")
        if split.get("part", PART) != PART:
            raise InputError(f"{name}: has scores of the part '{split['part']}', expected '{PART}'")
        mine, other = split.get("test_sha256"), records[first]["split"].get("test_sha256")
        if mine != other:
            raise InputError(
                f"{first} and {name} were scored on different test parts (test_sha256 {other[:8]} and "
                f"{mine[:8]}), which cannot be compared; expected runs of one test part"
            )
        classes, of_first = ([e["name"] for e in r["per_class"]] for r in (record, records[first]))
        if classes != of_first:
            raise InputError(
                f"{first} and {name} have different classes ({', '.join(of_first)}; {', '.join(classes)})"
            )


def score_lines(
    groups: Sequence[RunGroup], digits: int, classes: bool = False, part: FixedPart | None = None
) -> list[ScoreLine]:
    """Sum up the models' scores: the classes' accuracies first if they are wanted, then OA, AA and kappa.

    Args:
        groups: models that were scored on one test part.
        digits: behind the point, to which means are rounded before the best is looked for.
        classes: whether to add a line per class.
        part: the test part's labels and blocks. With it, OA, AA and kappa have p values, by the block
            bootstrap of ``significance``.

    Raises:
        InputError: if a record contradicts itself or the part's labels.
    """
    found = []
    for index, name in enumerate(groups[0].classes if classes else ()):
        found.append(ScoreLine(name, _cells([group.accuracies(index) for group in groups], digits)))
    drawn = None if part is None or len(groups) < 2 else [_drawn(part, group) for group in groups]
    for column, score in enumerate(SCORES):
        cells = _cells([group.values(score) for group in groups], digits)
        if drawn is not None:
            cells = _with_p(cells, drawn, column)
        found.append(ScoreLine(score, cells))
    return found


def _cells(values: Sequence[Sequence[float]], digits: int) -> list[Cell]:
    means = [float(100 * np.mean(of_model)) if of_model else None for of_model in values]
    spreads = [float(100 * np.std(one, ddof=1)) if len(one) > 1 else None for one in values]
    best = max((round(mean, digits) for mean in means if mean is not None), default=None)
    return [
        Cell(mean, spread, mean is not None and len(values) > 1 and round(mean, digits) == best)
        for mean, spread in zip(means, spreads, strict=True)
    ]


def _with_p(cells: list[Cell], drawn: Sequence[Drawn], column: int) -> list[Cell]:
    """Compare each model with the one of the highest mean."""
    leader = max(range(len(cells)), key=lambda k: drawn[k][0, column])
    others = [k for k in range(len(cells)) if k != leader]
    score = SCORES[column]
    adjusted = holm([difference(drawn[leader], drawn[k])[score].p for k in others])
    p = dict(zip(others, adjusted, strict=True))
    return [cell._replace(p=p.get(k)) for k, cell in enumerate(cells)]


def _drawn(part: FixedPart, group: RunGroup) -> Drawn:
    """Return the mean scores over a model's seeds: of the test part, and of each draw of its blocks."""
    found = []
    for seed, record in group.records.items():
        check_scores(record, f"{group.name}, seed {seed}", part.labels)
        predicted = unpack_predicted(record["predicted"], record["pixels"])
        found.append(part.scores(predicted, len(record["confusion"])))
    return np.mean(found, axis=0)


def table_text(
    form: str, groups: Sequence[RunGroup], lines: Sequence[ScoreLine], digits: int, notes: Sequence[str]
) -> str:
    """Write a table.

    Models are rows, and scores columns. With lines of classes, as papers have it, classes and scores are
    rows, and models columns. CSV has a row per model always, plain numbers, and p values in place of marks.

    Args:
        form: ``latex``, ``markdown`` or ``csv``.
        groups: the models.
        lines: of ``score_lines``.
        digits: behind the point.
        notes: sentences below the table: LaTeX has them as comments, for the caption; CSV has none.

    Names of models and classes come from files: each is put on one line, and means nothing to LaTeX, Markdown
    or a terminal.
    """
    groups = [RunGroup(printable(group.name), group.records) for group in groups]
    lines = [line._replace(name=printable(line.name)) for line in lines]
    if form == "csv":
        return _csv(groups, lines, digits)
    latex = form == "latex"
    escape = _escaped_latex if latex else _escaped_markdown
    headings = LATEX_HEADINGS if latex else HEADINGS
    cell = _latex_cell if latex else _markdown_cell
    by_class = len(lines) > len(HEADINGS)
    names = [escape(group.name) for group in groups]
    titles = [headings.get(line.name) or escape(line.name) for line in lines[-len(HEADINGS) :]]
    titles = [*(escape(line.name) for line in lines[: -len(HEADINGS)]), *titles]
    counts = [str(len(group.records)) for group in groups]
    cells = [[cell(one, digits, one.best and not line.tied) for one in line.cells] for line in lines]
    if by_class:
        head = ["class", *names]
        body = [[title, *row] for title, row in zip(titles, cells, strict=True)]
        body.append(["seeds", *counts])
    else:
        head = ["model", *titles, "seeds"]
        columns = zip(*cells, strict=True)
        body = [[name, *row, n] for name, row, n in zip(names, columns, counts, strict=True)]
    if latex:
        return _latex(head, body, len(lines) - len(HEADINGS) if by_class else None, notes)
    return _markdown(head, body, notes)


def _latex(
    head: Sequence[str], body: Sequence[Sequence[str]], scores_from: int | None, notes: Sequence[str]
) -> str:
    rows = [" & ".join(row) + r" \\" for row in body]
    if scores_from is not None:
        rows.insert(scores_from, r"\midrule")
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            *(f"% {printable(note)}" for note in notes),
            rf"\begin{{tabular}}{{l{'c' * (len(head) - 1)}}}",
            r"\toprule",
            " & ".join(head) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _markdown(head: Sequence[str], body: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    widths = [max(len(row[k]) for row in (head, *body)) for k in range(len(head))]

    def line(row: Sequence[str]) -> str:
        padded = (
            entry.ljust(w) if k == 0 else entry.rjust(w)
            for k, (entry, w) in enumerate(zip(row, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    rule = (
        "|" + "|".join("-" * (w + 2) if k == 0 else "-" * (w + 1) + ":" for k, w in enumerate(widths)) + "|"
    )
    return "\n".join(
        [
            line(head),
            rule,
            *map(line, body),
            *(f"\n{_escaped_markdown(printable(note))}" for note in notes),
            "",
        ]
    )


def _csv(groups: Sequence[RunGroup], lines: Sequence[ScoreLine], digits: int) -> str:
    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.{digits}f}"

    scores = lines[-len(HEADINGS) :]
    tested = {line.name for line in scores if any(cell.p is not None for cell in line.cells)}
    head = ["model", "seeds"]
    for line in lines:
        head += [line.name, f"{line.name}_std", *([f"{line.name}_p"] if line.name in tested else [])]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(head)
    for k, group in enumerate(groups):
        row = [group.name, str(len(group.records))]
        for line in lines:
            cell = line.cells[k]
            row += [number(cell.mean), number(cell.std)]
            if line.name in tested:
                row.append("" if cell.p is None else f"{cell.p:.4f}")
        table.writerow(row)
    return text.getvalue()


def _latex_cell(cell: Cell, digits: int, bold: bool) -> str:
    if cell.mean is None:
        return "--"
    text = f"{cell.mean:.{digits}f}"
    text = rf"\textbf{{{text}}}" if bold else text
    return (
        text
        + ("" if cell.std is None else rf" $\pm$ {cell.std:.{digits}f}")
        + r"\textsuperscript{*}" * cell.marked
    )


def _markdown_cell(cell: Cell, digits: int, bold: bool) -> str:
    if cell.mean is None:
        return "-"
    text = f"{cell.mean:.{digits}f}" + ("" if cell.std is None else f" ± {cell.std:.{digits}f}")
    return f"**{text}**" if bold else text + r"\*" * cell.marked


def _escaped_latex(text: str) -> str:
    return "".join(LATEX_SPECIAL.get(character, character) for character in text)


def _escaped_markdown(text: str) -> str:
    return MARKDOWN_SPECIAL.sub(r"\\\g<0>", text)
