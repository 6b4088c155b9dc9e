"""Put runs side by side on one page: scores, maps, classes, curves, and what differs in their making."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from m3amba_zoo.cli.command_parser import CommandParser
from m3amba_zoo.cli.output import print_line
from m3amba_zoo.errors import InputError


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page and print its name; bad input raises InputError."""
    args = _parser().parse_args(argv)
    if args.out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out {args.out}: is no name of a page, expected one that ends in .html")
    if args.out.exists() and not args.overwrite:
        raise InputError(f"--out {args.out}: exists; --overwrite replaces it, another name leaves it alone")
    from m3amba_zoo.reporting.comparison import write_comparison

    write_comparison(args.out, args.runs)
    print_line(
        f"wrote {args.out} ({args.out.stat().st_size / 2**20:.1f} MiB); any browser shows it, offline too"
    )
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        description=__doc__,
        examples=("m3amba report work_dirs/mft-idtrees work_dirs/m3amba_idtrees --out both.html",),
    )
    parser.add_argument(
        "runs",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="a work dir, or a card's folder, with metrics.json; differences are to the first",
    )
    parser.add_argument("--out", type=Path, default=Path("comparison.html"), help="default: %(default)s")
    parser.add_argument("--overwrite", action="store_true", help="replace the page if there is one")
    parser.add_quiet()
    return parser
