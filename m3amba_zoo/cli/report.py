"""Put runs side by side on one page: scores, maps, classes, curves, and what differs in their making."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from m3amba_zoo.cli.command_parser import RUN_HELP, CommandParser
from m3amba_zoo.cli.output import check_new_file, print_line
from m3amba_zoo.errors import InputError

if TYPE_CHECKING:
    from m3amba_zoo.cli.given_runs import GivenRun


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page and print its name; bad input raises InputError."""
    args = _parser().parse_args(argv)
    if args.out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out {args.out}: is no name of a page, expected one that ends in .html")
    check_new_file("--out", args.out, args.overwrite)
    from m3amba_zoo.cli.given_runs import read_given_run
    from m3amba_zoo.reporting.comparison import Run, write_comparison

    runs = [read_given_run(given) for given in args.runs]
    names = _names_of(runs)
    write_comparison(
        args.out,
        [Run(name, run.folder, run.record) for name, run in zip(names, runs, strict=True)],
        runs[0].load_data,
    )
    print_line(
        f"wrote {args.out} ({args.out.stat().st_size / 2**20:.1f} MiB); any browser shows it, offline too"
    )
    return 0


def _names_of(runs: Sequence[GivenRun]) -> list[str]:
    """Return each run's NAME, else the name of its folder; those of one folder name are named by the path.

    Raises:
        InputError: if a run is given twice, or two have one name.
    """
    folders = [run.folder.resolve() for run in runs]
    names = [run.called or folder.name for run, folder in zip(runs, folders, strict=True)]
    names = [
        run.given if names.count(name) > 1 and not run.called else name
        for run, name in zip(runs, names, strict=True)
    ]
    for index, run in enumerate(runs):
        if folders[index] in folders[:index]:
            raise InputError(f"{run.given}: is given twice, expected different runs")
        if names[index] in names[:index]:
            raise InputError(
                f"{run.given}: a second run is called '{names[index]}'; NAME=RUN tells them apart"
            )
    return names


def _parser() -> CommandParser:
    parser = CommandParser(
        description=__doc__,
        examples=(
            "m3amba report work_dirs/mft-idtrees work_dirs/m3amba_idtrees --out both.html",
            "m3amba report MFT=work_dirs/mft-idtrees m3amba-t_idtrees",
        ),
    )
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="[NAME=]RUN",
        help=f"{RUN_HELP.partition(', and runs')[0]}; differences are to the first",
    )
    parser.add_argument("--out", type=Path, default=Path("comparison.html"), help="default: %(default)s")
    parser.add_overwrite()
    parser.add_quiet()
    return parser
