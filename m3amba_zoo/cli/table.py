"""Make a table of runs for a paper: mean and spread over seeds, the best in bold, significance."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from m3amba_zoo.cli.command_parser import RUN_HELP, CommandParser
from m3amba_zoo.cli.output import check_new_file, print_line
from m3amba_zoo.errors import DataNotFoundError, InputError, printable

if TYPE_CHECKING:
    from m3amba_zoo.cli.given_runs import GivenRun
    from m3amba_zoo.evaluation.run_groups import RunGroup, ScoreLine
    from m3amba_zoo.evaluation.significance import FixedPart

FORMATS = ("latex", "markdown", "csv")
MOST_DIGITS = 12
"""Behind the point of a percentage, which a score's float64 has."""
SIDE = 32
"""Pixels along a block, where the split keeps no groups of scenes together."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print or write the table; bad input raises InputError."""
    args = _parser().parse_args(argv)
    if not 0 <= args.digits <= MOST_DIGITS:
        raise InputError(f"--digits: {args.digits}, expected 0 to {MOST_DIGITS}")
    if args.block is not None and args.block < 1:
        raise InputError(f"--block: {args.block}, expected 1 or more pixels")
    if args.out is not None:
        check_new_file("--out", args.out, args.overwrite)
    from m3amba_zoo.cli.given_runs import grouped, read_given_runs
    from m3amba_zoo.evaluation.run_groups import score_lines, table_text
    from m3amba_zoo.system import whole_file

    runs = read_given_runs(args.runs)
    groups = grouped(runs)
    part, marks = None, ""
    if len(groups) > 1 and args.marks:
        if old := [group.name for group in groups if not group.comparable]:
            marks = (
                f"No significance marks: the records of {', '.join(old)} do not hold the predicted classes."
            )
        else:
            part, marks = _test_part(runs[0], args.block)
    lines = score_lines(groups, args.digits, args.classes, part)
    if part is not None:
        marks = f"{_what_marks_say(lines, args.format)} ({marks})."
    notes = [_what_is_shown(runs, groups), *filter(None, [marks])]
    text = table_text(args.format, groups, lines, args.digits, notes)
    if args.out is None:
        sys.stdout.write(text)
    else:
        with whole_file(args.out) as aside:
            aside.write_text(text, encoding="utf-8")
        print_line(f"wrote {args.out}")
    if args.format == "csv" and not args.quiet:
        for note in notes:
            print(printable(note), file=sys.stderr)
    return 0


def _what_marks_say(lines: Sequence[ScoreLine], form: str) -> str:
    if form == "csv":
        return "p: that the best is no better"
    if any(cell.marked for line in lines for cell in line.cells):
        return "* worse than the best"
    return "No model is worse than the best beyond chance"


def _test_part(run: GivenRun, block: int | None) -> tuple[FixedPart | None, str]:
    """Return the labels and blocks of the test part and how they are tested; or None, and why not."""
    from m3amba_zoo.evaluation.significance import DRAWS, LEVEL, fixed_part

    try:
        data = run.load_data()
    except DataNotFoundError:
        dataset = run.record.get("dataset", "the runs")
        return None, f"No significance marks: the data of {dataset} is not on this machine."
    by_group = block is None and data.split.groups is not None
    part = fixed_part(data, None if by_group else block or SIDE)
    blocks = int(part.blocks.max()) + 1
    if blocks < 2:
        side = block or SIDE
        return None, f"No significance marks: the test part lies in one block of {side} x {side} pixels."
    kind = "groups of scenes" if by_group else f"blocks of {block or SIDE} x {block or SIDE} pixels"
    note = f"p < {LEVEL:g}, adjusted by Holm's method; bootstrap of {DRAWS} draws over {blocks} {kind}"
    return part, note


def _what_is_shown(runs: Sequence[GivenRun], groups: Sequence[RunGroup]) -> str:
    """Say which scores these are, of which pixels, and what the spread is."""
    record = runs[0].record
    several = any(len(group.records) > 1 for group in groups)
    spread = "mean ± standard deviation (n - 1) over seeds" if several else "one seed"
    named = str(record.get("dataset", ""))
    simulated = " (simulated data)" * bool(record.get("simulated") and "simulated" not in named)
    split = record["split"]
    pixels = f"{record['pixels']:,} test pixels" if "pixels" in record else "test pixels"
    part = f" (test part {split['test_sha256'][:8]})" if "test_sha256" in split else ""
    return (
        f"Percent, {spread}, on {pixels} of {named}{simulated}, split {split.get('name', 'unknown')}{part}."
    )


def _parser() -> CommandParser:
    parser = CommandParser(
        description=__doc__,
        examples=(
            "m3amba table work_dirs/m3amba_seed0 work_dirs/m3amba_seed1",
            "m3amba table M3amba=work_dirs/m3amba_seed0 M3amba=work_dirs/m3amba_seed1 LDA=work_dirs/lda "
            "--format latex",
        ),
    )
    parser.add_argument("runs", nargs="+", metavar="[NAME=]RUN", help=RUN_HELP)
    parser.add_argument("--format", choices=FORMATS, default="markdown", help="default: markdown")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write to a file, do not print")
    parser.add_argument(
        "--classes", action="store_true", help="add each class's accuracy: classes are rows, models columns"
    )
    parser.add_overwrite()
    parser.add_quiet()
    parser.add_argument("--digits", type=int, default=2, help="behind the point (default: 2)")
    parser.add_argument(
        "--block",
        type=int,
        metavar="PIXELS",
        help="side of the blocks that the bootstrap draws (default: the groups of scenes that the split "
        f"keeps together, else {SIDE})",
    )
    parser.add_argument(
        "--no-marks",
        dest="marks",
        action="store_false",
        help="no significance marks, for which the scenes are loaded",
    )
    return parser
