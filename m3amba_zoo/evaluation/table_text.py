"""A table of scores as text: LaTeX (booktabs), Markdown, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from m3amba_zoo.evaluation.run_groups import Cell, RunGroup, ScoreLine
from m3amba_zoo.evaluation.significance import LEVEL

HEADINGS = {"oa": "OA", "aa": "AA", "kappa": "kappa x 100"}
LATEX_HEADINGS = {"oa": "OA", "aa": "AA", "kappa": r"$\kappa \times 100$"}
LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


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
    """
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
    cells = [[cell(one, digits) for one in line.cells] for line in lines]
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
            *(f"% {note}" for note in notes),
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
    return "\n".join([line(head), rule, *map(line, body), *(f"\n{note}" for note in notes), ""])


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


def _latex_cell(cell: Cell, digits: int) -> str:
    if cell.mean is None:
        return "--"
    text = f"{cell.mean:.{digits}f}"
    text = rf"\textbf{{{text}}}" if cell.best else text
    return (
        text
        + ("" if cell.std is None else rf" $\pm$ {cell.std:.{digits}f}")
        + r"\textsuperscript{*}" * _marked(cell)
    )


def _markdown_cell(cell: Cell, digits: int) -> str:
    if cell.mean is None:
        return "-"
    text = f"{cell.mean:.{digits}f}" + ("" if cell.std is None else f" ± {cell.std:.{digits}f}")
    return f"**{text}**" if cell.best else text + r"\*" * _marked(cell)


def _marked(cell: Cell) -> bool:
    return cell.p is not None and cell.p < LEVEL and not cell.best


def _escaped_latex(text: str) -> str:
    return "".join(LATEX_SPECIAL.get(character, character) for character in text)


def _escaped_markdown(text: str) -> str:
    return "".join(f"\\{character}" if character in r"\|*_`" else character for character in text)
