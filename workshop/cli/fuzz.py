"""Give damaged and hostile files to every reader, and say how each reading ended."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from m3amba_zoo.errors import InputError, close_names

FAULT = 1
MOST_DETAILS = 10
MEBIBYTE = 2**20
WIDTH_IN_FILES = 120


def main(argv: Sequence[str] | None = None) -> int:
    """Try the inputs and print a table; return 1 if one was not read or refused in one sentence."""
    args = _parser().parse_args(argv)
    if not sys.platform.startswith("linux"):
        raise InputError("the limits of time and memory on each input need Linux")
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

    from workshop.fuzzing.readers import READERS
    from workshop.fuzzing.trials import FAULTS, READ, REFUSED, Limits, fuzz

    names = args.reader or list(READERS)
    for name in names:
        if name not in READERS:
            hint = close_names(name, READERS) or f"known: {', '.join(READERS)}"
            raise InputError(f"--reader {name}: no such reader; {hint}")
    console = Console()
    if not console.is_terminal:  # in a file, names must not be cut to 80 columns
        console = Console(width=WIDTH_IN_FILES)
    limits = Limits(args.seconds, args.memory * MEBIBYTE)
    results = []
    with Progress(console=console, transient=True) as bar:
        for name in names:
            task = bar.add_task(name, total=args.inputs)
            with tempfile.TemporaryDirectory() as folder:
                results.append(
                    fuzz(
                        READERS[name],
                        args.inputs,
                        args.seed,
                        Path(folder),
                        args.keep,
                        limits,
                        args.first,
                        partial(bar.advance, task),
                    )
                )
            bar.remove_task(task)
    shown = [READ, REFUSED, *FAULTS]
    table = Table("reader", *shown, "slowest s", title=f"{args.inputs} inputs per reader, seed {args.seed}")
    for result in results:
        counts = (f"{result.outcomes[kind]:,}" for kind in shown)
        table.add_row(result.reader, *counts, f"{result.slowest:.2f}")
    console.print(table)
    for result in results:
        for detail, count in result.details.most_common(MOST_DETAILS):
            console.print(
                f"{result.reader}: {count} x {detail}", markup=False, highlight=False, soft_wrap=True
            )
        if result.faults:
            console.print(
                f"kept in {args.keep / result.reader}", markup=False, highlight=False, soft_wrap=True
            )
    return FAULT if any(result.faults for result in results) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fuzz.py", description=__doc__)
    parser.add_argument("--reader", nargs="+", metavar="NAME", help="readers to try (default: all)")
    parser.add_argument("--inputs", type=int, default=1000, metavar="N", help="per reader (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of all inputs (default: 0)")
    parser.add_argument(
        "--first", type=int, default=0, metavar="N", help="the first input's number (default: 0)"
    )
    parser.add_argument(
        "--keep",
        type=Path,
        default=Path("work_dirs", "fuzzing"),
        metavar="DIR",
        help="where inputs at fault are kept (default: work_dirs/fuzzing)",
    )
    parser.add_argument(
        "--seconds", type=float, default=10, help="of processor time for one input (default: 10)"
    )
    parser.add_argument(
        "--memory", type=int, default=2048, metavar="MIB", help="for one input (default: 2048)"
    )
    return parser
